"""The stored record of planned files that moved, changed or are gone: `absent.json`.

The plan has only the paths where files were planned. Without this record, a file that moved in one
run and changed before the next would look like one file that is gone and another that is new.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from batchfim.errors import StorageError
from batchfim.shards import SeenFiles
from batchfim.storage.json_files import as_json
from batchfim.storage.location import Location

_CONTENT = TypeAdapter(SeenFiles | frozenset[str])


class SeenFile:
    """Reads and writes the record; only the run that holds the job's lease may write."""

    def __init__(self, location: Location) -> None:
        self._location = location

    def read(self) -> SeenFiles:
        """What the last run saw when it started.

        Raises:
            StorageError: the file is damaged; the message says what to do.
        """
        if not self._location.exists():
            return SeenFiles()
        try:
            found = _CONTENT.validate_json(self._location.read())
        except ValueError:
            raise StorageError(
                f"{self._location.path}: not a record of input files; restore it, or, if no input "
                "file has changed since the last run, delete it, and the next run rewrites it"
            ) from None
        # Before files that moved were recorded, it was a list of absent ones.
        return found if isinstance(found, SeenFiles) else SeenFiles(absent=found)

    def write(self, seen: SeenFiles) -> None:
        """Store what a run sees, unless that is what is stored."""
        if self.read() != seen:
            fields = {
                "moved": seen.moved,
                "absent": sorted(seen.absent),
                "superseded": sorted(seen.superseded),
            }
            self._location.write(as_json(fields))

    def clear(self) -> None:
        """Delete the record, as the plan that it is about is deleted."""
        self._location.delete()
