"""Two runs never share a job."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import psutil
import pytest

from batchfim.errors import JobFailed, JobHeld
from batchfim.storage.job_lease import LEASE_S, JobLease, find_holder
from batchfim.storage.location import Location


def write_claim(folder: Location, name: str, **changes: object) -> None:
    """Another run's claim; it starts as this process's own, taken from a lease of it."""
    elsewhere = folder / "elsewhere"
    elsewhere.make_folder()
    with JobLease(elsewhere):
        claim = json.loads((elsewhere / names(elsewhere)[0]).read())
    Path(elsewhere.path).rmdir()
    (folder / name).write(json.dumps(claim | changes).encode())


def names(folder: Location) -> list[str]:
    return [info.base_name for info in folder.list()]


@contextmanager
def renewed(claim: Location) -> Iterator[None]:
    """Its machine lives: the claim is written anew again and again."""
    ended = threading.Event()

    def renew() -> None:
        for renewal in count(2):
            claim.write(json.dumps(json.loads(claim.read()) | {"renewal": renewal}).encode())
            if ended.wait(0.2):
                return

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def grow_old(claim: Location, age_s: float) -> None:
    past = Path(claim.path).stat().st_mtime - age_s
    os.utime(claim.path, (past, past))


def test_a_second_holder_is_refused_and_told_who_holds(folder: Location) -> None:
    with JobLease(folder) as lease:
        assert not lease.lost
        with pytest.raises(JobHeld, match=f"process {os.getpid()} on {socket.gethostname()}"):
            JobLease(folder).__enter__()
        assert len(names(folder)) == 1
    assert names(folder) == []
    with JobLease(folder):
        assert len(names(folder)) == 1


def test_an_error_inside_releases_it(folder: Location) -> None:
    with pytest.raises(KeyError), JobLease(folder):
        raise KeyError
    assert names(folder) == []


def test_a_process_of_another_host_is_believed_once_it_renews_its_claim(folder: Location) -> None:
    write_claim(folder, "other.json", host="elsewhere", machine="another", pid=1)
    with renewed(folder / "other.json"), pytest.raises(JobHeld, match="process 1 on elsewhere"):
        JobLease(folder).__enter__()
    assert names(folder) == ["other.json"]


@pytest.mark.parametrize("held", [True, False])
def test_a_machine_that_died_a_while_ago_is_waited_out(folder: Location, held: bool) -> None:
    """A head that was killed comes again within a minute, while its old claim is still fresh."""
    write_claim(folder, "0.json", host="elsewhere", machine="another", pid=1, held=held)
    grow_old(folder / "0.json", LEASE_S - 2)
    assert (find_holder(folder) is not None) == held
    with JobLease(folder):
        assert "0.json" not in names(folder)


def test_a_rival_that_dies_while_it_claims_is_waited_out(folder: Location) -> None:
    """It had the larger name and would have given way."""
    with JobLease(folder) as lease:
        larger = f"z{lease._name}"
    changes = {"host": "elsewhere", "machine": "another", "held": False, "lease_s": 3}
    write_claim(folder, larger, **changes)
    timer = threading.Timer(0.5, write_claim, [folder, larger], changes | {"renewal": 9})
    timer.start()
    with JobLease(folder):
        assert larger not in names(folder)
    timer.join()


def test_a_lease_that_took_too_long_to_be_taken_is_none(folder: Location) -> None:
    lease = JobLease(folder)
    lease._lost.set()
    with pytest.raises(JobHeld, match="expired while being acquired"):
        lease.__enter__()
    assert names(folder) == []


def test_who_waits_for_a_dead_machine_leaves_no_claim_when_interrupted(folder: Location) -> None:
    write_claim(folder, "other.json", host="elsewhere", machine="another", pid=1)
    timer = threading.Timer(1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        JobLease(folder).__enter__()
    assert names(folder) == ["other.json"]


def gone_pid() -> int:
    """A process number that nobody has here."""
    return next(pid for pid in range(4_000_000, 1 << 22) if not psutil.pid_exists(pid))


def test_a_container_that_shares_the_hosts_name_is_believed_too(folder: Location) -> None:
    """Its processes have numbers of their own: that one is not running here says nothing."""
    write_claim(folder, "other.json", machine="another", pid=gone_pid())
    told = f"process {gone_pid()} on {socket.gethostname()}"
    with renewed(folder / "other.json"), pytest.raises(JobHeld, match=told):
        JobLease(folder).__enter__()
    assert names(folder) == ["other.json"]
    write_claim(folder, "other.json", pid=gone_pid())  # of this machine: known to be dead
    with JobLease(folder):
        assert "other.json" not in names(folder)


def test_a_lease_whose_claim_a_rival_removed_is_lost_for_good(folder: Location) -> None:
    with JobLease(folder) as lease:
        lease._renew_once()
        assert not lease.lost
        assert len(names(folder)) == 1
        (folder / names(folder)[0]).delete()
        lease._renew_once()  # what the renewing thread does every few seconds
        assert lease.lost
        lease._renew_once()
        assert names(folder) == []  # it does not come back and stand beside the rival's
        assert lease.lost


def test_a_lease_that_is_renewed_too_late_stays_lost(folder: Location) -> None:
    """Others may have the job by then, and a run that goes on would commit beside theirs."""
    with JobLease(folder) as lease:
        lease._renewed_s -= LEASE_S - 10  # before they may take it
        lease._write(held=True)  # a renewal that was on its way all that time
        assert lease.lost
        lease._renew_once()
        assert lease.lost


def test_it_holds_for_longer_than_a_storage_is_asked_again(
    folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "600")
    with JobLease(folder) as lease:
        lease._renewed_s -= 630
        assert not lease.lost
        (name,) = names(folder)
        assert json.loads((folder / name).read())["lease_s"] == 660


def test_a_claim_that_was_not_renewed_is_dead(folder: Location) -> None:
    write_claim(folder, "other.json", host="elsewhere", machine="another", pid=1)
    grow_old(folder / "other.json", LEASE_S + 1)
    with JobLease(folder):
        assert "other.json" not in names(folder)


def earlier_s() -> float:
    """A time of day at which this process did not start."""
    return psutil.Process().create_time() - 100


def test_a_later_process_with_the_same_pid_is_another(folder: Location) -> None:
    write_claim(folder, "old.json", start_ticks=1)
    with JobLease(folder):
        assert "old.json" not in names(folder)


def test_a_process_whose_clock_was_set_is_the_same(folder: Location) -> None:
    """Its time of day is the boot's plus its age, and setting the clock moves the boot's."""
    write_claim(folder, "other.json", started_s=earlier_s())
    assert find_holder(folder) is not None
    with pytest.raises(JobHeld, match=f"process {os.getpid()} on"):
        JobLease(folder).__enter__()
    assert names(folder) == ["other.json"]


def test_where_no_ticks_are_told_the_time_of_day_has_to_do(folder: Location) -> None:
    """As in a claim of an earlier version."""
    write_claim(folder, "other.json", start_ticks=None)
    with pytest.raises(JobHeld):
        JobLease(folder).__enter__()
    write_claim(folder, "other.json", start_ticks=None, started_s=earlier_s())
    with JobLease(folder):
        assert "other.json" not in names(folder)


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"host": "a"}', b"\xff"])
def test_a_claim_of_garbage_holds_nothing(folder: Location, garbage: bytes) -> None:
    (folder / "bad.json").write(garbage)
    with JobLease(folder):
        assert "bad.json" not in names(folder)


@pytest.mark.parametrize(
    "odd",
    [
        {"pid": -1},
        {"pid": 1.5},
        {"started_s": "then"},
        {"start_ticks": "then"},
        {"held": 1},
        {"lease_s": 0},
        {"lease_s": 1e9},
    ],
)
def test_a_claim_of_odd_values_holds_nothing(folder: Location, odd: dict[str, object]) -> None:
    write_claim(folder, "other.json", **odd)
    assert find_holder(folder) is None
    with JobLease(folder):
        assert len(names(folder)) == 1


@pytest.mark.parametrize("contest", range(15))
def test_of_many_threads_one_holds(folder: Location, contest: int) -> None:
    num = 2 + contest % 7
    together, all_tried, tried = threading.Barrier(num), threading.Barrier(num), []

    def contend() -> None:
        with ExitStack() as stack:
            together.wait()
            try:
                stack.enter_context(JobLease(folder))
                tried.append("held")
            except JobHeld:
                tried.append("refused")
            all_tried.wait(30)  # nobody lets go before all have tried

    threads = [threading.Thread(target=contend) for _ in range(num)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tried) == ["held", *["refused"] * (num - 1)]
    assert names(folder) == []


def test_what_was_lost_or_given_back_is_held_no_more(folder: Location) -> None:
    with JobLease(folder) as lease:
        lease.check()
    assert lease.lost  # a thread may still be committing
    with pytest.raises(JobFailed, match="lost the job's lease"):
        lease.check()


def test_who_holds_a_job_for_longer_is_found_as_long(tmp_path: Path) -> None:
    place = Location.of(str(tmp_path))
    write_claim(place, "other.json", host="elsewhere", machine="another", pid=1, lease_s=600.0)
    grow_old(place / "other.json", LEASE_S + 60)
    assert find_holder(place) is not None


def test_a_renewal_counts_from_before_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, write = [1000.0], Location.write

    def write_slowly(self: Location, data: bytes) -> None:
        write(self, data)
        now_s[0] += 30.0

    monkeypatch.setattr("batchfim.storage.job_lease._now_s", lambda: now_s[0])
    with JobLease(Location.of(str(tmp_path))) as lease:
        monkeypatch.setattr(Location, "write", write_slowly)
        lease._write(held=True)
        assert lease._renewed_s == 1000.0
