"""Which rows of a shard one request answers, and in which order the engine gets them. Pure."""

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
    """Rows in sharing order, those together that one request answers.

    Rows for one LoRA adapter come together: the cache shares nothing between adapters, and an
    engine holds only some of them at once.

    Args:
        prompts: by row.
        adapters: by row, of those that have one.
        key: of a row; those with equal prompts and equal keys get equal middles. None: no two
            do, as where every row draws with a seed of its own.
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
