"""Every command's `--help` has an example that its own parser takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from batchfim.cli import app


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_that_parses(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    examples = [shlex.split(text) for text in re.findall(r"`(batchfim\s[^`]*)`", shown.output)]
    own = [words[1 + len(path) :] for words in examples if words[1 : 1 + len(path)] == [*path]]
    assert own, shown.output
    for words in own:
        COMMANDS[path].make_context(" ".join(path), words)


def test_all_commands_are_there() -> None:
    assert {("run",), ("prepare", "code"), ("compare",)} < COMMANDS.keys()
    assert len(COMMANDS) >= 19
