"""The syntax rule: as little as possible is cut, in ten languages, in real files, for any text."""

from __future__ import annotations

import bisect
import colorsys
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Parser

from batchfim.formats import syntax
from batchfim.formats.languages import LANGUAGES, find_language, grammar
from batchfim.formats.syntax import MAX_CUTS, MAX_FILE_BYTES, cuts, syntax_end
from batchfim.formats.trimming import Ended, trim
from batchfim.records import Hole

FILES = [Path(module.__file__) for module in (bisect, colorsys, textwrap)]
# Open brackets and quotes, so that most texts are wrong somewhere.
CODE = st.text(st.sampled_from("ab1 =()[]{}:;,\"'\n\té#/"), max_size=30)


def error_spans(text: str, language: str) -> list[tuple[int, int]]:
    """Start and end of the ERROR and MISSING nodes of a text, looked for in every node."""
    nodes = [Parser(grammar(language)).parse(text.encode("utf8", "surrogatepass")).root_node]
    found = []
    while nodes:
        node = nodes.pop()
        found += [(node.start_byte, node.end_byte)] * (node.is_error or node.is_missing)
        nodes += node.children
    return found


def errors(text: str, language: str) -> int:
    return len(error_spans(text, language))


def cut(text: str, prefix: str, suffix: str, language: str = "python") -> str:
    return text[: syntax_end(text, prefix, suffix, language)]


@pytest.mark.parametrize(
    ("language", "prefix", "text", "suffix", "expected"),
    [
        ("python", "def f(a):\n", "    b = a\n    return g(b", "\n", "    b = a\n    return g"),
        ("python", "x = [\n", "    1,\n    2]\nfor", "]\n", "    1,\n    2"),
        ("java", "class A { int f() {\n", " return 1;\n}\n}\nclass", " } }\n", " return 1;\n"),
        ("javascript", "function f(a) {\n", "  return a;\n}\n", "}\n", "  return a;\n"),
        ("typescript", "let a: number", " = 1;\nlet b: (", "\n", " = 1;\nlet b"),
        ("tsx", "const a = <b>", "{c}</b>", "</b>;\n", "{c}"),
        ("c", "int f(int a) {\n", "  return a;\n}\n", "}\n", "  return a;\n"),
        ("cpp", "template <class T> T f(T a) {\n", "  return a;\n}\n", "}\n", "  return a;\n"),
        ("csharp", "class A { int F() {\n", "  return 1; }", "}\n}\n", "  return 1; "),
        ("go", "package p\nfunc f() int {\n", "\treturn 1\n}\n", "}\n", "\treturn 1\n"),
        ("rust", "fn f(a: u8) -> u8 {\n", "    a + 1\n}\n", "}\n", "    a + 1\n"),
    ],
)
def test_what_a_suffix_closes_again_is_cut(
    language: str, prefix: str, text: str, suffix: str, expected: str
) -> None:
    assert cut(text, prefix, suffix, language) == expected
    assert errors(prefix + expected + suffix, language) == 0
    assert errors(prefix + text + suffix, language) > 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_grammar_loads_and_says_yes_and_no(language: str) -> None:
    good = {"python": "a = 1\n", "go": "package p\n", "rust": "fn f() {}\n"}
    assert errors(good.get(language, ""), language) == 0
    assert errors("(]{", language) > 0


def test_a_file_that_parses_keeps_its_middle() -> None:
    assert cut("a + 1", "x = ", "\n") == "a + 1"
    assert cut("", "x = ", "\n") == ""


def test_errors_of_the_record_itself_are_not_the_middles() -> None:
    """`class (` before the hole stays wrong whatever is cut."""
    prefix = "class (:\n    pass\n\n\ndef f():\n    "
    assert errors(prefix + "return 1\n", "python") > 0
    assert cut("return 1", prefix, "\n") == "return 1"
    assert cut("return g(1)", "def f():\n    ", "\n\nx = (\n") == "return g(1)"


def test_an_empty_hole_that_is_an_error_is_no_measure() -> None:
    """`x = ` alone is as wrong as `x = 1)`; `x = 1` is right."""
    assert cut("1)", "x = ", "\n") == "1"


def test_offsets_are_of_characters_whatever_their_bytes() -> None:
    assert cut("'é名😀' + g(", "x = 'ñ' + ", "\ny = '名'\n") == "'é名😀' + g"


def test_cuts_are_ends_of_words_then_of_lines_then_nothing() -> None:
    assert cuts("ab  (c\r\n d", 100) == [9, 8, 6, 5, 4, 2, 0]
    assert cuts("a", 100) == [0]
    text = "aa bb\ncc dd\nee ff\ngg"
    assert cuts(text, 4) == [18, 17, 12, 11, 0]
    assert len(cuts("x y\n" * 1000, 128)) == 129


