"""The ledger: what is on storage that says which shards are planned and which are done.

output/part-<shard id>.parquet      results, one dataset for any Parquet reader
output/_batchfim/job.json           config, fingerprint, model, versions
                 plan/<n>.parquet   shards, one file for each run that added some
                 done/<id>.json     a committed shard's report; written last
                 staging/           parts before their commit
                 lease/             who holds the job
                 summary.json
                 _SUCCESS           the audit closed
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from batchfim.errors import OutputError, StorageError
from batchfim.metrics.report import ShardReport
from batchfim.shards import Shard
from batchfim.storage.location import Location

_FORMAT_VERSION = 1
_READERS = 16
_REPORTS_AT_ONCE = 256
_PART = re.compile(r"part-([0-9a-f]{20})\.parquet")
_PLAN_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("file", pa.dictionary(pa.int32(), pa.string())),
        pa.field("content", pa.dictionary(pa.int32(), pa.string())),
        pa.field("path", pa.dictionary(pa.int32(), pa.string())),
        pa.field("start", pa.int64()),
        pa.field("num_rows", pa.int64()),
    ]
)


class Ledger:
    """Reads and writes one job's ledger. Only the driver that holds the job's lease writes it."""

    def __init__(self, output: Location) -> None:
        self.output = output
        self.root = output / "_batchfim"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: the output cannot be written, or holds files of somebody else.
        """
        try:
            foreign = [info.base_name for info in self.output.list()]
            if foreign and "_batchfim" not in foreign:
                raise OutputError(
                    f"{self.output.path} holds files that no batchfim job wrote ({foreign[0]}); "
                    "choose another output.path"
                )
            for name in ("plan", "done", "staging", "lease"):
                (self.root / name).make_folder()
            probe = self.root / "staging" / "probe"
            probe.write(b"")
            probe.delete()
        except StorageError as error:
            raise OutputError(f"output.path cannot be written: {error}") from None

    def claim_job(self, fingerprint: str, fields: dict[str, Any], facts: dict[str, Any]) -> None:
        """Make the output this job's, or check that it is.

        A job without finished work may still change; afterwards its fingerprint is fixed.

        Raises:
            OutputError: finished work of another job is here; the differences are named.
        """
        job = self.root / "job.json"
        if job.exists():
            found = self._read_json(job)
            if found["fingerprint"] != fingerprint and self.done_ids():
                raise OutputError(self._differences(found["fields"], fields))
            if found["fingerprint"] == fingerprint:
                return
            self._forget_plan()
        content = {"version": _FORMAT_VERSION, "fingerprint": fingerprint, "fields": fields}
        job.write(_json(content | facts))

    def plan(self) -> list[Shard]:
        """Every planned shard, in the order it was planned."""
        shards = []
        for info in (self.root / "plan").list():
            if info.path.endswith(".parquet"):
                location = Location(self.root.filesystem, info.path)
                try:
                    table = pq.read_table(pa.BufferReader(location.read()), schema=_PLAN_SCHEMA)
                    if any(column.null_count for column in table.columns):
                        raise pa.ArrowInvalid("a value is missing")
                    rows = table.to_pylist()
                except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                    raise StorageError(
                        f"{info.path}: not a plan of this version: {error}"
                    ) from None
                shards += [Shard(**row) for row in rows]
        return shards

    def add_to_plan(self, shards: list[Shard]) -> None:
        """Store shards that no earlier run planned."""
        if not shards:
            return
        table = pa.Table.from_pylist([asdict(shard) for shard in shards], _PLAN_SCHEMA)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        number = len((self.root / "plan").list())
        (self.root / "plan" / f"{number:06}.parquet").write(sink.getvalue().to_pybytes())

    def done_ids(self) -> set[str]:
        """Ids of the committed shards."""
        markers = (self.root / "done").list()
        return {info.base_name[:-5] for info in markers if info.path.endswith(".json")}

    def part_bytes(self) -> dict[str, int]:
        """Size in bytes of each visible part, by shard id."""
        parts = ((_PART.fullmatch(info.base_name), info.size) for info in self.output.list())
        return {part[1]: size for part, size in parts if part}

    def reports(self) -> Iterator[ShardReport]:
        """The committed shards' reports, a few hundred in memory at a time."""
        ids = sorted(self.done_ids())
        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(ids), _REPORTS_AT_ONCE):
                yield from readers.map(self._report, ids[start : start + _REPORTS_AT_ONCE])

    def staged(self, run: str, shard_id: str, attempt: int) -> Location:
        """Where an attempt writes its part before the commit.

        `run` is in the name because a worker of a killed run may still be writing.
        """
        return self.root / "staging" / f"{shard_id}-{run}-{attempt}.parquet"

    def part(self, shard_id: str) -> Location:
        """Where a committed shard's results are."""
        return self.output / f"part-{shard_id}.parquet"

    def commit(self, run: str, report: ShardReport) -> None:
        """Make a staged part visible, then write its marker."""
        staged = self.staged(run, report.shard_id, report.attempt)
        staged.move_to(self.part(report.shard_id))
        marker = self.root / "done" / f"{report.shard_id}.json"
        marker.write(report.model_dump_json().encode())

    def clean_up(self, done: Collection[str]) -> None:
        """Remove what attempts of earlier runs left: staged parts, and parts without a marker."""
        for info in (self.root / "staging").list():
            Location(self.root.filesystem, info.path).delete()
        for info in self.output.list():
            part = _PART.fullmatch(info.base_name)
            if part and part[1] not in done:
                Location(self.root.filesystem, info.path).delete()

    def forget(self, shard_ids: Iterable[str]) -> None:
        """Drop the markers of shards that are to be worked again."""
        for shard_id in shard_ids:
            (self.root / "done" / f"{shard_id}.json").delete()

    def supersede(self, shards: Iterable[Shard]) -> None:
        """Withdraw finished work of an input file that has changed since: marker, then part."""
        for shard in shards:
            (self.root / "done" / f"{shard.id}.json").delete()
            self.part(shard.id).delete()

    def reopen(self) -> None:
        """The job is no longer complete: there is work to do."""
        (self.root / "_SUCCESS").delete()

    def summary(self) -> dict[str, Any]:
        """The last run's summary; empty where there is none."""
        location = self.root / "summary.json"
        try:
            return dict(json.loads(location.read())) if location.exists() else {}
        except (ValueError, TypeError):  # it is written anew at the end of every run
            return {}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Store the summary, then `_SUCCESS` where it is of a complete job."""
        if not summary["complete"]:
            self.reopen()
        (self.root / "summary.json").write(_json(summary))
        if summary["complete"]:
            (self.root / "_SUCCESS").write(b"")

    def _report(self, shard_id: str) -> ShardReport:
        marker = self.root / "done" / f"{shard_id}.json"
        try:
            return ShardReport.model_validate_json(marker.read())
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise StorageError(
                f"{marker.path}: not a marker of this version ({problem}); delete it to redo "
                "its shard"
            ) from None

    def _read_json(self, location: Location) -> dict[str, Any]:
        try:
            content = json.loads(location.read())
            known = content["version"] == _FORMAT_VERSION and "fingerprint" in content
            if not known or not isinstance(content["fields"], dict):
                raise KeyError("version")
        except (ValueError, KeyError, TypeError):
            raise OutputError(
                f"{location.path}: not a job of this version of batchfim; choose another "
                "output.path"
            ) from None
        return dict(content)

    def _forget_plan(self) -> None:
        for info in (self.root / "plan").list():
            Location(self.root.filesystem, info.path).delete()

    def _differences(self, theirs: dict[str, Any], ours: dict[str, Any]) -> str:
        old, new = _flatten(theirs), _flatten(json.loads(_json(ours)))
        changed = [
            f"{key}: {old.get(key)!r} there, {new.get(key)!r} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
        return (
            f"{self.output.path} holds finished work of another job ({'; '.join(changed)}); "
            "choose another output.path or the old settings"
        )


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1, default=str).encode()


def _flatten(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat
