"""A shuffled input, regrouped first: stopped in the middle of that, and run to its end."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tests.e2e.conftest import LOCAL, SIMULATED, Cli, Start, children_of, parts, still_alive
from tests.e2e.test_faults import run_args

REGROUP = ("--set", "planning.regroup=content")


def write_shuffled(folder: Path) -> None:
    texts = [f"# file {n}\n" + "".join(f"v{n}_{i} = {i}\n" for i in range(40)) for n in range(30)]
    rows = [(n, text[:cut], text[cut:]) for n, text in enumerate(texts) for cut in range(280, 300)]
    random.Random(0).shuffle(rows)
    for half in range(2):
        columns = zip(*rows[half::2], strict=True)
        table = pa.table(dict(zip(("file", "prefix", "suffix"), columns, strict=True)))
        pq.write_table(table, folder / f"part-{half}.parquet")


def test_a_regrouped_job_survives_a_stop_and_keeps_files_together(
    tmp_path: Path, cli: Cli, start: Start
) -> None:
    records, output = tmp_path / "in", tmp_path / "out"
    records.mkdir()
    write_shuffled(records)
    copies = output / "_batchfim" / "regrouped"

    first = start(*run_args(records, output, *SIMULATED, *REGROUP))
    while not copies.exists():
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    children = children_of(first)
    first.send_signal(signal.SIGTERM)
    assert first.wait() == 143
    assert still_alive(children) == []
    assert not parts(output)

    cli(*run_args(records, output, *SIMULATED, *REGROUP))
    table = ds.dataset(output).to_table()
    places = zip(table["source_file"].to_pylist(), table["source_row"].to_pylist(), strict=True)
    assert sorted(places) == [
        (str(records / f"part-{half}.parquet"), row) for half in range(2) for row in range(300)
    ]
    of_parts = [pq.read_table(output / name)["file"].to_pylist() for name in parts(output)]
    assert sum(len(set(files)) for files in of_parts) == 30  # no file is in two parts
    assert json.loads((output / "_batchfim" / "summary.json").read_text())["complete"]

    done = parts(output)
    assert "nothing was left to do" in cli(*run_args(records, output, *SIMULATED, *REGROUP)).stdout
    assert parts(output) == done


def test_a_pool_without_ray_cannot_regroup(records: Path, tmp_path: Path, cli: Cli) -> None:
    done = cli(*run_args(records, tmp_path / "out", *LOCAL, *REGROUP), code=2)
    assert "planning.regroup sorts with Ray Data and needs schedule.pool ray" in done.stderr
    assert not (tmp_path / "out").exists()
