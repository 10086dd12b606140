"""Every operation on a storage that fails for a while is done in the end, and done once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pyarrow as pa
import pytest

from batchfim.errors import StorageBusy, StorageError
from batchfim.storage import retries
from batchfim.storage.location import Location
from batchfim.storage.parts import write_part
from tests.s3.proxy import Fault
from tests.s3.server import S3

PASSING = [Fault.BUSY, Fault.ERROR, Fault.RESET, Fault.LOST, Fault.CUT]
TABLE = pa.table({"row": range(100)})


def move(a: Location, b: Location) -> None:
    a.move_to(b)
    assert (not a.exists(), b.read()) == (True, b"a")


def write(a: Location, b: Location) -> None:
    b.write(b"new")
    assert b.read() == b"new"


def delete(a: Location, b: Location) -> None:
    a.delete()
    a.delete()
    assert not a.exists()


def part(a: Location, b: Location) -> None:
    _, size = write_part(b, TABLE, "zstd")
    assert b.info().size == size


def look(a: Location, b: Location) -> None:
    assert [info.size for info in Location.of(a.url.rpartition("/")[0]).list()] == [1]
    assert (a.info().size, a.read(), b.exists()) == (1, b"a", False)


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("act", [move, write, delete, part, look])
def test_an_operation_outlives_more_failures_than_the_sdk_does(
    s3: S3, bucket: str, act: Callable[[Location, Location], None], fault: Fault
) -> None:
    a, b = Location.of(f"{bucket}/a"), Location.of(f"{bucket}/b")
    a.write(b"a")
    s3.proxy.fail(fault, times=4)
    act(a, b)
    assert s3.proxy.num_faults >= 3


def test_a_move_whose_answers_were_lost_is_a_move(s3: S3, bucket: str) -> None:
    """Copied and deleted, and none of it heard of."""
    a, b = Location.of(f"{bucket}/a"), Location.of(f"{bucket}/b")
    a.write(b"a")
    s3.proxy.fail(Fault.LOST, matching=f"DELETE /{bucket[5:]}/a")
    move(a, b)


def test_what_was_never_there_is_not_taken_for_moved(s3: S3, bucket: str) -> None:
    a, b = Location.of(f"{bucket}/a"), Location.of(f"{bucket}/b")
    b.write(b"another's")
    with pytest.raises(StorageError, match=r"no such file"):
        a.move_to(b)


@pytest.mark.parametrize("act", [move, write, delete, part, look])
def test_what_never_works_is_asked_once(
    s3: S3,
    bucket: str,
    act: Callable[[Location, Location], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = Location.of(f"{bucket}/a"), Location.of(f"{bucket}/b")
    a.write(b"a")
    monkeypatch.setattr(retries, "_outages", retries.Outages())  # as when a process begins
    s3.proxy.fail(Fault.DENIED)
    with pytest.raises(StorageError, match=rf"^{bucket}.*: access denied; ") as caught:
        act(a, b)
    assert not isinstance(caught.value, StorageBusy)
    assert s3.proxy.num_faults == 1


@pytest.mark.parametrize("act", [move, write, delete, part, look])
def test_a_denial_after_answers_may_pass(
    s3: S3, bucket: str, act: Callable[[Location, Location], None]
) -> None:
    a, b = Location.of(f"{bucket}/a"), Location.of(f"{bucket}/b")
    a.write(b"a")
    s3.proxy.fail(Fault.DENIED, times=3)
    act(a, b)
    assert s3.proxy.num_faults == 3


def test_a_denial_that_stays_is_told_as_one(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "1")
    a = Location.of(f"{bucket}/a")
    a.write(b"a")
    s3.proxy.fail(Fault.DENIED)
    with pytest.raises(StorageError, match=rf"^{bucket}/a: access denied; ") as caught:
        a.write(b"a")
    assert not isinstance(caught.value, StorageBusy)
    assert s3.proxy.num_faults > 1


def test_an_outage_is_waited_for_once(s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "2")
    a = Location.of(f"{bucket}/a")
    s3.proxy.fail(Fault.ERROR)
    with pytest.raises(StorageBusy, match=rf"^{bucket}/a: .*500.*run the same command again"):
        a.write(b"a")
    waited = s3.proxy.num_faults
    with pytest.raises(StorageBusy):
        a.write(b"a")
    assert s3.proxy.num_faults - waited == 3  # the SDK's own attempts
    s3.proxy.heal()
    a.write(b"a")
    assert a.read() == b"a"


def test_one_that_fails_alone_is_given_up_too(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "1")
    s3.proxy.fail(Fault.ERROR, matching=f"/{bucket[5:]}/a")
    given_up = Event()

    def work_another() -> None:
        while not given_up.is_set():
            Location.of(f"{bucket}/b").write(b"b")

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(work_another)
        try:
            with pytest.raises(StorageBusy, match=rf"^{bucket}/a: .*500.*run the same command"):
                Location.of(f"{bucket}/a").write(b"a")
        finally:
            given_up.set()
        other.result()


def test_a_part_that_failed_for_good_leaves_nothing(
    s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "0")
    big = pa.table({"text": [f"{row}" * 100 for row in range(200_000)]})
    s3.proxy.fail(Fault.ERROR, matching="partNumber=2")
    with pytest.raises(StorageBusy):
        write_part(Location.of(f"{bucket}/part"), big, "none")
    assert s3.proxy.num_faults
    assert s3.names(bucket) == []
