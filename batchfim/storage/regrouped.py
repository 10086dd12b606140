"""Regrouped copies of input files, stored beside the ledger.

_batchfim/regrouped/<id>/          the rows of some input files, in another order
                    <id>.json      the list of these files; written last
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from pyarrow import fs
from pydantic import BaseModel, ConfigDict, ValidationError

from batchfim.errors import InputError, StorageError
from batchfim.shards import InputFile
from batchfim.storage.location import Location


class Source(BaseModel):
    """An input file whose rows a copy holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    path: str
    content: str


class CopyMarker(BaseModel):
    """The content of a finished copy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_rows: int
    sources: tuple[Source, ...]


class RegroupedCopies:
    """The copies of one job; only the run that holds the job's lease may write them.

    The settings that decide how a copy is made are in the job's fingerprint, so finished copies
    always fit; `Ledger.claim_job` removes them when a job without finished work becomes another.
    """

    def __init__(self, root: Location) -> None:
        self._root = root

    def folder(self, copy_id: str) -> Location:
        """The folder of a copy's files."""
        return self._root / copy_id

    def new_id(self) -> str:
        """A unique id for a new copy, as a run that lost its lease may still be writing one."""
        return uuid.uuid4().hex[:20]

    def finished(self) -> dict[str, CopyMarker]:
        """Markers of finished copies, by id.

        Raises:
            StorageError: a marker is damaged.
        """
        paths = [info.path for info in self._root.list() if info.path.endswith(".json")]
        return {path[:-5].rpartition("/")[2]: self._read(path) for path in paths}

    def known_at(self) -> dict[str, datetime]:
        """When the copy of each copied input file was finished, by file id."""
        times: dict[str, datetime] = {}
        for copy_id, marker in self.finished().items():
            at = (self._root / f"{copy_id}.json").info().mtime
            times |= {source.id: at for source in marker.sources if at}
        return times

    def clear_rest(self) -> None:
        """Remove unfinished copies of killed runs."""
        kept = self.finished()
        for info in self._root.list():
            if info.base_name.removesuffix(".json") not in kept:
                location = Location(self._root.filesystem, info.path)
                is_folder = info.type is fs.FileType.Directory
                location.delete_folder() if is_folder else location.delete()

    def finish(self, copy_id: str, files: Sequence[InputFile]) -> None:
        """Mark a copy as complete."""
        marker = CopyMarker(
            num_rows=sum(file.num_rows for file in files),
            sources=tuple(Source(id=f.id, path=f.path, content=f.content) for f in files),
        )
        (self._root / f"{copy_id}.json").write(marker.model_dump_json().encode())

    def _read(self, path: str) -> CopyMarker:
        try:
            return CopyMarker.model_validate_json(Location(self._root.filesystem, path).read())
        except ValidationError as error:
            raise StorageError(
                f"{path}: not a marker of this version ({error.errors()[0]['msg']}); restore it, "
                "or choose another output.path"
            ) from None


def compared(
    files: Iterable[InputFile], copies: Iterable[CopyMarker]
) -> tuple[list[InputFile], list[str]]:
    """Input files that no copy holds, and paths of copied files that are no longer in the input.

    A file that was moved counts as the same file.

    Raises:
        InputError: a file has changed since it was copied.
    """
    files = list(files)
    copied = [source for copy in copies for source in copy.sources]
    known, here = {source.id for source in copied}, {file.id for file in files}
    missing = [source for source in copied if source.id not in here]
    moved = Counter(source.content for source in missing)
    new = []
    for file in files:
        if file.id not in known:
            moved[file.content] -= 1
            if moved[file.content] < 0:
                new.append(file)
    lost = {source.path for source in missing if moved[source.content] > 0}
    for file in new:
        if file.path in lost:
            raise InputError(
                f"{file.path} has changed since its rows were regrouped with those of other files; "
                "restore it, or choose another output.path"
            )
    return new, sorted(lost)
