"""Which rows of a shard one request answers, and in which order the engine gets them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping

from batchfim.formats.encoder import Prompt
from batchfim.planning.ordering import sharing_order
from batchfim.planning.sharing import equal_runs


def requests(
    prompts: Mapping[int, Prompt], key: Callable[[int], Hashable] | None
) -> Iterator[list[int]]:
    """Rows in sharing order, those together that one request answers.

    Args:
        prompts: by row.
        key: of a row; those with equal prompts and equal keys get equal middles. None: no two
            do, as where every row draws with a seed of its own.
    """
    rows = list(prompts)
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
