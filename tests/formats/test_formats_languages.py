"""Languages are told by a record's language and path; TypeScript in a `.tsx` file is TSX."""

from __future__ import annotations

import pytest

from batchfim.formats.languages import find_language, usual_name
from batchfim.formats.syntax import num_errors, syntax_end

PREFIX, SUFFIX = "function A(n: number) {\n  ", "\n}\n"
MIDDLE = 'return <div className="a"><b>{n}</b></div>;'


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("typescript", "src/App.tsx", "tsx"),
        (" TS ", "src/App.TSX", "tsx"),
        ("TypeScript", "src/app.ts", "typescript"),
        ("typescript", "app.mts", "typescript"),
        ("typescript", None, "typescript"),
        ("javascript", "App.tsx", "javascript"),  # no other name is overruled
        ("tsx", "app.ts", "tsx"),
        ("cobol", "App.tsx", None),
    ],
)
def test_typescript_at_a_path_of_tsx_is_tsx(
    name: str, path: str | None, expected: str | None
) -> None:
    assert find_language(name, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/App.tsx", "tsx"),
        ("app.PYW", "python"),
        ("app.kt", None),  # Kotlin is known, but has no grammar
        ("Makefile", None),
    ],
)
def test_without_a_name_the_extension_tells_the_grammar(path: str, expected: str | None) -> None:
    assert find_language(None, path) == expected


def test_a_right_middle_of_a_component_is_kept() -> None:
    language = find_language("typescript", "src/App.tsx")
    assert language is not None
    assert num_errors(MIDDLE, PREFIX, SUFFIX, language) == 0
    assert syntax_end(MIDDLE, PREFIX, SUFFIX, language) == len(MIDDLE)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("python", "Python"),
        ("Python", "Python"),
        ("py", "Python"),
        ("c++", "C++"),
        ("csharp", "C#"),
        ("JAVASCRIPT", "JavaScript"),
        ("php", "PHP"),
        ("kotlin", "Kotlin"),
        ("OCaml", "OCaml"),
        ("PYTHON", "Python"),
        ("", ""),
    ],
)
def test_languages_have_usual_names(name: str, told: str) -> None:
    assert usual_name(name) == told
