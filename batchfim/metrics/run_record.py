"""The record of each run in `_batchfim/runs/`, even if it failed or was killed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

End = Literal["complete", "complete with failed rows", "stopped", "failed"]


def end_of(summary: Mapping[str, Any]) -> End:
    """The state of a job that no run works on and that did not fail.

    Args:
        summary: the content of `summary.json`.
    """
    if not summary["complete"]:
        return "stopped"
    return "complete with failed rows" if summary["rows"]["failed"] else "complete"


class RunRecord(BaseModel):
    """One run, written when it holds the job, when its work begins, and when it ends.

    `end` is None while it runs, and stays None if it was killed. `run` is its entry in
    `summary.json`; it is empty if nothing was left to do, if the run did not get that far, or if
    what it did is not known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    started_at: datetime
    host: str
    shards_to_do: int = 0
    versions: dict[str, str] = {}
    ended_at: datetime | None = None
    end: End | None = None
    cause: str | None = None
    run: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The name of its file, which sorts by time, even for several runs within a second."""
        return f"{self.started_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{self.id}.json"
