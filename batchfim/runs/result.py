"""How a run of a job ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchfim.errors import ExitCode
from batchfim.metrics.run_record import End, end_of


@dataclass(frozen=True)
class JobResult:
    """How a run ended.

    Attributes:
        summary: content of `_batchfim/summary.json`.
        idle: whether nothing was left to do.
        signal: number of the signal that stopped the run, if one did.
        report: whether `report.html` is due.
    """

    summary: dict[str, Any]
    idle: bool = False
    signal: int | None = None
    report: bool = False

    @property
    def exit_code(self) -> int:
        """The process's exit code: an `ExitCode`, or 128 + `signal`."""
        if self.signal is not None:
            return 128 + self.signal
        if not self.summary["complete"]:
            return ExitCode.UNFINISHED
        return ExitCode.ROWS_FAILED if self.summary["rows"]["failed"] else ExitCode.COMPLETE

    @property
    def end(self) -> End:
        """How the run ended, in words."""
        return end_of(self.summary)
