"""Group a shard's rows into requests, and order the requests. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from batchfim.formats.encoder import Prompt
from batchfim.planning.ordering import sharing_order
from batchfim.planning.sharing import equal_runs


def requests(
    prompts: Mapping[int, Prompt],
    key: Callable[[int], Hashable] | None,
    adapters: Mapping[int, str] | None = None,
) -> Iterator[list[int]]:
    """Groups of rows that one request answers, in sharing order.

    Rows with the same LoRA adapter are adjacent: the cache shares nothing between adapters, and an
    engine holds only some of them at once.

    Args:
        prompts: prompts by row.
        key: a row's key; rows with equal prompts and equal keys get equal middles. None: no two
            rows do, for example because each has its own seed.
        adapters: adapter names by row, for rows that have one.
    """
    groups: dict[str, list[int]] = {}
    for row in prompts:
        groups.setdefault((adapters or {}).get(row, ""), []).append(row)
    for _, rows in sorted(groups.items()):
        yield from _in_order(rows, prompts, key)


def _in_order(
    rows: Sequence[int],
    prompts: Mapping[int, Prompt],
    key: Callable[[int], Hashable] | None,
) -> Iterator[list[int]]:
    token_ids = [prompts[row].token_ids for row in rows]
    order = sharing_order(token_ids)
    if key is None:
        yield from ([rows[position]] for position in order)
        return
    for run in equal_runs(token_ids, order):
        together: dict[Hashable, list[int]] = {}
        for position in run:
            of = key(rows[position]) if len(run) > 1 else None
            together.setdefault(of, []).append(rows[position])
        yield from together.values()
