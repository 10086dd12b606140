"""How much of the workers' time passes idle, on a made-up clock."""

from __future__ import annotations

from batchfim.driver.idle_time import IdleTime


def test_nobody_is_idle_before_the_first_is_ready() -> None:
    idle = IdleTime()
    idle.pass_time(5.0, num_ready=0, num_busy=0)
    idle.pass_time(50.0, num_ready=0, num_busy=0)
    assert idle.share == 0.0


def test_time_counts_for_each_ready_worker() -> None:
    idle = IdleTime()
    idle.pass_time(100.0, num_ready=0, num_busy=0)
    idle.pass_time(110.0, num_ready=2, num_busy=2)
    idle.pass_time(130.0, num_ready=4, num_busy=3)
    assert idle.share == 20 / (20 + 80)
