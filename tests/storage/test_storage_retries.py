"""How long a failing storage is waited for, on a clock of the test's."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from batchfim.errors import ConfigError, StorageBusy, StorageError
from batchfim.storage import retries
from batchfim.storage.retries import RETRY_ENV, retried

BUSY = OSError(errno.EIO, "busy")
FULL = OSError(errno.ENOSPC, "full")
DENIED = OSError("AWS Error ACCESS_DENIED during HeadObject operation")


@dataclass
class Clock:
    """Time that passes only while the code sleeps."""

    now_s: float = 1000.0
    slept_s: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert len(self.slept_s) < 1000, "it never ends"
        self.slept_s.append(seconds)
        self.now_s += max(seconds, 1e-6)  # a sum of floats may stand still, a real clock does not


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retries, "time", clock)
    monkeypatch.setattr(retries, "_outages", retries.Outages())  # as when a process begins
    monkeypatch.setenv(RETRY_ENV, "120")
    return clock


def fail(error: Exception, times: float = float("inf")) -> Callable[[], str]:
    """An action that raises an error so many times."""
    left = times

    def action() -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return "done"

    return action


def run(action: Callable[[], str], kind: str = "s3") -> str:
    return retried(action, "s3://b/k", kind)


def test_what_may_pass_is_tried_again_after_waits_that_grow(clock: Clock) -> None:
    assert run(fail(BUSY, times=10)) == "done"
    assert len(clock.slept_s) == 10
    for number, slept_s in enumerate(clock.slept_s):
        assert 0 <= slept_s <= min(0.1 * 2**number, 10)


def test_what_does_not_pass_is_given_up_at_the_limit(clock: Clock) -> None:
    with pytest.raises(StorageBusy, match=r"^s3://b/k: .*tried for 120 s.*run the same command"):
        run(fail(BUSY))
    assert clock.now_s == pytest.approx(1120)


def test_what_is_final_is_tried_once(clock: Clock) -> None:
    run(fail(BUSY, times=0))  # an answer, after which only denials may pass
    with pytest.raises(StorageError, match=r"^s3://b/k: the disk is full") as caught:
        run(fail(FULL))
    assert not isinstance(caught.value, StorageBusy)
    assert caught.value.__cause__ is FULL
    assert clock.slept_s == []
    clock.now_s += 200
    assert run(fail(BUSY, times=1)) == "done"  # for it began no outage


def test_an_error_of_the_actions_own_is_passed_on_as_it_is(clock: Clock) -> None:
    own = StorageBusy("waited for already")
    with pytest.raises(StorageBusy) as caught:
        run(fail(own))
    assert caught.value is own
    assert clock.slept_s == []


def test_a_denial_is_waited_for_only_after_an_answer_and_not_as_long(clock: Clock) -> None:
    with pytest.raises(StorageError, match="access denied"):
        run(fail(DENIED))
    assert clock.slept_s == []
    run(fail(BUSY, times=0))
    with pytest.raises(StorageError, match="access denied") as caught:
        run(fail(DENIED))
    assert not isinstance(caught.value, StorageBusy)
    assert clock.now_s == pytest.approx(1015)


def test_an_outage_is_waited_for_once_for_each_kind_of_storage(clock: Clock) -> None:
    with pytest.raises(StorageBusy):
        run(fail(BUSY))
    waits = len(clock.slept_s)
    with pytest.raises(StorageBusy):
        run(fail(BUSY))
    assert len(clock.slept_s) == waits
    assert run(fail(BUSY, times=1), kind="gcs") == "done"
    assert run(fail(BUSY, times=0)) == "done"
    assert run(fail(BUSY, times=1)) == "done"  # after an answer, the next outage is a new one


def test_one_that_fails_while_others_succeed_is_given_up_too(clock: Clock) -> None:
    def fail_alone() -> str:
        run(fail(BUSY, times=0))
        raise BUSY

    with pytest.raises(StorageBusy, match="tried for 120 s"):
        run(fail_alone)
    assert clock.now_s == pytest.approx(1120)


def test_a_long_outage_is_told_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    run(fail(BUSY, times=5))
    assert clock.now_s - 1000 < 10
    assert caplog.records == []
    with caplog.at_level(logging.WARNING), pytest.raises(StorageBusy):
        run(fail(BUSY))
    assert [record.getMessage() for record in caplog.records] == [
        "s3://b/k: [Errno 5] busy; retrying for up to 120 s"
    ]


def test_a_limit_that_is_no_number_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(RETRY_ENV, "long")
    with pytest.raises(ConfigError, match=f"{RETRY_ENV}: 'long' is not a number of seconds"):
        run(fail(BUSY, times=0))
