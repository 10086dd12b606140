"""The order of records within a shard."""

from __future__ import annotations

from array import array
from collections.abc import Sequence


def sharing_order(prompts: Sequence[array[int]]) -> list[int]:
    """Positions of the prompts in the order that shares most prefixes.

    Lexicographic order of the ids is a depth-first walk of the prompt tree, which is optimal for a
    prefix cache (SGLang, arXiv 2312.07104, theorem 3.1).
    """
    return sorted(range(len(prompts)), key=prompts.__getitem__)
