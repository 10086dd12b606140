"""A file that lies elsewhere today is the file it was: its shards are adopted, each once."""

from __future__ import annotations

from dataclasses import replace

from batchfim.planning.cutting import cut_shards
from batchfim.planning.work import WorkPlan, plan_work
from batchfim.shards import InputFile

A = InputFile("/data/a.parquet", "aa", 100, 10.0)
TWIN = replace(A, path="/data/twin.parquet")
MOVED = replace(A, path="/moved/a.parquet")
MOVED_TWIN = replace(A, path="/moved/twin.parquet")
PLANNED = cut_shards([A], 40, "job")


def ids(work: WorkPlan) -> list[str]:
    return [shard.id for shard in work.pending]


def test_finished_work_of_a_moved_file_is_not_done_again() -> None:
    done = {shard.id for shard in PLANNED}
    assert plan_work([MOVED], PLANNED, done, 10, "job") == WorkPlan([], [], [])


def test_what_is_left_of_a_moved_file_is_read_where_it_lies_now() -> None:
    work = plan_work([MOVED], PLANNED, {PLANNED[0].id}, 10, "job")
    assert work == WorkPlan([], [replace(s, path=MOVED.path) for s in PLANNED[1:]], [])


def test_another_file_in_its_old_place_withdraws_nothing() -> None:
    other = InputFile(A.path, "bb", 20, 10.0)
    added = cut_shards([other], 40, "job")
    done = {shard.id for shard in PLANNED}
    assert plan_work([MOVED, other], PLANNED, done, 40, "job") == WorkPlan(added, added, [])


def test_a_copy_beside_the_file_is_a_file_of_its_own() -> None:
    added = cut_shards([TWIN], 40, "job")
    done = {shard.id for shard in PLANNED}
    assert plan_work([A, TWIN], PLANNED, done, 40, "job") == WorkPlan(added, added, [])


def test_two_files_with_one_content_that_moved_are_adopted_one_each() -> None:
    planned = cut_shards([A, TWIN], 40, "job")
    done = {shard.id for shard in planned}
    files = [MOVED, MOVED_TWIN]
    assert plan_work(files, planned, done, 40, "job") == WorkPlan([], [], [])
    unfinished = plan_work(files, planned, set(), 40, "job")
    assert (unfinished.added, ids(unfinished)) == ([], [shard.id for shard in planned])
    assert {shard.path for shard in unfinished.pending} == {MOVED.path, MOVED_TWIN.path}
