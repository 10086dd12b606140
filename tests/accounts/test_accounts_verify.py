"""Each defect, planted in a finished job, is named with the way out; a sound job has none."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from batchfim.accounts.coverage import holes_and_overlaps
from batchfim.accounts.verify import verify_job
from batchfim.api import retry_job
from batchfim.cli import app
from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile, Shard
from batchfim.storage.job_lease import JobLease
from batchfim.storage.ledger import Ledger
from tests.jobs_in_process import Job, names

OTHER_ID = "0123456789abcdef0123"


@pytest.fixture(params=[False, True], ids=["markers", "segments"])
def done(job: Job, request: pytest.FixtureRequest) -> Job:
    """A finished job, its markers apart or in a segment."""
    job.run()
    if request.param:
        ledger_of(job).compact()
    return job


def ledger_of(job: Job) -> Ledger:
    return Ledger.at(str(job.output))


def part_of(job: Job) -> Path:
    return min(job.output.glob("part-*.parquet"))


def problems(job: Job) -> list[str]:
    return list(verify_job(str(job.output))["problems"])


def heal(job: Job) -> None:
    job.run()
    assert problems(job) == []
    assert job.ids() == names(12)


def test_a_sound_job_has_no_problems(done: Job) -> None:
    found = verify_job(str(done.output))
    assert (found["problems"], found["parts"], found["rows"]["ok"]) == ([], 3, 12)


def test_a_flipped_byte_is_found(done: Job) -> None:
    part = part_of(done)
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 1
    part.write_bytes(content)
    (problem,) = problems(done)
    assert problem == (
        f"{part.name} does not match the checksum in its marker; "
        "delete the part and run the job again"
    )
    part.unlink()
    heal(done)


def test_a_part_cut_short_is_found(done: Job) -> None:
    part = part_of(done)
    size = part.stat().st_size
    part.write_bytes(part.read_bytes()[:100])
    (problem,) = problems(done)
    assert f"{part.name} has 100 bytes, but its marker says {size}; delete the part" in problem


def test_a_deleted_part_is_found(done: Job) -> None:
    part = part_of(done)
    part.unlink()
    (problem,) = problems(done)
    assert f"{part.name} is missing" in problem
    heal(done)


def test_a_part_under_another_name_is_found(done: Job) -> None:
    shutil.copy(part_of(done), done.output / f"part-{OTHER_ID}.parquet")
    (problem,) = problems(done)
    assert f"part-{OTHER_ID}.parquet has no marker, so its rows may be duplicates" in problem
    heal(done)


def test_a_shard_that_nobody_planned_is_found(job: Job) -> None:
    job.run()
    part = part_of(job)
    shutil.copy(part, job.output / f"part-{OTHER_ID}.parquet")
    marker = job.ledger / "done" / f"{part.stem.removeprefix('part-')}.json"
    content = json.loads(marker.read_text()) | {"shard_id": OTHER_ID}
    (job.ledger / "done" / f"{OTHER_ID}.json").write_text(json.dumps(content))
    (problem,) = problems(job)
    assert f"shard {OTHER_ID} is done but was never planned; delete the part" in problem
    (job.output / f"part-{OTHER_ID}.parquet").unlink()
    heal(job)


def test_a_part_with_other_rows_of_the_right_checksum_is_found(job: Job) -> None:
    """As by a worker that counted wrong: marker and bytes agree, the rows do not."""
    job.run()
    marker = next((job.ledger / "done").glob("*.json"))
    content = json.loads(marker.read_text())
    content["counts"] |= {"ok": 3, "failed": 1}
    marker.write_text(json.dumps(content))
    (problem,) = problems(job)
    assert "has 4 ok rows, but its marker says 1 failed, 3 ok" in problem


def test_leftovers_are_found_unless_somebody_is_at_work(done: Job) -> None:
    (done.ledger / "staging" / "x-run-1.parquet").write_bytes(b"")
    (done.ledger / "summary.json.1a2b3c4d.tmp").write_bytes(b"")
    found = problems(done)
    assert [Path(line.split()[0]).name for line in found] == [
        "x-run-1.parquet",
        "summary.json.1a2b3c4d.tmp",
    ]
    with JobLease(ledger_of(done).lease_folder):
        assert problems(done) == []


def test_unfinished_shards_are_found(job: Job) -> None:
    job.run()
    (more,) = cut_shards([InputFile("/b.parquet", "bb", 5, 1.0)], 10, "job")
    ledger_of(job).add_to_plan([more])
    (problem,) = problems(job)
    assert problem == "1 of 4 planned shards are not done; run the job again"


def test_a_plan_that_overlaps_is_found(job: Job) -> None:
    job.run()
    shard = ledger_of(job).plan()[1]
    ledger_of(job).add_to_plan([replace(shard, id=OTHER_ID, start=shard.start + 1)])
    assert any("rows 5 to 7 are in more than one shard" in line for line in problems(job))


def test_a_complete_job_misses_nothing_of_a_file_that_is_gone(job: Job) -> None:
    job.run()
    first = min(ledger_of(job).plan(), key=lambda shard: shard.start)
    (job.output / f"part-{first.id}.parquet").unlink()
    (job.records / "a.parquet").unlink()
    job.write("b.parquet", range(20, 24))
    job.run()
    assert problems(job) == []


def test_what_a_running_job_commits_meanwhile_is_no_problem(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.run()
    part = part_of(job)
    marker = job.ledger / "done" / f"{part.stem.removeprefix('part-')}.json"
    aside = {file: file.rename(job.records / file.name) for file in (part, marker)}

    def commit() -> None:
        while aside:
            there, here = aside.popitem()
            here.rename(there)

    def then_commits(read: Callable[[Ledger], Any]) -> Callable[[Ledger], Any]:
        def both(ledger: Ledger) -> Any:
            found = read(ledger)
            commit()
            return found

        return both

    for name in ("parts", "done"):
        monkeypatch.setattr(Ledger, name, then_commits(getattr(Ledger, name)))
    with JobLease(ledger_of(job).lease_folder):
        assert problems(job) == []
    assert part.exists()


@pytest.fixture
def retried(job: Job, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of which `verify` first reads the markers, and then a retry replaces a part."""
    job.run("engine.simulated.fail_if_contains=f5(")
    before, read = [ledger_of(job).done()], Ledger.done
    retry_job(str(job.output), None, ("engine.simulated.fail_if_contains=null",))
    monkeypatch.setattr(Ledger, "done", lambda ledger: before.pop() if before else read(ledger))
    return job


