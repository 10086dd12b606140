"""The result of a `prepare` command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """Counts of one `prepare` command, and the folder of its records.

    `num_files` counts files read; a Parquet row with code counts as one file, since it holds one.
    `skipped` maps a reason to the number of files (rows) skipped for it. `rows_by_kind` is empty
    if the records have no kind.
    """

    path: Path
    num_rows: int
    num_files: int
    skipped: Mapping[str, int]
    rows_by_kind: Mapping[str, int]

    def __str__(self) -> str:
        kinds = f" ({counts(self.rows_by_kind)})" if self.rows_by_kind else ""
        skipped = f"{sum(self.skipped.values())} skipped"
        reasons = f" ({counts(self.skipped)})" if self.skipped else ""
        return (
            f"{self.num_rows} records{kinds} from {self.num_files} files, {skipped}{reasons}: "
            f"{self.path}"
        )


@dataclass(slots=True)
class Tally:
    """Counts kept while rows stream by."""

    num_files: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def report(self, path: Path, num_rows: int) -> PrepareReport:
        return PrepareReport(path, num_rows, self.num_files, dict(self.skipped), dict(self.kinds))


def counts(by_name: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(by_name.items()))
