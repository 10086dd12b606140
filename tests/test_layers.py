"""Imports run downward: each part of the package imports only parts below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "batchfim"
# From the top down. Those on one line do not import each other.
LAYERS = """
    __main__
    cli
    demo exits ray_data
    api
    forecast
    report tuning
    quality runs
    driver
    workers
    engines regroup
    models
    accounts cluster
    planning storage
    config telemetry
    metrics prepare
    formats
    records
    arrow sandbox shards signals surroundings versions
    terminal
    errors
"""
RANKS = {name: rank for rank, line in enumerate(LAYERS.splitlines()) for name in line.split()}


def imports(node: ast.AST) -> Iterator[str]:
    """Modules that a syntax tree imports, wherever it does, except those for type checks alone."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def upward() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for module in imports(ast.parse(path.read_text())):
            package, *names = module.split(".")
            if package != "batchfim" or not names or names[0] == part:
                continue
            if RANKS[names[0]] <= RANKS[part]:
                yield f"{path.relative_to(PACKAGE)} imports {module}"


def test_every_part_has_its_layer() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__"} == RANKS.keys()


def test_imports_run_downward() -> None:
    assert list(upward()) == []
