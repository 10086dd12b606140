"""Walk a syntax tree without recursion, since files nest deeper than Python's stack allows."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node, Tree


def walk(tree: Tree) -> Iterator[tuple[bool, Node]]:
    """Yield every node twice: with True before its children, and with False after them."""
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
