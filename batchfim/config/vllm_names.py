"""The names of the installed vLLM's engine arguments, read from its source."""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from batchfim.config.engine import OWNED_ENGINE_ARGS
from batchfim.errors import ConfigError

_MISSPELLED = 0.75  # similarity of a typo; other names that begin alike (`enable_…`) have up to 0.7


def check_names(names: Iterable[str]) -> None:
    """Reject engine arguments that the installed vLLM does not have.

    Raises:
        ConfigError: a name is unknown; the message has the closest known one.
    """
    known = _known_names()
    for name in names:
        if known and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELLED)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"engine.args.{name}: the installed vLLM has no such argument{hint}")


def names_to_set() -> list[str]:
    """The arguments that `engine.args` takes; empty if they are not known."""
    return [name for name in _known_names() if name not in OWNED_ENGINE_ARGS]


def _known_names() -> list[str]:
    """Argument names read from vLLM's source, in a tenth of a second; its import takes several.

    Empty if vLLM is not installed or keeps them elsewhere: then the engine's start reports errors.
    """
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        return []
    source = Path(spec.origin).parent / "engine" / "arg_utils.py"
    if not source.is_file():
        return []
    return [
        statement.target.id
        for node in ast.parse(source.read_text(encoding="utf8")).body
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs"
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
