"""Walk a syntax tree without recursion: files nest deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node, Tree


def walk(tree: Tree) -> Iterator[tuple[bool, Node]]:
    """Every node twice: with True as it begins, and with False after its children."""
    cursor = tree.walk()
    entering = True
    while True:
        node = cursor.node
        assert node is not None
        if entering:
            yield True, node
            if cursor.goto_first_child():
                continue
        yield False, node
        entering = cursor.goto_next_sibling()
        if not entering and not cursor.goto_parent():
            return
