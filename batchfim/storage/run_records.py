"""The runs of a job, one small file each; only the last runs are read."""

from __future__ import annotations

import socket
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from batchfim.metrics.run_record import End, RunRecord
from batchfim.storage.listing import names_in
from batchfim.storage.location import Location
from batchfim.versions import versions

_SHOWN = 20


class RunLog:
    """Writes the record of one run, from when it holds the job to its end."""

    def __init__(self, records: RunRecords, run_id: str) -> None:
        """Record the start of the run."""
        self._records = records
        self._record = RunRecord(
            id=run_id,
            started_at=datetime.now(UTC),
            host=socket.gethostname(),
            versions=versions(),
        )
        records.write(self._record)

    @property
    def name(self) -> str:
        """The name of its file."""
        return self._record.name

    def work(self, num_shards: int) -> None:
        """Record how many shards there are to do."""
        self._update(shards_to_do=num_shards)

    def end(self, end: End, cause: str | None, run: dict[str, Any]) -> None:
        """Record the end of the run."""
        self._update(ended_at=datetime.now(UTC), end=end, cause=cause, run=run)

    def _update(self, **changes: Any) -> None:
        self._record = self._record.model_copy(update=changes)
        self._records.write(self._record)


class RunRecords:
    """Reads and writes the run records in `_batchfim/runs/`."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def write(self, record: RunRecord) -> None:
        """Write a run's record, replacing the previous one."""
        self._folder.make_folder()
        (self._folder / record.name).write(record.model_dump_json(indent=1).encode())

    def has(self, name: str) -> bool:
        """Whether a record exists, looked up by name, as listings may be stale on NFS."""
        return (self._folder / name).exists()

    def last(self) -> list[RunRecord]:
        """The last runs, oldest first, without files that are not valid records."""
        names = sorted(name for name in names_in(self._folder) if name.endswith(".json"))
        records = []
        for name in names[-_SHOWN:]:
            with suppress(ValidationError):
                records.append(RunRecord.model_validate_json((self._folder / name).read()))
        return records
