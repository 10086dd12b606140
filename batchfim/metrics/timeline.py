"""Activity of each worker over time, from the table of shards; pure functions.

A shard's rows are spread evenly over the time of its generation, since its report does not say what
happened within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
_BINS = 240
_SHARDS_PER_BIN = 1.5  # narrower bins would show where shards end, not how fast they were


@dataclass(frozen=True)
class Spans:
    """When shards were generated: seconds since the first began, without the time between runs.

    `of` has the indices of each worker's shards in the columns.
    """

    of: Mapping[str, npt.NDArray[np.int64]]
    start_s: Floats
    end_s: Floats
    shards: pa.Table

    @property
    def total_s(self) -> float:
        return float(self.end_s.max(initial=0.0))


@dataclass(frozen=True)
class Timeline:
    """Means over equal time steps, by worker; `edges_s` has one entry more than each line."""

    edges_s: Floats
    rows_per_s: dict[str, Floats]
    in_flight: dict[str, Floats]
    cached_share: dict[str, Floats]  # NaN if there were no prompt tokens


def spans(shards: pa.Table) -> Spans:
    """Place the runs one after another.

    Args:
        shards: columns `metrics.shard_table.SHARD_SCHEMA`.
    """
    begin = _floats(shards, "started_at")
    start = begin + _floats(shards, "read_s") + _floats(shards, "encode_s")
    end = start + np.maximum(_floats(shards, "generate_s"), 1e-6)
    offset_s = 0.0
    runs = _places(shards["run"].to_pylist())
    for here in sorted(runs.values(), key=lambda places: float(begin[places].min())):
        shift = offset_s - begin[here].min()
        start[here] += shift
        end[here] += shift
        offset_s = float(end[here].max())
    return Spans(_places(shards["worker"].to_pylist()), start, end, shards)


def timeline(spans: Spans) -> Timeline:
    """Throughput, rows in flight and cached share over time, by worker."""
    names = sorted(spans.of, key=_by_number)
    per_worker = spans.shards.num_rows / max(len(names), 1)
    bins = int(min(max(per_worker * _SHARDS_PER_BIN, 12), _BINS))
    edges = np.linspace(0.0, max(spans.total_s, 1e-6), bins + 1)
    width_s = edges[1] - edges[0]
    amounts_of = {
        column: _floats(spans.shards, column)
        for column in ("rows", "latency_s", "prompt_tokens", "cached_tokens")
    }
    rows, flight, cached = {}, {}, {}
    for name in names:
        mine = spans.of[name]
        start, end = spans.start_s[mine], spans.end_s[mine]
        amounts = {
            column: _binned(start, end, values[mine], edges)
            for column, values in amounts_of.items()
        }
        rows[name] = amounts["rows"] / width_s
        flight[name] = amounts["latency_s"] / width_s  # Little's law
        cached[name] = share(amounts["cached_tokens"], amounts["prompt_tokens"])
    return Timeline(edges, rows, flight, cached)


def share(part: Floats, whole: Floats) -> Floats:
    """Quotient of part and whole; NaN if the whole is negligible."""
    known = whole > 1e-9 * max(float(whole.max(initial=0.0)), 1e-9)
    return np.where(known, part / np.where(known, whole, 1.0), np.nan)


def _binned(start: Floats, end: Floats, amounts: Floats, edges: Floats) -> Floats:
    """Amount between each two edges, with each shard's amount spread evenly over its span."""
    rate = amounts / (end - start)
    times = np.concatenate([start, end])
    order = np.argsort(times, kind="stable")
    times = times[order]
    rates = np.cumsum(np.concatenate([rate, -rate])[order])
    sums = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(times))])
    return np.maximum(np.diff(np.interp(edges, times, sums)), 0.0)


def busy_s(spans: Spans) -> Mapping[str, tuple[float, float, float]]:
    """For each worker, its seconds of generation, its first start and its last end."""
    found = {}
    for name, mine in spans.of.items():
        order = np.argsort(spans.start_s[mine])
        start, end = spans.start_s[mine][order], spans.end_s[mine][order]
        reached = np.maximum.accumulate(end)
        new = np.maximum(start[1:], reached[:-1])
        total = (end[0] - start[0]) + np.maximum(end[1:] - new, 0.0).sum()
        found[name] = (float(total), float(start[0]), float(reached[-1]))
    return found


def _places(names: list[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Indices of each name."""
    found, numbers = np.unique(np.array(names, np.str_), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    cuts = np.searchsorted(numbers[order], np.arange(1, len(found)))
    return dict(zip(map(str, found), np.split(order, cuts), strict=True)) if names else {}


def _by_number(name: str) -> tuple[int, str]:
    number = name.rpartition("-")[2]
    return (int(number) if number.isdigit() else 0, name)


def _floats(table: pa.Table, column: str) -> Floats:
    return np.asarray(table[column].to_numpy(zero_copy_only=False), np.float64).copy()
