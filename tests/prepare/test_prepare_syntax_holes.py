"""Holes cut along the syntax: what they hold in each language, and what they never are."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.languages import LANGUAGES
from batchfim.formats.syntax import num_errors
from batchfim.prepare import SyntaxKind, prepare_code
from batchfim.prepare.syntax_holes import MAX_HOLE_BYTES, cut_syntax

BRACES = "int f(int a) { if (a > 1) { g(a, 2); } while (a < 3) { a--; } return 0; }"
BODY = "if (a > 1) { g(a, 2); } while (a < 3) { a--; } return 0;"
# Kinds in their order: function body, block, condition, call arguments.
FILES = {
    "python": (
        "class A:\n    def f(self, é):\n        if (é > 1):\n            g(é, 2)  # x\n"
        "        while é < 3: é -= 1\n        return 0\n",
        ["if (é > 1):\n            g(é, 2)  # x\n        while é < 3: é -= 1\n        return 0"],
        ["g(é, 2)  # x", "é -= 1"],
        ["é > 1", "é < 3"],
        ["é, 2"],
    ),
    "java": (f"class A {{ {BRACES} }}", [BODY], ["g(a, 2);", "a--;"], ["a > 1", "a < 3"], ["a, 2"]),
    "csharp": (
        *(f"class A {{ {BRACES} }}", [BODY], ["g(a, 2);", "a--;"], ["a > 1", "a < 3"]),
        ["a, 2"],
    ),
    "c": (BRACES, [BODY], ["g(a, 2);", "a--;"], ["a > 1", "a < 3"], ["a, 2"]),
    "cpp": (BRACES, [BODY], ["g(a, 2);", "a--;"], ["a > 1", "a < 3"], ["a, 2"]),
    "javascript": (
        "const f = (a) => { if (a) { g(a, 2); } };\nh();\n",
        *(["if (a) { g(a, 2); }"], ["g(a, 2);"], ["a"], ["a, 2"]),
    ),
    "typescript": (
        "class A { f(a: number): void { if (a) { g(a, 2); } } }\n",
        *(["if (a) { g(a, 2); }"], ["g(a, 2);"], ["a"], ["a, 2"]),
    ),
    "tsx": (
        "function f(a: number) { if (a) { g(a, 2); } }\n",
        *(["if (a) { g(a, 2); }"], ["g(a, 2);"], ["a"], ["a, 2"]),
    ),
    "go": (
        "package a\n\nfunc f(a int) {\n\tif a > 1 {\n\t\tg(a, 2)\n\t}\n}\n",
        *(["if a > 1 {\n\t\tg(a, 2)\n\t}"], ["g(a, 2)"], ["a > 1"], ["a, 2"]),
    ),
    "rust": (
        "fn f(a: i32) -> i32 { if a > 1 { g(a, 2); } loop { h() } }\n",
        *(["if a > 1 { g(a, 2); } loop { h() }"], ["g(a, 2);", "h()"], ["a > 1"], ["a, 2"]),
    ),
}
CASES = [
    (language, kind, file[0], file[1:][place])
    for language, file in FILES.items()
    for place, kind in enumerate(SyntaxKind)
]


def holes(text: str, language: str | None, kind: SyntaxKind, number: int = 99) -> list[str]:
    found = cut_syntax(text, language, kind, number, random.Random(0))
    return [text[hole.start : hole.end] for hole in sorted(found, key=lambda hole: hole.start)]


def test_every_language_of_the_trim_rules_is_here() -> None:
    assert set(FILES) == set(LANGUAGES)


@pytest.mark.parametrize(("language", "kind", "text", "wanted"), CASES)
def test_a_hole_holds_the_inside(
    language: str, kind: SyntaxKind, text: str, wanted: list[str]
) -> None:
    assert num_errors(text, "", "", language) == 0
    assert holes(text, language, kind) == wanted


@settings(deadline=None, max_examples=100)
@given(st.text("def f(x):\n if é{}\r\t\ufeff,;", max_size=200), st.sampled_from(LANGUAGES))
def test_any_text_gives_holes_that_are_neither_empty_nor_wider_than_their_text(
    text: str, language: str
) -> None:
    for kind in SyntaxKind:
        for middle in holes(text, language, kind):
            assert middle == middle.strip(" \t\r\n\x0b\x0c")
            assert 0 < len(middle.encode()) <= MAX_HOLE_BYTES


def test_nothing_is_cut_out_of_what_has_errors_is_long_or_of_no_known_language() -> None:
    assert holes("def f():\n    x = = 1\n", "python", SyntaxKind.FUNCTION_BODY) == []
    assert holes("def f():\n" + "    x = 1\n" * 300, "python", SyntaxKind.FUNCTION_BODY) == []
    for language in ("kotlin", None):
        assert holes("def f():\n    x = 1\n", language, SyntaxKind.FUNCTION_BODY) == []


def test_no_more_than_asked_for_and_none_twice() -> None:
    text = "def f():\n" + "    g(1)\n" * 20
    for number in (1, 5, 99):
        found = cut_syntax(text, "python", SyntaxKind.CALL_ARGUMENTS, number, random.Random(0))
        assert len(found) == len(set(found)) == min(number, 20)


def test_prepare_code_makes_records_of_each_kind(tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    source.mkdir()
    (source / "a.py").write_text(FILES["python"][0])
    (source / "b.kt").write_text("fun f() { g(1) }\n")
    report = prepare_code(source, out, kinds=[*SyntaxKind, "line"])
    assert report.rows_by_kind == dict.fromkeys(SyntaxKind, 1) | {"line": 2}
    for row in pq.read_table(out).to_pylist():
        whole = row["prefix"] + row["middle_reference"] + row["suffix"]
        assert whole == (source / row["path"]).read_text()
        assert row["middle_reference"] in FILES["python"][0] + "fun f() { g(1) }"