def replaced(job: Job) -> Path:
    """The part that the retry wrote."""
    return max(job.output.glob("part-*.parquet"), key=lambda part: part.stat().st_mtime_ns)


def test_a_part_that_a_retry_replaces_meanwhile_is_no_problem(retried: Job) -> None:
    with JobLease(ledger_of(retried).lease_folder):
        assert problems(retried) == []


def test_nor_is_one_whose_marker_is_not_there_yet(retried: Job) -> None:
    shard_id = replaced(retried).stem.removeprefix("part-")
    (retried.ledger / "done" / f"{shard_id}.void").write_bytes(b"{}")
    with JobLease(ledger_of(retried).lease_folder):
        assert problems(retried) == []


def test_nor_is_one_that_is_gone_with_its_marker(retried: Job) -> None:
    ledger_of(retried).compact()
    ledger_of(retried).forget([replaced(retried).stem.removeprefix("part-")])
    replaced(retried).write_bytes(b"of another run")
    with JobLease(ledger_of(retried).lease_folder):
        assert problems(retried) == []


def test_a_replaced_part_that_is_damaged_is_found(retried: Job) -> None:
    part = replaced(retried)
    part.write_bytes(part.read_bytes()[:100])
    with JobLease(ledger_of(retried).lease_folder):
        (problem,) = problems(retried)
    assert problem.startswith(f"{part.name} has 100 bytes, but its marker says ")
    part.unlink()
    heal(retried)


def test_rows_that_no_shard_has_are_named() -> None:
    shards = cut_shards([InputFile("/a.parquet", "aa", 30, 1.0)], 10, "job")
    assert list(holes_and_overlaps(shards)) == []
    (line,) = holes_and_overlaps([shards[0], shards[2]])
    assert line == "/a.parquet: rows 10 to 19 are in no planned shard"


def test_the_command_ends_with_0_or_1_and_a_line_for_each_problem(done: Job) -> None:
    runner = CliRunner()
    sound = runner.invoke(app, ["verify", str(done.output)])
    assert (sound.exit_code, "3 parts and 12 rows match" in sound.stdout) == (0, True)
    for part in sorted(done.output.glob("part-*.parquet"))[:2]:
        part.unlink()
    broken = runner.invoke(app, ["verify", str(done.output)])
    assert (broken.exit_code, len(broken.stdout.splitlines())) == (1, 2)
    as_json = runner.invoke(app, ["verify", str(done.output), "--json"])
    assert (as_json.exit_code, len(json.loads(as_json.stdout)["problems"])) == (1, 2)


def test_another_table_with_the_right_checksum_is_found(job: Job) -> None:
    job.run()
    ledger = ledger_of(job)
    part = part_of(job)
    shard_id = part.stem.removeprefix("part-")
    pq.write_table(pa.table({"x": [1, 2, 3, 4]}), part)
    marker = job.ledger / "done" / f"{shard_id}.json"
    checksum = hashlib.blake2b(part.read_bytes(), digest_size=16).hexdigest()
    size = part.stat().st_size
    content = json.loads(marker.read_text()) | {"checksum": checksum, "size_bytes": size}
    marker.write_text(json.dumps(content))
    (problem,) = problems(job)
    assert f"{part.name} has no column 'status'" in problem
    assert shard_id in ledger.done_ids()


def test_a_shard_within_another_makes_no_hole() -> None:
    ranges = [(0, 30), (5, 5), (30, 10)]
    shards = [Shard(f"{at}", "f", "c", "/a.parquet", at, rows) for at, rows in ranges]
    (told,) = holes_and_overlaps(shards)
    assert told.startswith("/a.parquet: rows 5 to 9 are in more than one shard")