def test_the_work_is_bounded_and_the_best_cut_so_far_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[int] = []
    count = syntax._File.errors

    def counting(file: syntax._File, end: int) -> int:
        parsed.append(end)
        return count(file, end)

    monkeypatch.setattr(syntax._File, "errors", counting)
    prefix, text = "class (:\n    pass\n\n", "a = b\n" * 200 + "g(g("
    assert cut(text, prefix, "\n") == "a = b\n" * 200 + "g"
    assert len(parsed) == 1 + MAX_CUTS + 1 + 1  # the whole, the cuts, nothing, the proof
    for steps in (0, 1, 2, 10, 100):
        parsed.clear()
        monkeypatch.setattr(syntax, "_MAX_STEPS", steps)
        kept = cut(text, prefix, "\n")
        assert text.startswith(kept)
        assert len(parsed) < MAX_CUTS
        wrong = [errors(f"{prefix}{some}\n", "python") for some in (text, kept)]
        assert kept == text or wrong[1] < wrong[0]


def test_a_file_full_of_errors_is_soon_given_up() -> None:
    rng = random.Random(1)
    junk = "".join(rng.choice("(){}[]'\"\n :;=abc #/*") for _ in range(40_000))
    kept = cut(junk[:500], junk[:20_000], junk[20_000:], "javascript")
    assert junk.startswith(kept)


def test_a_file_too_large_is_left_alone() -> None:
    line = "x = '" + "a" * 93 + "'\n"
    assert cut("y = (", line * (MAX_FILE_BYTES // 100), "\n" * 90) == "y = ("
    assert cut("y = (", line * (MAX_FILE_BYTES // 100 - 1), "\n" * 90) == "y "


def test_real_files_get_their_own_middle_back_or_more() -> None:
    """The original middle is among the cuts, so the filled file parses however it went on."""
    rng = random.Random(3)
    for _ in range(60):
        text = rng.choice(FILES).read_text(encoding="utf8")
        lines = text.splitlines(keepends=True)
        first = rng.randrange(len(lines) - 5)
        prefix, middle = "".join(lines[:first]), "".join(lines[first : first + 4])
        suffix = text[len(prefix) + len(middle) :]
        tail = rng.choice(["foo(bar, ", "    return (\n", "]\n", "if x\n  y\n", "'", "}}}"])
        kept = cut(middle + tail, prefix, suffix)
        assert kept.startswith(middle)
        assert errors(prefix + kept + suffix, "python") == 0
        assert cut(middle, prefix, suffix) == middle


@settings(deadline=None, max_examples=200)
@given(text=CODE, prefix=CODE, suffix=CODE, language=st.sampled_from(LANGUAGES))
def test_never_more_errors_and_nothing_cut_for_nothing(
    text: str, prefix: str, suffix: str, language: str
) -> None:
    kept = cut(text, prefix, suffix, language)
    hole = len(prefix.encode())
    before = error_spans(prefix + text + suffix, language)
    after = error_spans(prefix + kept + suffix, language)
    assert text.startswith(kept)
    assert len(after) <= len(before)
    beyond = [sum(end > hole or start == hole for start, end in some) for some in (before, after)]
    assert kept == text or not after or beyond[1] < beyond[0]
    assert kept or text == kept or not after
    assert cut(kept, prefix, suffix, language) == kept


@settings(deadline=None)
@given(
    text=st.text(st.characters(), max_size=20),
    prefix=st.text(st.characters(), max_size=20),
    language=st.sampled_from(LANGUAGES),
)
def test_any_text_is_worked(text: str, prefix: str, language: str) -> None:
    """Lone surrogates, NUL, control characters and all."""
    kept = cut(text, prefix, text, language)
    assert text.startswith(kept)


def test_without_a_language_nothing_is_cut() -> None:
    assert trim("(((", Hole("", ""), Ended(language=None), ["syntax"]) == ("(((", [])
    assert trim("(((", Hole("", ""), Ended(language="python"), ["syntax"]) == ("", ["syntax"])


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("Python", None, "python"),
        (" C++ ", None, "cpp"),
        ("C#", "a.py", "csharp"),
        ("cobol", "a.py", None),  # the name is not overruled
        (None, "src/Main.java", "java"),
        ("", "x/y.TSX", "tsx"),
        (None, "a.h", "c"),
        (None, "Makefile", None),
        (None, "python", None),
        (None, None, None),
    ],
)
def test_a_language_by_name_or_path(
    name: str | None, path: str | None, expected: str | None
) -> None:
    assert find_language(name, path) == expected


def test_grammars_come_when_they_are_needed() -> None:
    code = (
        "import sys, batchfim.formats.trimming as t, batchfim.formats.languages as l\n"
        "loaded = lambda: sorted(m for m in sys.modules if m.startswith('tree_sitter_'))\n"
        "assert loaded() == [], loaded()\n"
        "l.grammar('go')\n"
        "assert loaded() and all(m.startswith('tree_sitter_go') for m in loaded()), loaded()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
