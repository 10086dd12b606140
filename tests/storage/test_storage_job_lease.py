"""Two runs never share a job."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from batchfim.errors import JobHeld
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


def test_a_process_of_another_host_is_believed_while_its_claim_is_fresh(folder: Location) -> None:
    write_claim(folder, "other.json", host="elsewhere", machine="another", pid=1)
    with pytest.raises(JobHeld, match="process 1 on elsewhere"):
        JobLease(folder).__enter__()
    assert names(folder) == ["other.json"]


def gone_pid() -> int:
    """A process number that nobody has here."""
    return next(pid for pid in range(4_000_000, 1 << 22) if not psutil.pid_exists(pid))


def test_a_container_that_shares_the_hosts_name_is_believed_too(folder: Location) -> None:
    """Its processes have numbers of their own: that one is not running here says nothing."""
    write_claim(folder, "other.json", machine="another", pid=gone_pid())
    with pytest.raises(JobHeld, match=f"process {gone_pid()} on {socket.gethostname()}"):
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


def test_a_claim_that_was_not_renewed_is_dead(folder: Location) -> None:
    write_claim(folder, "other.json", host="elsewhere", machine="another", pid=1)
    past = Path(folder.path, "other.json").stat().st_mtime - (LEASE_S + 1)
    os.utime(Path(folder.path, "other.json"), (past, past))
    with JobLease(folder):
        assert "other.json" not in names(folder)


def test_a_later_process_with_the_same_pid_is_another(folder: Location) -> None:
    write_claim(folder, "old.json", started_s=psutil.Process().create_time() - 100)
    with JobLease(folder):
        assert "old.json" not in names(folder)


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"host": "a"}', b"\xff"])
def test_a_claim_of_garbage_holds_nothing(folder: Location, garbage: bytes) -> None:
    (folder / "bad.json").write(garbage)
    with JobLease(folder):
        assert "bad.json" not in names(folder)


@pytest.mark.parametrize("odd", [{"pid": -1}, {"pid": 1.5}, {"started_s": "then"}, {"held": 1}])
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
