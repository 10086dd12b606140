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
# Every list of a call, and beside it what only looks like one.
CALLS = {
    "python": ("@f(1)\nclass A(B):\n    x = g(a for a in b)\n", ["1", "a for a in b"]),
    "java": (
        '@A("x") enum E { A(1); @B(b = 2) E(int a) { this(3, a); } T<U> f() { new T<U>(4); } }',
        ["1", "3, a", "4"],
    ),
    "csharp": ("[A(1)] class B { [C(2)] void F() { G<int>(3); new H(4); } }", ["3", "4"]),
    "javascript": ("html`<b>x</b>`; f?.(1); new A(2);\n", ["1", "2"]),
    "typescript": ("@A(1) class B { c = f<number>(2); d = g`x`; }\n", ["1", "2"]),
    "tsx": ("const a = <B c={f(1)} />; g`x`;\n", ["1"]),
    "c": ("int f(int a[2]) { return sizeof(a) + g(1); }", ["1"]),
    "cpp": (
        '[[deprecated("x")]] T<int> f() { new X{1}; new Y(2); return g<3>(4); }',
        ["2", "4"],
    ),
    "go": ("package a\n\nvar b = T[int]{f(1)}\nvar c = make([]T[int], 2)\n", ["1", "[]T[int], 2"]),
    "rust": ("#[derive(Debug)]\n#[cfg(test)]\nfn f() { g::<u8>(1); h.i(2); }\n", ["1", "2"]),
}
BODIES = [
    ("javascript", "const f = function* () { g(); };\n"),
    ("typescript", "class A { get b() { g(); } }\n"),
    ("java", "record A(int b) { A { g(); } }"),
    ("csharp", "class A { ~A() { g(); } }"),
    ("csharp", "class A { public static A operator +(A a, A b) { g(); } }"),
    ("csharp", "class A { public static implicit operator A(int b) { g(); } }"),
    ("csharp", "class A { int B { get { g(); } } }"),
    ("csharp", "class A { B b = delegate { g(); }; }"),
    ("cpp", "A::~A() { g(); }\n"),
    ("rust", "static F: fn() = || { g(); };\n"),
]


def holes(text: str, language: str | None, kind: SyntaxKind, number: int = 99) -> list[str]:
    found = cut_syntax(text, language, None, kind, number, random.Random(0))
    return [text[hole.start : hole.end] for hole in sorted(found, key=lambda hole: hole.start)]


def test_every_language_of_the_trim_rules_is_here() -> None:
    assert set(FILES) == set(LANGUAGES)


@pytest.mark.parametrize(("language", "kind", "text", "wanted"), CASES)
def test_a_hole_holds_the_inside(
    language: str, kind: SyntaxKind, text: str, wanted: list[str]
) -> None:
    assert num_errors(text, "", "", language) == 0
    assert holes(text, language, kind) == wanted


@pytest.mark.parametrize(("language", "text", "wanted"), [(name, *CALLS[name]) for name in FILES])
def test_arguments_are_those_of_calls_without_brackets(
    language: str, text: str, wanted: list[str]
) -> None:
    assert num_errors(text, "", "", language) == 0
    assert holes(text, language, SyntaxKind.CALL_ARGUMENTS) == wanted


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "#if FOO > 2\nint a;\n#elif BAR\n#endif\n"),
        ("cpp", "static_assert(sizeof(int) == 4);\n#if FOO\n#endif\n"),
        ("csharp", "#if DEBUG\n#endif\nclass A { }\n"),
        ("javascript", "for (;;) { f(); }\n"),
        ("typescript", "for (;;) { f(); }\n"),
    ],
)
def test_what_no_program_evaluates_is_no_condition(language: str, text: str) -> None:
    assert num_errors(text, "", "", language) == 0
    assert holes(text, language, SyntaxKind.CONDITION) == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "int f(int a) { switch (a) { case 1: return 2; } return 3; }"),
        ("cpp", "int f(int a) { switch (int b = a; b) { case 1: return 2; } return 3; }"),
        ("csharp", "class A { int F() { switch (a) { default: return a switch { _ => 1 }; } } }"),
        ("java", "class A { int f(int a) { switch (a) { default: a++; } return switch (a) {}; } }"),
        ("javascript", "switch (a) { case 1: f(); }\n"),
        ("go", "package a\n\nfunc f() {\n\tswitch a {\n\tcase 1:\n\t}\n}\n"),
    ],
)
def test_the_value_of_a_switch_is_no_condition(language: str, text: str) -> None:
    assert num_errors(text, "", "", language) == 0
    assert holes(text, language, SyntaxKind.CONDITION) == []


@pytest.mark.parametrize(
    ("loop", "wanted"),
    [
        ("for a < 3 { g() }", ["a < 3"]),
        ("for (a) { g() }", ["a"]),
        ("for // b\n!a /* c */ { g() }", ["!a"]),
        ("for i := 0; i < 3; i++ { g() }", ["i < 3"]),
        ("for { g() }", []),
        ("for /* b */ { g() }", []),
        ("for ;; { g() }", []),
        ("for i := range a { g() }", []),
        ("for range a { g() }", []),
    ],
)
def test_the_condition_of_a_loop_in_go_is_found(loop: str, wanted: list[str]) -> None:
    text = f"package a\n\nfunc f() {{ {loop} }}\n"
    assert num_errors(text, "", "", "go") == 0
    assert holes(text, "go", SyntaxKind.CONDITION) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fn f() { 'a: { break 'a; } }\n", ["break 'a;"]),
        ("fn f() { 'a: /* b */ { /* c */ g(); } }\n", ["/* c */ g();"]),
        ("fn f() { 'a: {} }\n", []),
    ],
)
def test_the_label_of_a_block_is_not_in_it(text: str, wanted: list[str]) -> None:
    assert num_errors(text, "", "", "rust") == 0
    assert holes(text, "rust", SyntaxKind.BLOCK) == wanted


@pytest.mark.parametrize(("language", "text"), BODIES)
def test_whatever_is_called_has_a_body_and_not_a_block(language: str, text: str) -> None:
    assert num_errors(text, "", "", language) == 0
    assert holes(text, language, SyntaxKind.FUNCTION_BODY) == ["g();"]
    assert holes(text, language, SyntaxKind.BLOCK) == []


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
        found = cut_syntax(
            text, "python", None, SyntaxKind.CALL_ARGUMENTS, number, random.Random(0)
        )
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


def test_a_component_in_tsx_is_read_as_one_and_stays_typescript(tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    source.mkdir()
    (source / "a.tsx").write_text("const A = () => { return <b>{1}</b>; };\n")
    prepare_code(source, out, kinds=["function_body"])
    (row,) = pq.read_table(out).to_pylist()
    assert (row["middle_reference"], row["language"]) == ("return <b>{1}</b>;", "typescript")
