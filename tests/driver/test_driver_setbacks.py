"""A run stops once nothing succeeds any more, and not because of a single worker."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from batchfim.driver.setbacks import Setbacks
from batchfim.errors import BatchfimError, JobFailed, StorageError

ERROR = JobFailed("too few threads")


def num_until_stop(setbacks: Setbacks, workers: Iterable[str], num_up: int) -> int:
    """Failures, of these workers in turn, with which the run stops; 0: it goes on."""
    for number, worker in enumerate(workers, 1):
        try:
            setbacks.fail(worker, ERROR, num_up)
        except BatchfimError:
            return number
    return 0


def test_each_worker_has_its_share() -> None:
    assert num_until_stop(Setbacks(3, 4), "abcd" * 9, num_up=4) == 12
    assert num_until_stop(Setbacks(3, 1), "a" * 9, num_up=1) == 3


def test_one_of_many_never_stops_the_others() -> None:
    assert num_until_stop(Setbacks(3, 4), "a" * 999, num_up=4) == 0
    assert num_until_stop(Setbacks(3, 4), "a" * 999 + "bcd" * 3, num_up=4) == 999 + 9


def test_those_that_never_come_up_leave_their_share_to_the_others() -> None:
    assert num_until_stop(Setbacks(3, 4), "a" * 99, num_up=1) == 12
    assert num_until_stop(Setbacks(3, 4), "abc" * 99, num_up=3) == 12
    assert num_until_stop(Setbacks(3, 1000), "a" * 99, num_up=1) == 24  # eight count as few


def test_workers_that_were_replaced_count() -> None:
    assert num_until_stop(Setbacks(2, 2), map(str, range(9)), num_up=0) == 4


def test_a_success_starts_again_from_zero() -> None:
    setbacks = Setbacks(2, 1)
    setbacks.fail("a", ERROR, 1)
    setbacks.succeed()
    assert num_until_stop(setbacks, "aaa", num_up=1) == 2


@pytest.mark.parametrize("first", [StorageError("gone"), ERROR])
def test_the_first_cause_is_named_and_decides_the_error(first: BatchfimError) -> None:
    setbacks = Setbacks(2, 1)
    setbacks.fail("a", first, 1)
    with pytest.raises(type(first), match=f"after 2 failures .* the first: {first}"):
        setbacks.fail("a", JobFailed("another"), 1)


def test_failures_that_are_all_alike_are_hardly_a_records_fault() -> None:
    setbacks = Setbacks(3, 1)
    setbacks.fail("a", JobFailed("a shard's own"), 1)
    setbacks.succeed()
    for _ in range(2):
        setbacks.fail("a", ERROR, 1)
    with pytest.raises(JobFailed, match=f"all alike, so hardly a record's fault: {ERROR};"):
        setbacks.fail("a", ERROR, 1)
