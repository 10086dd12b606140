"""What is on storage after each step, and what a later run makes of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from batchfim.errors import OutputError, StorageError
from batchfim.planning.cutting import cut_shards
from batchfim.shards import InputFile, Shard
from batchfim.storage.ledger import Ledger
from batchfim.storage.markers import Markers
from batchfim.storage.parts import checksum
from tests.storage.made_jobs import report, stage

FILE = InputFile("/data/a.parquet", "aa", 30, 10.0)
SHARDS = cut_shards([FILE], 10, "job")
ONE, TWO, THREE = SHARDS


def commit(ledger: Ledger, shard: Shard, attempt: int = 1) -> None:
    stage(ledger, shard, attempt)
    ledger.commit(report(shard, attempt))


def rows_in(ledger: Ledger) -> int:
    """What any Parquet reader finds in the output."""
    return int(ds.dataset(ledger.output.path, format="parquet").count_rows())


def test_the_plan_comes_back_in_the_order_it_grew(ledger: Ledger) -> None:
    assert ledger.plan() == []
    ledger.add_to_plan(SHARDS[:2])
    ledger.add_to_plan([])
    ledger.add_to_plan(SHARDS[2:])
    assert ledger.plan() == SHARDS
    assert Ledger(ledger.output).plan() == SHARDS


def test_staged_work_is_not_visible_and_committed_work_is(ledger: Ledger) -> None:
    stage(ledger, ONE)
    assert rows_in(ledger) == 0
    assert ledger.done_ids() == set()
    ledger.commit(report(ONE))
    assert rows_in(ledger) == ONE.num_rows
    assert ledger.done_ids() == {ONE.id}
    assert ledger.shards()["shard_id"].to_pylist() == [ONE.id]
    assert not ledger.staged("run", ONE.id, 1).exists()


def test_the_part_comes_before_the_marker(ledger: Ledger) -> None:
    """A commit that cannot write its marker has moved the part, and one without part no marker."""
    done = Path((ledger.root / "done").path)
    done.rmdir()
    done.touch()  # no marker can be written into a file
    stage(ledger, ONE)
    with pytest.raises(StorageError):
        ledger.commit(report(ONE))
    assert ledger.part(ONE.id).exists()
    done.unlink()
    done.mkdir()
    with pytest.raises(StorageError):
        ledger.commit(report(TWO))  # nothing staged
    assert ledger.done_ids() == set()


def test_a_marker_half_written_is_no_marker(ledger: Ledger) -> None:
    (ledger.root / "done" / f"{ONE.id}.json.1a2b3c4d.tmp").filesystem.open_output_stream(
        (ledger.root / "done" / f"{ONE.id}.json.1a2b3c4d.tmp").path
    ).close()
    assert ledger.done_ids() == set()
    assert ledger.shards().num_rows == 0


def test_clean_up_leaves_only_what_is_done(ledger: Ledger) -> None:
    commit(ledger, ONE)
    stage(ledger, TWO)
    ledger.staged("run", TWO.id, 1).move_to(ledger.part(TWO.id))  # killed before its marker
    stage(ledger, THREE, attempt=2)
    assert rows_in(ledger) == 20
    (ledger.output / "_notes.parquet.txt").write(b"not ours")
    (ledger.root / "done" / f"{THREE.id}.json.0a1b2c3d.tmp").write(b"killed while it was written")
    ledger.clean_up(ledger.part_ids() - {ONE.id})
    assert ledger.leftovers() == []
    assert rows_in(ledger) == 10
    assert ledger.done_ids() == {ONE.id}
    assert (ledger.root / "staging").list() == []


def test_clean_up_leaves_what_is_being_written_without_the_lease(ledger: Ledger) -> None:
    report = ledger.root / "report.html.0a1b2c3d.tmp"
    report.write(b"`batchfim report` looks at a job that runs")
    ledger.clean_up(())
    assert report.exists()


def test_a_part_of_a_shard_that_is_no_longer_planned_goes_too(ledger: Ledger) -> None:
    """Killed between part and marker; then the config was changed, which is still allowed."""
    ledger.claim_job({"a": 1}, {}, {})
    ledger.add_to_plan(SHARDS)
    stage(ledger, ONE)
    ledger.staged("run", ONE.id, 1).move_to(ledger.part(ONE.id))
    ledger.claim_job({"a": 2}, {}, {})
    assert ledger.plan() == []
    ledger.clean_up(ledger.part_ids() - ledger.done_ids())
    assert rows_in(ledger) == 0


def test_superseded_work_is_withdrawn_and_its_neighbour_is_not(ledger: Ledger) -> None:
    for shard in SHARDS:
        commit(ledger, shard)
    ledger.supersede([ONE, THREE])
    ledger.supersede([ONE])
    assert ledger.done_ids() == {TWO.id}
    assert rows_in(ledger) == TWO.num_rows


def test_success_says_that_the_last_run_was_complete(ledger: Ledger) -> None:
    success = ledger.root / "_SUCCESS"
    ledger.write_summary({"rows": {"failed": 0}, "complete": True})
    assert success.exists()
    ledger.write_summary({"rows": {"failed": 0}, "complete": False})
    assert not success.exists()
    assert b'"complete": false' in (ledger.root / "summary.json").read()


def test_a_failed_row_is_no_success(ledger: Ledger) -> None:
    ledger.write_summary({"rows": {"failed": 0}, "complete": True})
    ledger.write_summary({"rows": {"failed": 1}, "complete": True})
    assert not (ledger.root / "_SUCCESS").exists()


def test_a_second_commit_of_a_shard_replaces_the_first(ledger: Ledger) -> None:
    commit(ledger, ONE)
    commit(ledger, ONE, attempt=2)
    assert rows_in(ledger) == ONE.num_rows
    assert ledger.shards()["attempt"].to_pylist() == [2]
    assert pq.read_metadata(ledger.part(ONE.id).path).num_rows == ONE.num_rows


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"shard_id": 3}'])
def test_a_marker_of_garbage_is_named(ledger: Ledger, garbage: bytes) -> None:
    commit(ledger, ONE)
    (ledger.root / "done" / f"{ONE.id}.json").write(garbage)
    with pytest.raises(StorageError, match=rf"{ONE.id}\.json: not a marker .*delete it to run"):
        ledger.shards()


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"output\.path cannot be written: .*file"):
        Ledger.at(str(tmp_path / "file")).prepare()


def test_a_ledger_on_an_object_store() -> None:
    ledger = Ledger.at("memory://batchfim-test-ledger")
    ledger.prepare()
    ledger.claim_job({"a": 1}, {}, {})
    ledger.add_to_plan(SHARDS)
    commit(ledger, ONE)
    assert (ledger.plan(), ledger.done_ids()) == (SHARDS, {ONE.id})
    ledger.clean_up(ledger.part_ids() - ledger.done_ids())
    assert ledger.part(ONE.id).exists()
    commit(ledger, TWO)
    ledger.compact()
    assert Ledger(ledger.output).done_ids() == {ONE.id, TWO.id}
    ledger.supersede([ONE])
    done = ledger.done()
    assert (done.ids.to_pylist(), done.totals.counts.ok) == ([TWO.id], TWO.num_rows)
    assert ledger.parts()["shard_id"].to_pylist() == [TWO.id]


def test_what_is_done_of_unchanged_files_is_no_object_of_the_plan(ledger: Ledger) -> None:
    ledger.add_to_plan(SHARDS)
    first = SHARDS[0]
    rest = SHARDS[1:]
    assert ledger.planned_without([first.id], [first.file]) == rest
    assert ledger.planned_without([first.id], ["another file"]) == SHARDS
    assert ledger.planned_without([], [first.file]) == SHARDS
    assert ledger.planned_files()[0] == {shard.file: shard.content for shard in SHARDS}


def test_markers_without_a_part_and_parts_without_a_marker(ledger: Ledger) -> None:
    stage(ledger, ONE)
    ledger.commit(report(ONE))
    ledger.part(TWO.id).write(b"")
    assert ledger.half_committed({ONE.id}) == (set(), {TWO.id})
    ledger.part(ONE.id).delete()
    assert ledger.half_committed({ONE.id}) == ({ONE.id}, {TWO.id})


def test_a_part_is_void_before_it_is_replaced(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the part and its marker: the two are of different attempts."""

    def killed(self: Markers, report: object) -> None:
        raise KeyboardInterrupt

    ledger.claim_job({"a": 1}, {}, {})
    commit(ledger, ONE)
    stage(ledger, ONE, attempt=2)
    coming = checksum(ledger.staged("run", ONE.id, 2).read())
    replacing = report(ONE, attempt=2).model_copy(update={"checksum": coming})
    with monkeypatch.context() as patched:
        patched.setattr(Markers, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.replace(replacing)
    assert ledger.done_ids() == set()
    again = Ledger(ledger.output)
    again.claim_job({"a": 1}, {}, {})
    assert again.shards()["attempt"].to_pylist() == [2]
