"""What a later run adds, keeps and withdraws when the input has changed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.planning.cutting import cut_shards
from batchfim.planning.work import WorkPlan, plan_work, small_files_warning
from batchfim.shards import InputFile, Shard

A = InputFile("/data/a.parquet", "aa", 100, 10.0)
B = InputFile("/data/b.parquet", "bb", 50, 10.0)
CHANGED = replace(A, content="cc", num_rows=60)
PLANNED = cut_shards([A, B], 40, "job")
ALL_DONE = {shard.id for shard in PLANNED}


def plan(files: list[InputFile], done: set[str], planned: list[Shard] = PLANNED) -> WorkPlan:
    return plan_work(files, planned, done, 40, "job")


def test_a_first_run_plans_everything() -> None:
    assert plan([A, B], set(), []) == WorkPlan(PLANNED, PLANNED, [])


def test_a_finished_job_has_nothing_to_do() -> None:
    assert plan([A, B], ALL_DONE) == WorkPlan([], [], [])


def test_a_resumed_job_works_what_is_left_in_plan_order() -> None:
    done = {PLANNED[1].id, PLANNED[3].id}
    assert plan([A, B], done) == WorkPlan([], [PLANNED[0], PLANNED[2], PLANNED[4]], [])


def test_a_new_file_is_added() -> None:
    planned = cut_shards([A], 40, "job")
    added = cut_shards([B], 40, "job")
    assert plan([B, A], {shard.id for shard in planned}, planned) == WorkPlan(added, added, [])


def test_a_changed_file_is_done_anew_and_its_finished_work_withdrawn() -> None:
    done = {PLANNED[0].id, PLANNED[3].id}  # one of A's three, one of B's two
    new = cut_shards([CHANGED], 40, "job")
    assert plan([CHANGED, B], done) == WorkPlan(new, [PLANNED[4], *new], [PLANNED[0]])


def test_a_removed_file_keeps_what_is_finished_and_waits_for_nothing() -> None:
    done = {PLANNED[0].id, *(shard.id for shard in PLANNED[3:])}
    assert plan([B], done) == WorkPlan([], [], [])


def test_other_shard_rows_leave_planned_files_as_they_were() -> None:
    planned = cut_shards([A], 40, "job")
    work = plan_work([A, B], planned, {planned[0].id}, 10, "job")
    assert work.added == cut_shards([B], 10, "job")
    assert work.pending == planned[1:] + work.added


def test_many_files_of_few_rows_are_worth_a_warning() -> None:
    small = [replace(A, path=f"/data/{i}", num_rows=2) for i in range(1000)]
    assert "1,000 files of 2.0 rows on average" in str(small_files_warning(small))
    assert small_files_warning(small[1:]) is None
    assert small_files_warning([*small[1:], replace(A, num_rows=64 * 1000)]) is None


@settings(deadline=None)
@given(
    before=st.sets(st.sampled_from([A, B, CHANGED])),
    now=st.sets(st.sampled_from([A, B, CHANGED])),
    data=st.data(),
)
def test_after_the_work_each_current_row_is_done_once(
    before: set[InputFile], now: set[InputFile], data: st.DataObject
) -> None:
    now -= {A} if {A, CHANGED} <= now else set()  # one path, one content
    planned = cut_shards(sorted(before, key=str), 40, "job")
    done = {shard.id for shard in planned if data.draw(st.booleans())}
    work = plan(list(now), done, planned)
    kept = [s for s in planned if s.id in done and s not in work.superseded] + work.pending
    for file in now:
        rows = [row for s in kept if s.path == file.path for row in _rows(s)]
        assert sorted(rows) == list(range(file.num_rows))


def _rows(shard: Shard) -> range:
    return range(shard.start, shard.start + shard.num_rows)


def test_what_is_done_is_not_worked_again_where_the_plan_was_lost() -> None:
    file = InputFile("/a.parquet", "aa", 30, 10.0)
    first, *rest = cut_shards([file], 10, "job")
    work = plan_work([file], [], {first.id}, 10, "job")
    assert (work.added, work.pending) == ([first, *rest], rest)
