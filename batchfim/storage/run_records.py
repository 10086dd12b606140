"""The runs of a job, one small file each; only the last ones are read."""

from __future__ import annotations

from contextlib import suppress

from pydantic import ValidationError

from batchfim.metrics.run_record import RunRecord
from batchfim.storage.listing import names_in
from batchfim.storage.location import Location

_SHOWN = 20


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
