"""Accumulate the scores of rows into `evaluation.json`; no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from batchfim.quality.bootstrap import CONFIDENCE, Means
from batchfim.quality.functional import Tests, not_run
from batchfim.quality.options import Options
from batchfim.quality.rows import Scored, Sources, groups_of, metric_names
from batchfim.quality.scores import bucket_order, label
from batchfim.sandbox.sandbox import OUT_OF_TIME

_VERSION = 1
_DIMENSIONS = ("family", "language", "kind", "length")


class Results:
    """Takes the scores of every row once and summarizes them."""

    def __init__(
        self, output: str, sources: Sources, options: Options, tests: Tests | None
    ) -> None:
        self.metrics = metric_names(tests.ks if tests else ())
        self.num_rows = 0
        self.notes: list[str] = []
        self._has_tests = sources.test is not None
        self._tests = tests
        self._head = {
            "version": _VERSION,
            "output": output,
            "middle": sources.middle,
            "reference": sources.reference,
            "rule": options.rule,
            "seed": options.seed,
            "resamples": options.resamples,
            "confidence": CONFIDENCE,
            "sandbox": tests.sandbox.confinement if tests else None,
        }
        self._means = Means(self.metrics, options.resamples, options.seed)
        self._counts = Counter(records=0, without_reference=0, executed=0)
        self._not_run: Counter[str] = Counter()
        self._out_of_time = 0
        self._references_cut = 0

    def add(self, part: str, scored: Sequence[Scored]) -> None:
        """Add the rows of a chunk of a part."""
        clusters = [one.cluster(part) for one in scored]
        values = [[one.scores.get(name, np.nan) for name in self.metrics] for one in scored]
        self._means.add(np.array(values, np.float64), clusters, groups_of(scored))
        self.num_rows += len(scored)
        self._counts["records"] += len({one.row.record for one in scored})
        self._counts["without_reference"] += sum(one.row.reference is None for one in scored)
        self._counts["executed"] += sum(one.execution is not None for one in scored)
        self._not_run += not_run(scored)
        self._out_of_time += sum(one.execution == OUT_OF_TIME for one in scored)
        self._references_cut += sum(one.reference_cut for one in scored)

    def evaluation(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The content of `evaluation.json`.

        Args:
            counts: all rows of the job by status, from its ledger.

        Returns:
            `version`, `output`; `middle` and `reference`, the columns; `rule`, the truncation rule;
            `seed`, `resamples` and `confidence` of the intervals; `sandbox`, how programs were
            confined, null if none ran; `rows`, counts; `notes`, texts for a person; `metrics`,
            those measured, each with `name`, `label` and `unit`; `overall`, `rows` and for each
            metric its mean `value`, the interval from `low` to `high` and the `rows` measured;
            `by`, the same for each group of each dimension.
        """
        overall = self._means.overall()
        by = {dimension: self._ordered(dimension) for dimension in _DIMENSIONS}
        rows = {name: counts[name] for name in ("rows", "ok", "rejected", "failed")}
        return self._head | {
            "rows": rows | self._counts,
            "notes": [*self.notes, *self._found()],
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

    def _found(self) -> Iterator[str]:
        """Notes that a reader of the numbers needs."""
        reference, rule = self._head["reference"], self._head["rule"]
        if reference and self._counts["without_reference"]:
            yield (
                f"{self._counts['without_reference']:,} rows have no {reference} (null) and are "
                "not compared with a reference"
            )
        if self._references_cut:
            yield (
                f"rule {rule} also truncates {self._references_cut:,} of the references, which no "
                "middle can equal then; choose another --rule"
            )
        if self._has_tests and not self._tests:
            yield (
                "the records' tests were not run, so there is no pass@k; --allow-execution runs "
                "them, and with them the code the model wrote, on this machine in a sandbox"
            )
        for reason, num_rows in self._not_run.items() if self._tests else ():
            yield f"{num_rows:,} rows have a test that was not run, because they {reason}"
        if self._out_of_time and self._tests:
            seconds = self._tests.sandbox.limits.timeout_s
            yield (
                f"{self._out_of_time:,} programs did not end within {seconds:g} s and count as "
                "not passed"
            )
        if self._tests and self._tests.sandbox.confinement == "limits":
            yield (
                "namespaces cannot be created here (by the command unshare), so programs ran only "
                "with limits and a guard inside Python, which stops accidents, not attacks"
            )
