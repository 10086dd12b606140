"""Means of scores with confidence intervals, over any number of rows in one pass; pure functions.

A bootstrap draws rows with replacement and recomputes the mean, many times. In one pass, each row
is drawn Poisson(1) times in each resample (Hanley and MacGibbon 2006; for large tables Chamandy et
al. 2012), so only sums are kept. Rows that are not independent, such as the samples of a record or
the holes of a file, form one cluster and are drawn together, wherever they occur.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
OTHERS = "(others)"
_MAX_GROUPS = 200
_DIGITS = 6
_NO_WIDTH = 1e-9

Floats = NDArray[np.float64]


@dataclass(slots=True)
class _Sums:
    """Sums of one group: row 0 as observed, the other rows resampled; one column per metric."""

    num_rows: int
    values: Floats
    weights: Floats


class Means:
    """Accumulates scores, overall and by group, and computes their means and intervals."""

    def __init__(self, metrics: Sequence[str], resamples: int, seed: int) -> None:
        self._metrics = tuple(metrics)
        self._resamples = resamples
        self._seed = seed
        self._overall = self._empty()
        self._groups: dict[str, dict[str, _Sums]] = {}

    def add(
        self, scores: Floats, clusters: Sequence[str], groups: Mapping[str, Sequence[str | None]]
    ) -> None:
        """Add some rows.

        Args:
            scores: rows by metrics, each from 0 to 1, or NaN if not measured.
            clusters: the cluster of each row.
            groups: the group of each row by dimension, or None if it is in none.
        """
        if not clusters:
            return
        drawn = {cluster: self._drawn(cluster) for cluster in dict.fromkeys(clusters)}
        weights = np.array([drawn[cluster] for cluster in clusters])
        everything = np.arange(len(clusters))
        self._add(self._overall, scores, weights, everything)
        for dimension, names in groups.items():
            sums = self._groups.setdefault(dimension, {})
            for name, rows in _places(names).items():
                known = name in sums or len(sums) < _MAX_GROUPS
                self._add(
                    sums.setdefault(name if known else OTHERS, self._empty()), scores, weights, rows
                )

    def overall(self) -> dict[str, Any]:
        """`rows`, and `value`, `low`, `high` and `rows` of each metric that was measured."""
        return self._entry(self._overall)

    def groups(self, dimension: str) -> dict[str, dict[str, Any]]:
        """The entries of `overall` for each group of a dimension; empty if no row is in one."""
        return {name: self._entry(sums) for name, sums in self._groups.get(dimension, {}).items()}

    def _drawn(self, cluster: str) -> Floats:
        """How often a cluster occurs as observed and in each resample; deterministic."""
        digest = hashlib.blake2b(cluster.encode("utf8", "replace"), digest_size=8).digest()
        key = np.array([self._seed, int.from_bytes(digest)], np.uint64)
        times = np.random.Generator(np.random.Philox(key=key)).poisson(1.0, self._resamples)
        return np.concatenate([[1.0], times])

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

    def _entry(self, sums: _Sums) -> dict[str, Any]:
        entry: dict[str, Any] = {"rows": sums.num_rows}
        for place, name in enumerate(self._metrics):
            values, weights = sums.values[:, place], sums.weights[:, place]
            if not weights[0]:
                continue
            low, high = _interval(values, weights)
            entry[name] = {
                "value": round(float(values[0] / weights[0]), _DIGITS),
                "low": round(low, _DIGITS),
                "high": round(high, _DIGITS),
                "rows": int(weights[0]),
            }
        return entry


def _interval(values: Floats, weights: Floats) -> tuple[float, float]:
    """Confidence interval of a mean, from its sum and weight as observed and in each resample.

    If all scores are 0, or all are 1, no resample differs and the exact bound of a proportion is
    used (Clopper and Pearson 1934). Its number of rows is the effective number of independent rows,
    derived from the variance of the weights, which is the sum of the clusters' squared sizes.

    If no resample differs for another reason, such as that all rows are of one cluster, it is the
    score interval of a proportion (Wilson 1927) with that number.
    """
    independent = max(weights[0] ** 2 / max(weights[1:].var(), weights[0]), 1.0)
    if values[0] in (0, weights[0]):
        bound = 1 - ((1 - CONFIDENCE) / 2) ** (1 / independent)
        return (0.0, bound) if values[0] == 0 else (1 - bound, 1.0)
    drawn = weights[1:] > 0
    means = values[1:][drawn] / weights[1:][drawn]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail]) if means.size else (0.0, 1.0)
    if high - low < _NO_WIDTH:
        return _wilson(values[0] / weights[0], independent)
    return float(low), float(high)


def _wilson(share: float, independent: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = share + z**2 / (2 * independent)
    half = z * math.sqrt(share * (1 - share) / independent + (z / (2 * independent)) ** 2)
    scale = 1 + z**2 / independent
    return float((middle - half) / scale), float((middle + half) / scale)


def _places(names: Sequence[str | None]) -> dict[str, NDArray[np.int64]]:
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            places.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in places.items()}
