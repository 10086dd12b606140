"""Storage of the job: a folder on this machine, or an S3 server whose network can fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from benchmarks.chaos.kills import Kill

_MOST_FAULTS = 40
_FAULT_SHARE = 0.5


@dataclass(frozen=True)
class Ground:
    """The job's input and output, as the job accesses them (paths or URLs) and as we do."""

    input: str
    output: str
    records: pa.Table
    seen: Location  # the output, bypassing all faults
    environment: dict[str, str] = field(default_factory=dict)
    fail_storage: Callable[[Kill], None] | None = None
    heal_storage: Callable[[], None] = lambda: None

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.seen)

    def num_parts(self) -> int:
        return len(self.ledger.part_ids())


@contextmanager
def local_ground(folder: Path, num_rows: int) -> Iterator[Ground]:
    """Records and output in a folder."""
    records = _write_records(folder / "records", num_rows)
    output = folder / "out"
    yield Ground(str(folder / "records"), str(output), records, Location.of(str(output)))


@contextmanager
def s3_ground(folder: Path, num_rows: int, seed: int) -> Iterator[Ground]:
    """Records and output on an S3 server behind a proxy that drops and corrupts requests."""
    from tests.s3.proxy import Fault
    from tests.s3.server import s3_server

    passing = (Fault.BUSY, Fault.ERROR, Fault.RESET, Fault.LOST, Fault.CUT, Fault.LATE)
    records = _write_records(folder / "records", num_rows)
    with s3_server(seed=seed) as s3:
        bucket = s3.make_bucket("chaos")
        s3.upload(folder / "records", f"{bucket}/records")

        def fail(kill: Kill) -> None:
            times = random.Random(kill.pick).randint(1, _MOST_FAULTS)
            s3.proxy.fail(*passing, share=_FAULT_SHARE, times=times)

        yield Ground(
            f"{bucket}/records",
            f"{bucket}/out",
            records,
            Location(s3.direct, "chaos/out"),
            s3.environment,
            fail,
            s3.proxy.heal,
        )


def _write_records(folder: Path, num_rows: int) -> pa.Table:
    """Write rows to two files, numbered by `id` in order."""
    folder.mkdir(parents=True)
    ids = range(num_rows)
    table = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "prefix": [f"def f{row}(x):\n    return " for row in ids],
            "suffix": [f"\n\nprint(f{row}(1))\n" for row in ids],
        }
    )
    half = num_rows // 2
    pq.write_table(table.slice(0, half), folder / "a.parquet")
    pq.write_table(table.slice(half), folder / "b.parquet")
    return table
