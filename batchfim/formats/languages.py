"""Identify a record's language and load its grammar, when the language first occurs."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import PurePosixPath

from tree_sitter import Language

# The package and function that provide each language's grammar.
_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
}
LANGUAGES = tuple(_GRAMMARS)
_OTHER_NAMES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "jsx": "javascript",
    "ts": "typescript",
    "c++": "cpp",
    "c#": "csharp",
    "c-sharp": "csharp",
    "c_sharp": "csharp",
    "cs": "csharp",
    "golang": "go",
    "rs": "rust",
}
_USUAL_NAMES = {
    "javascript": "JavaScript",
    "typescript": "TypeScript",
    "tsx": "TypeScript",
    "cpp": "C++",
    "csharp": "C#",
    "php": "PHP",
    "sql": "SQL",
    "html": "HTML",
    "css": "CSS",
}
# `.h` is C: in a C++ header, C++ syntax counts as errors of the record itself, before and after a
# cut.
_EXTENSIONS = {
    "python": "py pyi pyw",
    "java": "java",
    "javascript": "js jsx mjs cjs",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx",
    "csharp": "cs csx",
    "go": "go",
    "rust": "rs",
}
_BY_EXTENSION = {
    extension: language for language, text in _EXTENSIONS.items() for extension in text.split()
}


def find_language(name: str | None, path: str | None) -> str | None:
    """One of `LANGUAGES`, from a record's language, else from its path's extension, else None.

    A given name, known or not, takes precedence over the path, except that TypeScript in a `.tsx`
    file is TSX.
    """
    if name and name.strip():
        name = name.strip().lower()
        name = _OTHER_NAMES.get(name, name)
        # Most data sets use this name for TSX too, and TypeScript's grammar lacks JSX.
        if name == "typescript" and path and path.lower().endswith(".tsx"):
            return "tsx"
        return name if name in _GRAMMARS else None
    return _BY_EXTENSION.get(PurePosixPath(path).suffix[1:].lower()) if path else None


def usual_name(language: str) -> str:
    """Usual spelling of a language: `C++` for `cpp`; those not listed are capitalized."""
    name = language.strip().lower()
    name = _OTHER_NAMES.get(name, name)
    if name in _USUAL_NAMES:
        return _USUAL_NAMES[name]
    own = name if name in _GRAMMARS else language.strip()  # OCaml already has its usual spelling
    return own[:1].upper() + own[1:]


@cache
def grammar(language: str) -> Language:
    """The grammar of one of `LANGUAGES`."""
    package, function = _GRAMMARS[language]
    return Language(getattr(import_module(package), function)())
