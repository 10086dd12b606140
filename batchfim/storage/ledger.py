"""The ledger: the files that record which shards are planned and which are done.

output/part-<shard id>.parquet      results, one dataset for any Parquet reader
output/_batchfim/job.json           config, fingerprint, model, versions
                 plan/              shards; see `storage.plan_files`
                 done/              committed shards; see `storage.markers`
                 staging/           parts before their commit
                 absent.json        planned files that moved, changed or are gone; see
                                    `storage.seen`
                 lease/             claims to the job; see `storage.job_lease`
                 regrouped/         sorted copies of the input; see `storage.regrouped`
                 forecast.json      prediction of `batchfim plan`
                 runs/              one file for each run; see `storage.run_records`
                 summary.json
                 _SUCCESS           the audit passed
                 report.html, metrics/, evaluation.json, evaluation/
                                    written by `report` and `evaluate`, not read here
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchfim.errors import OutputError, StorageBusy, StorageError
from batchfim.metrics.done import Done
from batchfim.metrics.shard_report import ShardReport
from batchfim.metrics.shard_table import worked
from batchfim.shards import Shard, short_digest
from batchfim.storage.json_files import JobFile, as_json, plain, read_if_whole
from batchfim.storage.kept import unpacked
from batchfim.storage.listing import names_in, sizes_in
from batchfim.storage.location import Location, delete_all
from batchfim.storage.markers import Markers
from batchfim.storage.parts import checksum
from batchfim.storage.plan_files import PlanFiles
from batchfim.storage.run_records import RunRecords
from batchfim.storage.same_job import differences
from batchfim.storage.seen import SeenFile

# Written without the job's lease by commands that only read the job, perhaps at this moment.
_LOOKED = ("forecast.json.", "report.html.", "evaluation.json.")
_PART = r"^part-[0-9a-f]{20}\.parquet$"


class Ledger:
    """Reads and writes one job's ledger. Only the driver that holds the job's lease writes it."""

    def __init__(self, output: Location) -> None:
        self.output = output
        self.root = output / "_batchfim"
        self._plan = PlanFiles(self.root / "plan")
        self._check: Callable[[], None] = lambda: None
        self._markers = Markers(self.root / "done", lambda: self._check())
        self.runs = RunRecords(self.root / "runs")
        self.seen = SeenFile(self.root / "absent.json")
        self.regrouped = self.root / "regrouped"
        self._job = JobFile(self.root / "job.json")
        self.lease_folder = self.root / "lease"

    @classmethod
    def at(cls, output: str) -> Ledger:
        """The ledger of the job at a path or URL."""
        return cls(Location.of(output))

    def guard(self, check: Callable[[], None]) -> None:
        """Check this before results are marked as done or deleted.

        The job's lease may be lost during a long deletion. What `check` raises is raised there.
        """
        self._check = check

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: the output cannot be written, or holds files that are not batchfim's.
        """
        try:
            if self.output.info().is_file:
                raise StorageError(f"{self.output.url}: Not a directory")
            self._refuse_foreign()
            for name in ("plan", "done", "staging", "lease"):
                (self.root / name).make_folder()
            probe = self.root / "staging" / "probe"
            probe.write(b"")
            probe.delete()
        except StorageBusy:
            raise
        except StorageError as error:
            raise OutputError(f"output.path cannot be written: {error}") from None

    def _refuse_foreign(self) -> None:
        foreign = [] if self.root.exists() else names_in(self.output)
        if foreign:
            raise OutputError(
                f"{self.output.path} holds files not written by batchfim ({foreign[0]}); "
                "choose another output.path"
            )

    def claim_job(
        self, fields: dict[str, Any], defaults: dict[str, Any], facts: dict[str, Any]
    ) -> str:
        """Claim the output for this job, or check that it is its own; returns the fingerprint.

        Settings that decide the output may change until the job has finished work.

        Args:
            fields: settings that decide the output of a record.
            defaults: the same settings of a job that sets nothing.
            facts: what else to record for a new job.

        Raises:
            OutputError: the output holds finished work of another job; lists the differences.
        """
        if self.has_job():
            found = self._job.read()
            self._finish_replacements()
            changed = self.changed_settings(fields, defaults)
            if not changed:
                return str(found["fingerprint"])
            if self.done_ids():
                columns = any(change.startswith("columns kept") for change in changed)
                raise OutputError(
                    f"{self.output.path} holds finished work of another job "
                    f"({'; '.join(changed)}); choose another output.path or the old settings"
                    + (", with input.keep for the old columns" if columns else "")
                )
            self.seen.clear()
            self._plan.clear()
            self.regrouped.delete_folder()
        fingerprint = short_digest(json.dumps(plain(fields), sort_keys=True))
        self._job.write({"fingerprint": fingerprint, "fields": fields} | facts)
        return fingerprint

    def changed_settings(self, fields: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
        """The settings that decide the output and differ from those of the job here.

        Raises:
            OutputError: as `job`.
        """
        return differences(self.job()["fields"], plain(fields), plain(defaults))

    def note_config(self, config: dict[str, Any]) -> None:
        """Store a run's settings for later retries: inputs, workers and machines may change."""
        found = self.job()
        if found.get("config") != plain(config):
            self._job.write(found | {"config": config})

    def has_job(self) -> bool:
        """Whether a run has claimed the output."""
        return self._job.exists()

    def job(self) -> dict[str, Any]:
        """The content of `job.json`.

        Raises:
            OutputError: there is no job here, or it is of another version.
        """
        if not self.has_job():
            raise OutputError(
                f"{self.output.path}: no batchfim job found; give the output.path of a job"
            )
        return self._job.read()

    def kept(self) -> pa.Schema:
        """The columns that the job keeps of its input.

        Raises:
            OutputError: as `job`, or `job.json` is damaged.
        """
        try:
            return unpacked(self.job()["kept"])
        except (KeyError, TypeError, ValueError, OSError):
            raise OutputError(
                f"{self.root.path}/job.json: the schema of the columns kept is damaged; restore "
                "this file, or choose another output.path"
            ) from None

    def recent(self) -> dict[str, float]:
        """When each of the newest markers was written, in seconds since 1970, by shard id."""
        files = self._markers.recent()
        return {shard_id: info.mtime.timestamp() for shard_id, info in files.items() if info.mtime}

    def leftovers(self) -> list[str]:
        """Staged parts and temporary files in the ledger, which no finished run leaves behind."""
        staged = (self.root / "staging").list()
        folders = [self.root, *(self.root / name for name in ("done", "plan", "runs"))]
        others = [info for folder in folders for info in folder.list()]
        temporary = [info for info in others if _is_temporary(info.base_name)]
        return [str(info.path) for info in [*staged, *temporary]]

    def plan(self) -> Sequence[Shard]:
        """All planned shards in the order in which they were planned.

        Their paths are where their files were last seen.
        """
        return self.seen.read().placed(self._plan.read())

    def planned_without(self, done: Collection[str], files: Collection[str]) -> Sequence[Shard]:
        """The shards of `plan`, without done shards of the given files (ids).

        When a large job resumes, few shards are left, and the others never become objects.
        """
        done_ids, file_ids = pa.array(done, pa.string()), pa.array(files, pa.string())

        def left_out(shards: pa.Table) -> pa.Array:
            is_done = pc.is_in(shards["id"], value_set=done_ids)
            return pc.and_(is_done, pc.is_in(shards["file"], value_set=file_ids))

        return self.seen.read().placed(self._plan.read(left_out))

    def planned_files(self) -> tuple[dict[str, str], dict[str, datetime]]:
        """The content id and planning time of every planned file, both by file id."""
        return self._plan.files()

    def planned_rows(self) -> pa.Table:
        """`id`, `file` and `num_rows` of every planned shard."""
        return self._plan.row_counts()

    def add_to_plan(self, shards: list[Shard]) -> None:
        """Add shards that no earlier run planned."""
        self._plan.add(shards)

    def split(self, parent: Shard, children: tuple[Shard, Shard]) -> None:
        """Replace a shard that is not done by its halves (see `planning.cutting.halve`)."""
        self._plan.split(parent, children)

    def compact(self) -> None:
        """Merge the ledger's many files into few, so that a million shards are read in seconds."""
        self._plan.compact()
        self._markers.compact()

    def done_ids(self) -> set[str]:
        """Ids of the committed shards."""
        return self._markers.ids()

    def done(self) -> Done:
        """Counts and totals of the committed shards; correct even while another process commits."""
        return self._markers.done()

    def part_ids(self) -> set[str]:
        """Ids of the shards that have a visible part."""
        return set(self._parts().to_pylist())

    def half_committed(self, done: Collection[str]) -> tuple[set[str], set[str]]:
        """Ids of shards with a marker but no part, and of those with a part but no marker.

        Args:
            done: ids of shards with a marker, from `done_ids`.
        """
        parts = self._parts()
        marked = pa.array(done, pa.string())
        alone = marked.filter(pc.invert(pc.is_in(marked, value_set=parts)))
        if len(alone) == 0 and len(marked) == len(parts):
            return set(), set()
        unmarked = parts.filter(pc.invert(pc.is_in(parts, value_set=marked)))
        return set(alone.to_pylist()), set(unmarked.to_pylist())

    def _parts(self) -> pa.Array:
        names = pa.array(names_in(self.output), pa.string())
        return _ids_of_parts(names.filter(_are_parts(names)))

    def parts(self) -> pa.Table:
        """All visible parts, with columns `shard_id` and `size_bytes`."""
        files = sizes_in(self.output)
        files = files.filter(_are_parts(files["name"]))
        return pa.table(
            {"shard_id": _ids_of_parts(files["name"]), "size_bytes": files["size_bytes"]}
        )

    def shards(self) -> pa.Table:
        """What the last attempt at each shard processed; see `metrics.shard_table.worked`."""
        return worked(self.shard_parts())

    def shard_parts(self) -> pa.Table:
        """One row per committed shard, with columns `metrics.shard_table.PARTS_SCHEMA`."""
        return self._markers.shards()

    def staged(self, run: str, shard_id: str, attempt: int) -> Location:
        """The location of an attempt's part before its commit.

        `run` is in the name because a worker of a killed run may still be writing.
        """
        return self.root / "staging" / f"{shard_id}-{run}-{attempt}.parquet"

    def part(self, shard_id: str) -> Location:
        """The location of a committed shard's results."""
        return self.output / f"part-{shard_id}.parquet"

    def commit(self, report: ShardReport) -> None:
        """Make a staged part visible, then write its marker; thread-safe."""
        staged = self.staged(report.run, report.shard_id, report.attempt)
        staged.move_to(self.part(report.shard_id))
        self._markers.add(report)

    def replace(self, report: ShardReport) -> None:
        """Replace a committed part by a staged one.

        If the run is killed in between, one of the two is left intact; the next run checks which.
        """
        self._markers.begin_replacement(report)
        self.commit(report)
        self._markers.end_replacement(report.shard_id)

    def _finish_replacements(self) -> None:
        """Set the markers of parts that a run was replacing when it was killed."""
        for coming in self._markers.unfinished_replacements():
            part = self.part(coming.shard_id)
            if not part.exists():
                continue  # its shard is run again
            if checksum(part.read()) == coming.checksum:
                self._markers.restore(coming)
            self._markers.end_replacement(coming.shard_id)

    def clean_up(self, unmarked: Collection[str]) -> None:
        """Remove what earlier runs left: staged parts, partly written files, these unmarked parts.

        Call only while no worker of this run is active.
        """
        files = (Location(self.root.filesystem, path) for path in self.leftovers())
        delete_all(files, self._check)
        delete_all(map(self.part, unmarked), self._check)

    def forget(self, shard_ids: Collection[str]) -> None:
        """Delete the markers of shards that are to be run again."""
        self._markers.forget(shard_ids)

    def supersede(self, shards: Sequence[Shard]) -> None:
        """Delete the markers, then the parts, of an input file that has changed since."""
        self._markers.forget([shard.id for shard in shards])
        delete_all((self.part(shard.id) for shard in shards), self._check)

    def reopen(self) -> None:
        """Mark the job as incomplete again."""
        (self.root / "_SUCCESS").delete()

    def summary(self) -> dict[str, Any]:
        """The last run's summary, or an empty dict if there is no readable one."""
        found = read_if_whole(self.root / "summary.json") or {}
        return found if isinstance(found.get("runs", []), list) else {}

    def forecast(self) -> dict[str, Any] | None:
        """The stored forecast, or None if there is no readable one."""
        return read_if_whole(self.root / "forecast.json")

    def write_forecast(self, forecast: dict[str, Any]) -> None:
        """Store a forecast for comparison in the summary; the job need not exist yet.

        Raises:
            OutputError: the output holds files that are not batchfim's.
        """
        self._refuse_foreign()
        self.root.make_folder()
        (self.root / "forecast.json").write(as_json(forecast))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Store the summary, then `_SUCCESS` if the job is complete and no row failed."""
        success = summary["complete"] and not summary["rows"]["failed"]
        if not success:
            self.reopen()
        (self.root / "summary.json").write(as_json(summary))
        if success:
            (self.root / "_SUCCESS").write(b"")


def _is_temporary(name: str) -> bool:
    return name.endswith(".tmp") and not name.startswith(_LOOKED)


def _are_parts(names: pa.Array) -> pa.Array:
    return pc.match_substring_regex(names, _PART)


def _ids_of_parts(names: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(names, len("part-"), len("part-") + 20)
