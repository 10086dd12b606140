"""Files that move, change and go from run to run: old and new rows are never mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from batchfim.planning.work import (
    absent_warning,
    contents_of,
    current_paths,
    plan_work,
    seen_files,
)
from batchfim.shards import InputFile, SeenFiles, Shard

A = InputFile("/data/a.parquet", "aa", 100, 10.0)
MOVED = replace(A, path="/moved/a.parquet")
CHANGED = replace(MOVED, content="bb")
AGAIN = replace(CHANGED, path="/again/a.parquet")


@dataclass
class Plan:
    """A plan that runs add to, as the ledger keeps it."""

    shards: list[Shard] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    seen: SeenFiles = field(default_factory=SeenFiles)

    def run(self, files: Sequence[InputFile], most: int = 1000, killed: str = "") -> None:
        """Finish at most so many shards; perhaps killed before it plans or before it works."""
        contents = contents_of(self.shards)
        where = current_paths(files, contents, self.seen)
        planned = self.seen.placed(self.shards)
        self.seen = seen_files(files, planned, contents, where, self.seen)
        superseded = self.seen.superseded
        work = plan_work(files, planned, self.done, 40, "job", where=where, superseded=superseded)
        self.shards += work.added if killed != "before the plan" else []
        if not killed:
            self.done -= {shard.id for shard in work.superseded}
            self.done |= {shard.id for shard in work.pending[:most]}

    def rows(self) -> Counter[str]:
        """Finished rows by content."""
        rows: Counter[str] = Counter()
        for shard in self.shards:
            rows[shard.content] += shard.num_rows if shard.id in self.done else 0
        return +rows

    def warning(self) -> str | None:
        return absent_warning(self.seen.placed(self.shards), self.done, self.seen.absent)


def after(*runs: Sequence[InputFile]) -> Plan:
    plan = Plan()
    for files in runs:
        plan.run(files)
    return plan


def test_a_file_that_moved_and_then_changed_is_withdrawn() -> None:
    assert after([A], [MOVED], [CHANGED]).rows() == {"bb": 100}
    assert after([A], [MOVED], [A], [replace(A, content="bb")]).rows() == {"bb": 100}
    assert after([A], [MOVED], [], [CHANGED]).rows() == {"bb": 100}


def test_a_file_that_moved_and_changed_at_once_is_another_file() -> None:
    assert after([A], [CHANGED]).rows() == {"aa": 100, "bb": 100}


def test_nobody_misses_what_a_changed_file_was_even_when_the_new_one_moves_or_goes() -> None:
    plan = after([A], [MOVED], [CHANGED])
    for files in ([CHANGED], [AGAIN], []):
        plan.run(files)
        assert (plan.warning(), len(plan.seen.superseded)) == (None, 1)
    assert plan.rows() == {"bb": 100}


def test_a_file_that_is_gone_is_missed_where_it_was_last_seen() -> None:
    plan = Plan()
    plan.run([A], 1)
    plan.run([MOVED], 0)
    plan.run([])
    told = str(plan.warning())
    assert told.startswith("60 planned records are not processed, as 1 files are no longer in the")
    assert f"such as {MOVED.path};" in told


def test_a_file_that_is_as_it_was_before_it_changed_is_worked_again() -> None:
    plan = after([A], [replace(A, content="bb")], [A])
    assert plan.rows() == {"aa": 100}
    assert plan.seen.superseded == {replace(A, content="bb").id}


def test_a_killed_run_saw_the_change_although_the_file_has_moved_on() -> None:
    for killed in ("before the plan", "before the work"):
        plan = after([A], [MOVED])
        plan.run([CHANGED], killed=killed)
        plan.run([AGAIN])
        assert plan.rows() == {"bb": 100}


def test_a_moved_file_is_not_taken_for_its_twin_that_changed() -> None:
    twin = replace(A, path="/data/twin.parquet")
    changed = replace(A, content="bb")
    moved = [replace(file, path=f"/moved{file.path}") for file in (changed, twin)]
    assert after([A, twin], [changed, twin], moved).rows() == {"aa": 100, "bb": 100}


def test_of_two_files_with_one_content_each_stays_itself_after_a_move() -> None:
    twin = replace(MOVED, path="/moved/twin.parquet")
    plan = after([A, replace(A, path="/data/twin.parquet")], [MOVED, twin])
    before = plan.seen
    plan.run([twin, MOVED])
    assert plan.seen == before
    plan.run([twin])
    assert (plan.rows(), len(plan.seen.absent)) == ({"aa": 200}, 1)


STEPS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["stay", "move", "change", "leave"]), min_size=3, max_size=3),
        st.sampled_from([0, 2, 1000]),
        st.sampled_from(["", "before the plan", "before the work"]),
    ),
    max_size=6,
)


@given(steps=STEPS)
def test_whatever_happens_between_runs_each_file_has_rows_of_one_content(
    steps: list[tuple[list[str], int, str]],
) -> None:
    """Each file does at most one thing between two runs; some are away for a while."""
    files = [InputFile(f"/{name}/0", f"{name}0", 100, 10.0) for name in "abc"]
    plan = Plan()
    plan.run(files)
    for number, (actions, most, killed) in enumerate(steps, 1):
        files = [_after(file, action, number) for file, action in zip(files, actions, strict=True)]
        there = [f for f, action in zip(files, actions, strict=True) if action != "leave"]
        plan.run(there, most, killed)
        if not killed:
            assert len({content[0] for content in plan.rows()}) == len(plan.rows())
    plan.run(files)
    assert plan.rows() == {file.content: 100 for file in files}
    assert plan.warning() is None


def _after(file: InputFile, action: str, number: int) -> InputFile:
    if action == "move":
        return replace(file, path=f"{file.path[:3]}{number}")
    return replace(file, content=f"{file.content[0]}{number}") if action == "change" else file
