"""Identify a record's language and load its grammar, when the language first occurs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath

from tree_sitter import Language


@dataclass(frozen=True, slots=True)
class _Known:
    """A language's extensions, and the package and function that provide its grammar, if any."""

    extensions: str
    grammar: tuple[str, str] | None = None


# `.h` is C: in a C++ header, C++ syntax counts as errors of the record itself, before and after a
# cut.
_KNOWN = {
    "c": _Known(".c .h", ("tree_sitter_c", "language")),
    "cpp": _Known(".cc .cpp .cxx .c++ .hh .hpp .hxx", ("tree_sitter_cpp", "language")),
    "csharp": _Known(".cs .csx", ("tree_sitter_c_sharp", "language")),
    "go": _Known(".go", ("tree_sitter_go", "language")),
    "java": _Known(".java", ("tree_sitter_java", "language")),
    "javascript": _Known(".js .jsx .mjs .cjs", ("tree_sitter_javascript", "language")),
    "kotlin": _Known(".kt .kts"),
    "lua": _Known(".lua"),
    "php": _Known(".php"),
    "python": _Known(".py .pyi .pyw", ("tree_sitter_python", "language")),
    "ruby": _Known(".rb"),
    "rust": _Known(".rs", ("tree_sitter_rust", "language")),
    "scala": _Known(".scala"),
    "shell": _Known(".sh .bash"),
    "swift": _Known(".swift"),
    "typescript": _Known(".ts .mts .cts", ("tree_sitter_typescript", "language_typescript")),
    "tsx": _Known(".tsx", ("tree_sitter_typescript", "language_tsx")),
}
EXTENSIONS = {
    extension: language
    for language, known in _KNOWN.items()
    for extension in known.extensions.split()
}
_GRAMMARS = {language: known.grammar for language, known in _KNOWN.items() if known.grammar}
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
    found = EXTENSIONS.get(PurePosixPath(path).suffix.lower()) if path else None
    return found if found in _GRAMMARS else None


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
