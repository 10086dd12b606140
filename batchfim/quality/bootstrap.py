"""Means of scores with confidence intervals, over any number of rows in one pass. Pure.

A bootstrap draws records with replacement and takes the mean again, many times. In one pass each
record is drawn Poisson(1) times in each of them (Hanley and MacGibbon 2006; for large tables
Chamandy et al. 2012), so that only sums are kept. The samples of a record are drawn together: they
are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
OTHERS = "(others)"
_MAX_GROUPS = 200
_DIGITS = 6

Floats = NDArray[np.float64]


@dataclass(slots=True)
class _Sums:
    """Of one group: row 0 as it is, the others resampled; a column for each metric."""

    num_rows: int
    values: Floats
    weights: Floats


class Means:
    """Adds up scores, overall and by group; tells means and intervals at the end."""

    def __init__(self, metrics: Sequence[str], resamples: int, seed: int) -> None:
        self._metrics = tuple(metrics)
        self._resamples = resamples
        self._draw = np.random.default_rng(seed)
        self._overall = self._empty()
        self._groups: dict[str, dict[str, _Sums]] = {}

    def add(
        self, scores: Floats, records: NDArray[np.int64], groups: Mapping[str, Sequence[str | None]]
    ) -> None:
        """Add some rows. All rows of a record must come together.

        Args:
            scores: rows by metrics; NaN: not measured.
            records: each row's record, counted from 0 within this call.
            groups: each row's group by dimension, None: in none.
        """
        if not len(records):
            return
        drawn = self._draw.poisson(1.0, (int(records.max()) + 1, self._resamples))[records]
        weights = np.concatenate([np.ones((len(records), 1)), drawn], axis=1)
        everything = np.arange(len(records))
        self._add(self._overall, scores, weights, everything)
        for dimension, names in groups.items():
            sums = self._groups.setdefault(dimension, {})
            for name, rows in _places(names).items():
                known = name in sums or len(sums) < _MAX_GROUPS
                self._add(
                    sums.setdefault(name if known else OTHERS, self._empty()), scores, weights, rows
                )

    def overall(self) -> dict[str, Any]:
        """`rows`, and for each metric that was measured `value`, `low`, `high` and `rows`."""
        return self._told(self._overall)

    def groups(self, dimension: str) -> dict[str, dict[str, Any]]:
        """The same for each group; empty where no row is in one."""
        return {name: self._told(sums) for name, sums in self._groups.get(dimension, {}).items()}

    def _empty(self) -> _Sums:
        shape = (self._resamples + 1, len(self._metrics))
        return _Sums(0, np.zeros(shape), np.zeros(shape))

    @staticmethod
    def _add(sums: _Sums, scores: Floats, weights: Floats, rows: NDArray[np.int64]) -> None:
        chosen, drawn = scores[rows], weights[rows].T
        measured = ~np.isnan(chosen)
        sums.num_rows += len(rows)
        sums.values += drawn @ np.where(measured, chosen, 0.0)
        sums.weights += drawn @ measured.astype(np.float64)

    def _told(self, sums: _Sums) -> dict[str, Any]:
        entry: dict[str, Any] = {"rows": sums.num_rows}
        for place, name in enumerate(self._metrics):
            values, weights = sums.values[:, place], sums.weights[:, place]
            if not weights[0]:
                continue
            drawn = weights[1:] > 0
            means = values[1:][drawn] / weights[1:][drawn]
            tail = 50 * (1 - CONFIDENCE)
            low, high = np.percentile(means, [tail, 100 - tail]) if means.size else (0.0, 1.0)
            entry[name] = {
                "value": round(float(values[0] / weights[0]), _DIGITS),
                "low": round(float(low), _DIGITS),
                "high": round(float(high), _DIGITS),
                "rows": int(weights[0]),
            }
        return entry


def _places(names: Sequence[str | None]) -> dict[str, NDArray[np.int64]]:
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            places.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in places.items()}
