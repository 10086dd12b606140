"""Which workers stand still, by their steps and a clock that the test turns."""

from __future__ import annotations

from batchfim.driver.watch import StallWatch


def watch() -> StallWatch:
    return StallWatch(stall_timeout_s=10, start_timeout_s=100)


def test_a_busy_worker_without_a_step_is_late_once_the_time_is_over() -> None:
    seen = watch()
    for now_s in (0.0, 5.0, 10.0):
        assert seen.stalled({"w": 3}, (), ("w",), now_s) == {}
    assert seen.stalled({"w": 3}, (), ("w",), 11.0) == {"w": 11.0}


def test_every_step_sets_the_clock_back() -> None:
    seen = watch()
    for turn in range(5):
        assert seen.stalled({"w": turn}, (), ("w",), 9.0 * turn) == {}
    assert seen.stalled({"w": 4}, (), ("w",), 47.0) == {"w": 11.0}


def test_an_idle_worker_is_never_late_and_starts_afresh_when_it_gets_work() -> None:
    seen = watch()
    assert seen.stalled({"w": 3}, (), (), 0.0) == {}
    assert seen.stalled({"w": 3}, (), (), 1000.0) == {}
    assert seen.stalled({"w": 3}, (), ("w",), 1009.0) == {}
    assert seen.stalled({"w": 3}, (), ("w",), 1011.0) == {"w": 11.0}


def test_an_engine_has_its_own_time_to_come_up_in() -> None:
    seen = watch()
    assert seen.stalled({"w": 0}, ("w",), (), 0.0) == {}
    assert seen.stalled({"w": 0}, ("w",), (), 99.0) == {}
    assert seen.stalled({"w": 0}, (), ("w",), 100.0) == {}  # it is up, and works from now on
    assert seen.stalled({"w": 0}, (), ("w",), 111.0) == {"w": 11.0}
    assert seen.stalled({"v": 0}, ("v",), (), 111.0) == {}
    assert seen.stalled({"v": 0}, ("v",), (), 212.0) == {"v": 101.0}


def test_a_worker_without_a_process_yet_has_no_clock() -> None:
    seen = watch()
    assert seen.stalled({}, ("w",), (), 0.0) == {}
    assert seen.stalled({"w": 0}, ("w",), (), 500.0) == {}
