"""The markers, which record the shards that are done; written only by the holder of the lease.

done/<shard id>.json      a shard's report, written when its part is in place
     <shard id>.void      report of a part that is replacing an older one; until it is known which
                          of the two is in place, the shard is not done
     <n>-<unique>.parquet a segment: the markers of some thousand shards, see `storage.segments`

If a shard is in several files, it still counts once: its own marker is the newest, then the segment
with the highest name. So a segment is written before the markers that it takes in are deleted, and
a kill in between neither loses nor doubles anything.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs
from pydantic import ValidationError

from batchfim.errors import StorageError
from batchfim.metrics.done import Done, done_table
from batchfim.metrics.shard_report import ShardReport
from batchfim.metrics.shard_table import shard_table
from batchfim.metrics.totals import Totals
from batchfim.storage.location import Location, delete_all
from batchfim.storage.segments import read_reports, read_segment, read_shards, write_segment

_log = logging.getLogger(__name__)
A = TypeVar("A")
B = TypeVar("B")

SEGMENT_SHARDS = 2048
_FEW_SHARDS = SEGMENT_SHARDS // 2
KEPT_APART = 128  # the newest markers: their times give a running job's speed
_THREADS = 16
_LOOKS = 5
_MARKER = re.compile(r"([0-9a-f]{20})\.json")
_VOID = re.compile(r"([0-9a-f]{20})\.void")
_SEGMENT = re.compile(r"(\d{6})-[0-9a-f]{8}\.parquet")


@dataclass(frozen=True)
class _Found:
    """One listing of the folder: markers by shard id, and the names of the segments in order.

    `voids` are ids of shards that are not done, even if a segment has them.
    """

    markers: dict[str, fs.FileInfo]
    segments: list[str]
    voids: frozenset[str] = frozenset()

    def same_files(self, other: _Found) -> bool:
        return (self.markers.keys(), self.segments) == (other.markers.keys(), other.segments)


@dataclass(frozen=True, eq=False)
class _Segment:
    """The current content of a segment; `whole` if none of it has been superseded."""

    location: Location
    done: Done
    whole: bool

    def reports(self) -> list[ShardReport]:
        return read_reports(self.location, self.done.ids.combine_chunks())

    def shards(self) -> pa.Table:
        return read_shards(self.location, self.done.ids.combine_chunks())


class Markers:
    """Reads and writes the markers; `add` is thread-safe."""

    def __init__(self, folder: Location, check: Callable[[], None] = lambda: None) -> None:
        """Open a folder of markers.

        Args:
            folder: the folder.
            check: called before a marker is written or deleted; may raise.
        """
        self._folder = folder
        self._check = check
        self._lock = threading.Lock()
        self._added: list[bytes] = []
        self._known: dict[str, Done] = {}  # cache of segments, by path

    def add(self, report: ShardReport) -> None:
        """Write a shard's marker; from time to time, move many of this run's into a segment."""
        text = report.model_dump_json().encode()
        self._check()
        self._marker(report.shard_id).write(text)
        with self._lock:
            self._added.append(text)
            full = len(self._added) >= SEGMENT_SHARDS + KEPT_APART
            old = self._added[:SEGMENT_SHARDS] if full else []
            del self._added[: len(old)]
        if old:
            self._fold([ShardReport.model_validate_json(text) for text in old])

    def ids(self) -> set[str]:
        """Ids of the done shards."""
        found = self._look()
        segments = self._parallel(self._segment, [self._folder / name for name in found.segments])
        ids = set(found.markers).union(*(segment.ids.to_pylist() for segment in segments))
        return ids - found.voids

    def done(self) -> Done:
        """All done shards; correct even while another process writes.

        Raises:
            StorageError: a file is damaged; the message names it and what to do.
        """
        return self._settled(self._load)

    def shards(self) -> pa.Table:
        """One row per done shard, with columns `PARTS_SCHEMA`; as consistent as `done`."""
        return self._settled(self._load_shards)

    def recent(self) -> dict[str, fs.FileInfo]:
        """Files of the newest markers, which are in no segment yet, by shard id."""
        return self._look().markers

    def compact(self) -> None:
        """Merge all markers and small segments into segments; for the start of a run."""
        found = self._look()
        segments = self._current(found)
        small = [segment for segment in segments if segment.done.table.num_rows < _FEW_SHARDS]
        if len(small) + bool(found.markers) < 2:
            small = []
        old = chain.from_iterable(segment.reports() for segment in small)
        new = chain.from_iterable(map(self._read, _batches(sorted(found.markers))))
        for reports in _batches(chain(old, new)):
            self._write_segment(reports)
        for segment in segments:
            if not segment.whole and segment not in small:
                self._rewrite(segment.location, segment.reports())
        kept = {segment.location.path for segment in segments if segment not in small}
        taken_in = (self._folder / name for name in found.segments)
        self._delete(location for location in taken_in if location.path not in kept)
        self._delete(map(self._marker, [*found.markers, *found.voids]))
        self._delete(map(self._void, found.voids))

    def begin_replacement(self, coming: ShardReport) -> None:
        """Declare a shard not done until `end_replacement`, even if its old marker is found."""
        self._void(coming.shard_id).write(coming.model_dump_json().encode())

    def unfinished_replacements(self) -> list[ShardReport]:
        """The readable reports of replacements that were not finished.

        If a report is not readable, only that its shard is not done is known.
        """
        found = self._parallel(self._read_void, sorted(self._look().voids))
        return [report for report in found if report is not None]

    def restore(self, report: ShardReport) -> None:
        """Write a marker that a killed run did not; this run moves it into no segment."""
        self._marker(report.shard_id).write(report.model_dump_json().encode())

    def end_replacement(self, shard_id: str) -> None:
        """Declare that a shard's marker is that of its part again."""
        self._void(shard_id).delete()

    def forget(self, shard_ids: Collection[str]) -> None:
        """Delete the markers of these shards."""
        if not shard_ids:
            return
        found = self._look()
        self._forget_in_segments(shard_ids, found.segments)
        self._delete(map(self._marker, found.markers.keys() & shard_ids))

    def _delete(self, files: Iterable[Location]) -> None:
        delete_all(files, self._check)

    def _look(self) -> _Found:
        infos = self._folder.list()
        markers = {match[1]: info for info in infos if (match := _MARKER.fullmatch(info.base_name))}
        voids = {match[1] for info in infos if (match := _VOID.fullmatch(info.base_name))}
        for shard_id in voids:
            markers.pop(shard_id, None)
        segments = [i.base_name for i in infos if _SEGMENT.fullmatch(i.base_name)]
        return _Found(markers, segments, frozenset(voids))

    def _settled(self, load: Callable[[_Found], B]) -> B:
        """Load from a listing of the folder, again if the folder has changed meanwhile."""
        for _ in range(_LOOKS):
            found = self._look()
            try:
                loaded = load(found)
            except StorageError:
                if self._look().same_files(found):
                    raise
                self._known.clear()
                continue
            if self._look().segments == found.segments:
                return loaded
        raise StorageError(
            f"{self._folder.path}: the folder changes faster than it can be read; try again"
        )

    def _load(self, found: _Found) -> Done:
        segments = [segment.done for segment in self._current(found)]
        reports = self._read(sorted(found.markers))
        totals = [done.totals for done in segments] + list(map(Totals.of, reports))
        tables = [done.table for done in segments] + [done_table(reports)]
        return Done(pa.concat_tables(tables), Totals.sum(totals))

    def _load_shards(self, found: _Found) -> pa.Table:
        own = [report.model_dump_json() for report in self._read(sorted(found.markers))]
        tables = self._parallel(_Segment.shards, self._current(found))
        return pa.concat_tables([*tables, shard_table(own)])

    def _current(self, found: _Found) -> list[_Segment]:
        """All segments without shards that are newer elsewhere; leaves out empty ones."""
        locations = [self._folder / name for name in found.segments]
        segments = [
            _Segment(location, done, whole=True)
            for location, done in zip(
                locations, self._parallel(self._segment, locations), strict=True
            )
        ]
        newer = pa.array(sorted(found.markers.keys() | found.voids), pa.string())
        if _all_distinct([newer, *(segment.done.ids for segment in segments)]):
            return segments
        current = []
        for segment in reversed(segments):
            left = _without(segment, newer)
            newer = pa.concat_arrays([newer, *segment.done.ids.chunks])
            current += [left] if left.done.table.num_rows else []
        return current[::-1]

    def _fold(self, reports: Sequence[ShardReport]) -> None:
        """Merge markers into a segment; not needed for a commit, and the next run does the rest."""
        try:
            self._write_segment(reports)
            self._delete(self._marker(report.shard_id) for report in reports)
        except StorageError as error:
            _log.warning("could not merge markers into a segment: %s", error)

    def _write_segment(self, reports: Sequence[ShardReport]) -> None:
        """Write a segment with the highest name, which is unique even if two runs were to write."""
        numbers = [int(name[:6]) for name in self._look().segments]
        name = f"{max(numbers, default=-1) + 1:06}-{uuid.uuid4().hex[:8]}.parquet"
        write_segment(self._folder / name, reports)

    def _forget_in_segments(self, shard_ids: Collection[str], names: Iterable[str]) -> None:
        gone = pa.array(sorted(shard_ids), pa.string())
        for name in names:
            self._check()
            location = self._folder / name
            ids = self._segment(location).ids
            left = ids.filter(pc.invert(pc.is_in(ids, gone)))
            if len(left) == 0:
                location.delete()
            elif len(left) < len(ids):
                self._rewrite(location, read_reports(location, left.combine_chunks()))

    def _segment(self, location: Location) -> Done:
        """Read a segment, cached: no other run writes while this one holds the job."""
        if location.path not in self._known:
            self._known[location.path] = read_segment(location)
        return self._known[location.path]

    def _rewrite(self, location: Location, reports: Sequence[ShardReport]) -> None:
        write_segment(location, reports)
        self._known.pop(location.path, None)

    def _marker(self, shard_id: str) -> Location:
        return self._folder / f"{shard_id}.json"

    def _void(self, shard_id: str) -> Location:
        return self._folder / f"{shard_id}.void"

    def _read(self, shard_ids: Sequence[str]) -> list[ShardReport]:
        return self._parallel(self._read_marker, shard_ids)

    def _read_void(self, shard_id: str) -> ShardReport | None:
        try:
            return ShardReport.model_validate_json(self._void(shard_id).read())
        except ValidationError:
            return None

    def _read_marker(self, shard_id: str) -> ShardReport:
        marker = self._marker(shard_id)
        try:
            report = ShardReport.model_validate_json(marker.read())
        except ValidationError as error:
            raise _damaged(marker, error.errors()[0]["msg"]) from None
        if report.shard_id != shard_id:
            raise _damaged(marker, f"it belongs to shard {report.shard_id}")
        return report

    def _parallel(self, function: Callable[[A], B], items: Iterable[A]) -> list[B]:
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(function, items))


def _without(segment: _Segment, newer: pa.Array) -> _Segment:
    ids = segment.done.ids
    table = segment.done.table.filter(pc.invert(pc.is_in(ids, newer)))
    if table.num_rows in (0, len(ids)):
        return replace(segment, done=replace(segment.done, table=table))
    reports = read_reports(segment.location, table["shard_id"].combine_chunks())
    return _Segment(segment.location, Done(table, Totals.sum(map(Totals.of, reports))), whole=False)


def _all_distinct(columns: Sequence[pa.Array | pa.ChunkedArray]) -> bool:
    ids = pa.concat_tables([pa.table({"id": column}) for column in columns])["id"]
    return bool(pc.count_distinct(ids).as_py() == len(ids))


def _batches(items: Iterable[A]) -> Iterator[list[A]]:
    iterator = iter(items)
    while batch := list(islice(iterator, SEGMENT_SHARDS)):
        yield batch


def _damaged(marker: Location, problem: str) -> StorageError:
    return StorageError(
        f"{marker.path}: not a marker of this version ({problem}); delete it to run its shard again"
    )
