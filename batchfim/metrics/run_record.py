"""What is kept of each run under `_batchfim/runs/`, also of one that failed or was killed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

End = Literal["complete", "complete with failed rows", "stopped", "failed"]


def end_of(summary: Mapping[str, Any]) -> End:
    """How a job stands, in words, where no run works on it and none failed.

    Args:
        summary: as `summary.json` has it.
    """
    if not summary["complete"]:
        return "stopped"
    return "complete with failed rows" if summary["rows"]["failed"] else "complete"


class RunRecord(BaseModel):
    """One run: written when it has the job, when its work begins, and when it ends.

    `end` is None while it runs, and stays so where it was killed. `run` holds what `summary.json`
    says of it; it is empty where nothing was left to do or the run did not get so far, and where
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
        """Of its file: in the order of time, also of short runs in one second."""
        return f"{self.started_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{self.id}.json"
