"""The truncation rules, on middles as models write them."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from batchfim.config import Columns
from batchfim.errors import ConfigError
from batchfim.quality.rows import Row, score
from batchfim.quality.rules import RULES, find_rule
from batchfim.quality.sources import find_sources

ROW = Row(
    **{"place": 0, "record": 0, "sample": 0, "id": None, "middle": "", "reference": "a\n\nb\n"},
    **{"prefix": "", "suffix": "", "language": "python", "kind": None, "test": None},
    **{"entry_point": None, "cluster": None, "family": "demo"},
    **{"stop_rule": "eot", "degenerate": None},
)
LOOP = replace(ROW, prefix="def f(xs):\n    for x in xs:\n        ", suffix="\n    return xs\n")
JAVA = replace(
    ROW, language="java", prefix="class A { int f(int a) {\n", suffix="\nreturn a; } }\n"
)


def cut(rule: str, text: str, row: Row = ROW) -> str:
    return find_rule(rule)(text, row)


@pytest.mark.parametrize("rule", ["as_is", "humaneval-infilling", "santacoder-fim"])
def test_some_cut_nothing(rule: str) -> None:
    assert cut(rule, " x\n\ny\n") == " x\n\ny\n"


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x\ny", "x"), ("\n  x\ny", "  x"), (" \nx\ny", "x"), ("\n\nx", ""), ("", "")],
)
def test_fim_bench_takes_one_line(text: str, kept: str) -> None:
    assert cut("fim-bench", text) == kept


def test_fim_bench_lines_takes_as_many_as_the_reference_has() -> None:
    assert cut("fim-bench-lines", "\nx\n\ny\nz\n") == "x\ny"
    assert cut("fim-bench-lines", "x\ny", replace(ROW, reference=None)) == "x\ny"


def test_crosscodeeval_takes_pythons_first_whole_statement() -> None:
    row = replace(ROW, prefix="def f():\n    return ")
    assert cut("crosscodeeval", "g(\n  1,\n)\nx = 2\n", row) == "g(\n  1,\n)"
    assert cut("crosscodeeval", "g(1", row) == "g(1"


@pytest.mark.parametrize(
    ("text", "kept"), [("f(a); g(b);", "f(a);"), ("if (a) { b }", "if (a) {"), ("; a", "; a")]
)
def test_crosscodeeval_takes_others_up_to_a_semicolon_or_brace(text: str, kept: str) -> None:
    assert cut("crosscodeeval", text, JAVA) == kept


@pytest.mark.parametrize(
    ("row", "text", "kept"),
    [(ROW, "\nx in xs:\n  y", "x in xs:"), (JAVA, "i < f(n); i++) { }", "i < f(n); i++")],
)
def test_safim_control_ends_where_the_expression_does(row: Row, text: str, kept: str) -> None:
    assert cut("safim-control", text, row) == kept


@pytest.mark.parametrize(
    ("text", "kept"), [("np.ones((n, n)) + 1", "np.ones((n, n))"), ("a) b", "a)"), ("a(", "a(")]
)
def test_safim_api_ends_where_the_call_does(text: str, kept: str) -> None:
    assert cut("safim-api", text) == kept


def test_safim_block_drops_lines_that_are_not_of_the_block() -> None:
    good = "x += 1\n        g(x)\n"
    assert cut("safim-block", good + "    return 1\n    y = 2\n", LOOP) == good
    assert cut("safim-block", good + "print(\n", LOOP) == good
    assert cut("safim-block", "a = 1;\nb = 2;\n} int g() {\n", JAVA) == "a = 1;\nb = 2;\n"


def test_safim_block_leaves_nothing_where_nothing_fits() -> None:
    assert cut("safim-block", ")))", LOOP) == ""


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_takes_any_text_and_keeps_nothing_new(rule: str) -> None:
    for text in ("", "\n", "é😀\r\n\x00", "((((", "))))", "x" * 300):
        for row in (ROW, JAVA, replace(ROW, language=None, prefix=None, suffix=None)):
            assert set(cut(rule, text, row)) <= set(text)


def test_an_unknown_rule_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="unknown rule 'best'; give one of as_is, human"):
        find_rule("best")


def test_a_line_that_a_rule_left_stands_in_the_file_as_a_line() -> None:
    hole = replace(ROW, prefix="def f():\n", suffix="    return x\n", reference="    x = 1\n")
    scored = score(replace(hole, middle="    x = 1\n    y = 2\n"), find_rule("fim-bench"))
    assert (scored.in_file, scored.scores["valid_syntax"]) == ("    x = 1\n", 1.0)
    for again in ("    x = 1\n    x = 1\n    x = 1", "    x = 1\n    y =     x = 1"):
        looped = score(replace(hole, middle=again), find_rule("fim-bench"))
        assert (looped.in_file, looped.scores["valid_syntax"]) == ("    x = 1\n", 1.0)
    within = replace(ROW, prefix="x = ", suffix="\n", middle="1\ny")
    assert score(within, find_rule("fim-bench")).in_file == "1"
    as_it_is = replace(hole, middle="    x = 1")
    assert score(as_it_is, find_rule("as_is")).in_file == "    x = 1"


def test_the_file_is_parsed_where_the_prompt_holds_more_than_the_file() -> None:
    names = ("middle", "prefix", "suffix", "file_prefix", "file_suffix")
    columns = dict.fromkeys(Columns.model_fields) | {"prefix": "prefix", "suffix": "suffix"}
    schema = pa.schema([(name, pa.string()) for name in names])
    found, _ = find_sources(schema, columns, "middle", None)
    assert (found.prefix, found.suffix) == ("file_prefix", "file_suffix")
    found, _ = find_sources(pa.schema(list(schema)[:3]), columns, "middle", None)
    assert (found.prefix, found.suffix) == ("prefix", "suffix")
