"""YAML as plain data: no aliases, no tags, no numbers beyond 64 bits; one line says where."""

from __future__ import annotations

import pytest

from batchfim.config.plain_yaml import parse_yaml
from batchfim.errors import ConfigError


def test_what_json_can_say_is_read() -> None:
    text = "{a: [1, -2.5, true, null], b: {c: text, 'd': \"e\\n\"}}"
    assert parse_yaml(text) == {"a": [1, -2.5, True, None], "b": {"c": "text", "d": "e\n"}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: &x [1]\nb: [*x, *x]", r"alias \*x .*: write the value out \(line 2, column 5\)"),
        ("&x [*x]", r"alias \*x"),
        ("!!python/name:os.system", "tag .*os.system .*: leave it out"),
        ("!!bool maybe", "tag .* is not supported"),
        ("a: 0x" + "f" * 17, r"number beyond 64 bits \(line 1, column 4\)"),
        ("-9223372036854775809", "number beyond 64 bits"),
        ("a: 1\nb: 2\na: 3", r"duplicate key 'a' \(line 3, column 1\)"),
        (".nan", "number beyond 64 bits"),
        ("-.inf", "number beyond 64 bits"),
        ("9" * 5000, "not a date or a number"),
        ("2001-99-99", "not a date or a number: month"),
        ("[" * 3000, "nested too deeply"),
        ("a: [", r"invalid YAML: .*\(line 1, column 5\)"),
        ("\0", "invalid YAML: unacceptable character"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        parse_yaml(text)
    assert "\n" not in str(refused.value)


def test_the_ends_of_64_bits_are_read() -> None:
    assert parse_yaml("[9223372036854775807, -9223372036854775808, 1.5]")[0] == 2**63 - 1
