"""The result of a `prepare` command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchfim.terminal import printable

_NAMED = 8


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """Counts of one `prepare` command, and the folder of its records.

    `num_files` counts files read; a Parquet row with code counts as one file, since it holds one.
    `skipped` maps a reason to the number of files (rows) skipped for it. `rows_by_kind` is empty
    if the records have no kind. `left_out` names fields of the source that the records do not have.
    """

    path: Path
    num_rows: int
    num_files: int
    skipped: Mapping[str, int]
    rows_by_kind: Mapping[str, int]
    left_out: Sequence[str] = ()

    def __str__(self) -> str:
        kinds = f" ({counts(self.rows_by_kind)})" if self.rows_by_kind else ""
        skipped = f"{sum(self.skipped.values())} skipped"
        reasons = f" ({counts(self.skipped)})" if self.skipped else ""
        return (
            f"{self.num_rows} records{kinds} from {self.num_files} files, {skipped}{reasons}"
            f"{self._fields()}: {self.path}"
        )

    def _fields(self) -> str:
        if not self.left_out:
            return ""
        more = ", …" if len(self.left_out) > _NAMED else ""
        names = ", ".join(map(printable, self.left_out[:_NAMED]))
        return f"; fields left out, as no --keep names them: {names}{more}"


@dataclass(slots=True)
class Tally:
    """Counts kept while rows stream by."""

    num_files: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, None] = field(default_factory=dict)  # in the order in which they were found

    def leave_out(self, fields: Iterable[str]) -> None:
        """Remember the names of fields; of more than a person would read, only the first."""
        for name in fields:
            if len(self.left_out) <= _NAMED:
                self.left_out[name] = None

    def report(self, path: Path, num_rows: int) -> PrepareReport:
        skipped, kinds = dict(self.skipped), dict(self.kinds)
        return PrepareReport(path, num_rows, self.num_files, skipped, kinds, tuple(self.left_out))


def counts(by_name: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(by_name.items()))
