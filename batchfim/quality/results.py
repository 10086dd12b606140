"""Scores of rows on their way to `evaluation.json`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from batchfim.quality.bootstrap import CONFIDENCE, Means
from batchfim.quality.metrics import bucket_order, label
from batchfim.quality.rows import Scored, Sources, groups_of, metric_names

_VERSION = 1
_DIMENSIONS = ("family", "language", "kind", "length")


class Results:
    """Takes the scores of every row once, and tells what they come to."""

    def __init__(
        self, output: str, sources: Sources, seed: int, resamples: int, notes: Sequence[str]
    ) -> None:
        self.metrics = metric_names(())
        self.num_rows = 0
        self._head = {
            "version": _VERSION,
            "output": output,
            "middle": sources.middle,
            "reference": sources.reference,
            "seed": seed,
            "resamples": resamples,
            "confidence": CONFIDENCE,
        }
        self._notes = list(notes)
        self._means = Means(self.metrics, resamples, seed)
        self._num_records = 0
        self._without_reference = 0

    def add(self, scored: Sequence[Scored]) -> None:
        """Add the rows of a chunk."""
        records = np.array([one.row.record for one in scored], np.int64)
        values = [[one.scores.get(name, np.nan) for name in self.metrics] for one in scored]
        self._means.add(np.array(values, np.float64), records, groups_of(scored))
        self.num_rows += len(scored)
        self._num_records += len(np.unique(records))
        self._without_reference += sum(one.row.reference is None for one in scored)

    def told(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """`evaluation.json`.

        Args:
            counts: all rows of the job by status, as its ledger says.

        Returns:
            `version`, `output`; `middle`, `reference`, the columns; `seed`, `resamples` and
            `confidence` of the intervals; `rows`, counts; `notes`, texts for a person; `metrics`,
            those measured, each with `name`, `label` and `unit`; `overall`, `rows` and for each
            metric its mean `value`, the interval from `low` to `high` and the `rows` it is of;
            `by`, the same for each group of each dimension.
        """
        overall = self._means.overall()
        by = {dimension: self._ordered(dimension) for dimension in _DIMENSIONS}
        rows = {name: counts[name] for name in ("rows", "ok", "rejected", "failed")}
        return self._head | {
            "rows": rows
            | {"records": self._num_records, "without_reference": self._without_reference},
            "notes": self._notes + self._found(),
            "metrics": [
                {"name": name, "label": label(name), "unit": "share"}
                for name in self.metrics
                if name in overall
            ],
            "overall": overall,
            "by": {dimension: groups for dimension, groups in by.items() if groups},
        }

    def _ordered(self, dimension: str) -> dict[str, Any]:
        groups = self._means.groups(dimension)
        if dimension == "length":
            return {name: groups[name] for name in sorted(groups, key=bucket_order)}
        return dict(sorted(groups.items(), key=lambda group: (-group[1]["rows"], group[0])))

    def _found(self) -> list[str]:
        if self._head["reference"] is None or not self._without_reference:
            return []
        return [
            f"{self._without_reference:,} rows have no {self._head['reference']} (null): they are "
            "not compared with a reference"
        ]
