"""The runs of a job, one small file each; only the last ones are read."""

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
    """The record of one run, from when it has the job to its end."""

    def __init__(self, records: RunRecords, run_id: str) -> None:
        """Write that it has begun."""
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
        """Of its file."""
        return self._record.name

    def work(self, num_shards: int) -> None:
        """It is known what there is to do."""
        self._update(shards_to_do=num_shards)

    def end(self, end: End, cause: str | None, run: dict[str, Any]) -> None:
        """It has ended."""
        self._update(ended_at=datetime.now(UTC), end=end, cause=cause, run=run)

    def _update(self, **changes: Any) -> None:
        self._record = self._record.model_copy(update=changes)
        self._records.write(self._record)


class RunRecords:
    """`_batchfim/runs/`."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def write(self, record: RunRecord) -> None:
        """Keep a run, in the place of what was kept of it before."""
        self._folder.make_folder()
        (self._folder / record.name).write(record.model_dump_json(indent=1).encode())

    def has(self, name: str) -> bool:
        """Whether a record is there, by its name: a listing may be an old one on NFS."""
        return (self._folder / name).exists()

    def last(self) -> list[RunRecord]:
        """The last runs, oldest first; a file that is no record is left out."""
        names = sorted(name for name in names_in(self._folder) if name.endswith(".json"))
        records = []
        for name in names[-_SHOWN:]:
            with suppress(ValidationError):
                records.append(RunRecord.model_validate_json((self._folder / name).read()))
        return records
