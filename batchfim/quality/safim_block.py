"""SAFIM's rule for blocks: drop trailing lines until the middle only adds to the syntax tree.

Source: gonglinyuan/safim, `prompt_utils.py` (`truncate_line_until_block`) and `ast_utils.py`.
"""

from __future__ import annotations

from tree_sitter import Parser

from batchfim.formats.languages import grammar
from batchfim.formats.syntax import MAX_FILE_BYTES
from batchfim.formats.walking import walk

_Step = tuple[bool, str]  # a node's begin or end, and its type
# Placeholder for a block, and the number of steps that vanish with it: the begin and end of its
# statement and of its keyword.
_EMPTY_BLOCK = {"python": ("pass", 4)}


def until_block(text: str, prefix: str, suffix: str, language: str) -> str:
    """The longest start of `text`, in whole lines, that fits as a block; empty if none does."""
    empty, extra = _EMPTY_BLOCK.get(language, ("", 0))
    before = _steps(prefix + empty + suffix, language)
    if before is None or len((prefix + text + suffix).encode("utf8", "replace")) > MAX_FILE_BYTES:
        return text
    lines = text.splitlines(keepends=True)
    while lines:
        after = _steps(prefix + "".join(lines) + suffix, language)
        if after is not None and len(after) >= len(before):
            shared = _shared(before, after) + _shared(before[::-1], after[::-1])
            if len(before) - shared == extra:
                break
        lines.pop()
    return "".join(lines)


def _steps(file: str, language: str) -> list[_Step] | None:
    """The steps of a walk of the syntax tree; None if it has an error other than a single `;`."""
    tree = Parser(grammar(language)).parse(file.encode("utf8", "replace"))
    steps = []
    for entering, node in walk(tree):
        if entering and node.type == "ERROR" and node.text != b";":
            return None
        steps.append((entering, node.type))
    return steps


def _shared(first: list[_Step], second: list[_Step]) -> int:
    """Number of steps at which two walks begin alike."""
    for place, (ours, theirs) in enumerate(zip(first, second, strict=False)):
        if ours != theirs:
            return place
    return min(len(first), len(second))
