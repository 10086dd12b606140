"""Measure a worker's memory on one giant row group: `python -m benchmarks.memory`.

Writes a Parquet file with a single row group, processes all its shards with the simulated engine in
one process (so that an engine's memory is not counted), and samples that process's resident memory.
It does so twice: on 5 GB of which 500 bytes per row are text to encode and the rest is only copied
to the output, and on a smaller file that is all text, in which the ids in flight take the most
memory. Then two readers take turns reading the shards of the large file, like two workers, and each
must decode the row group from its start only once.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.config import Input
from batchfim.planning.cutting import cut_shards
from batchfim.storage.inputs import open_inputs
from batchfim.storage.rows import RowReader
from benchmarks.measuring import in_process, keep, machine

LIMIT_MB = 500
_ROW_BYTES = 8_500
_CHUNK_ROWS = 2_000
_SAMPLE_S = 0.05


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--text-gigabytes", type=float, default=0.2)
    parser.add_argument("--folder", type=Path, default=None, help="folder for the files")
    options = parser.parse_args()
    started = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        riding = _measure(Path(folder) / "riding", options.gigabytes, text_bytes=500)
        riding["times_decoded_from_start_per_reader"] = in_process(
            _read_in_turns, Path(folder) / "riding.parquet"
        )
        text = _measure(Path(folder) / "text", options.text_gigabytes, text_bytes=8_000)
    peak_mb = max(riding["peak_rss_mb"], text["peak_rss_mb"])
    result = {
        "mostly_riding_along": riding,
        "all_text": text,
        "limit_mb": LIMIT_MB,
        "ratio_to_limit": round(peak_mb / LIMIT_MB, 3),
        "not_measured": "the engine's own memory; a remote file system",
    }
    keep("memory", result, started=started)


def _measure(name: Path, gigabytes: float, text_bytes: int) -> dict[str, Any]:
    path = name.with_suffix(".parquet")
    in_process(_write, path, gigabytes, text_bytes)
    metadata = pq.read_metadata(path)
    return {
        "file_gb": round(path.stat().st_size / 1e9, 2),
        "rows": metadata.num_rows,
        "row_groups": metadata.num_row_groups,
        "peak_rss_mb": in_process(_work, path, name),
    }


def _write(path: Path, gigabytes: float, text_bytes: int) -> None:
    rng = random.Random(0)
    schema = pa.schema([(name, pa.string()) for name in ("id", "prefix", "suffix", "note")])
    sizes = (text_bytes * 3 // 8, text_bytes // 8, (_ROW_BYTES - text_bytes) // 2)
    batches, num_rows = [], int(gigabytes * 1e9 / _ROW_BYTES)
    for start in range(0, num_rows, _CHUNK_ROWS):
        rows = [
            (str(i), *(rng.randbytes(size).hex() for size in sizes))
            for i in range(start, min(start + _CHUNK_ROWS, num_rows))
        ]
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    table = pa.Table.from_batches(batches)
    pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=num_rows)


def _work(path: Path, output: Path) -> int:
    """Peak resident memory in MB of a process that processes the whole file."""
    from batchfim.api import run_job
    from batchfim.config.files import load_config

    settings = {
        "input.paths": [str(path)],
        "output.path": str(output),
        "model.path": "demo",
        "engine.backend": "simulated",
        "engine.simulated.max_num_seqs": 512,
        "engine.simulated.prefill_tokens_per_s": 1e9,
        "engine.simulated.decode_tokens_per_s": 1e9,
        "schedule.pool": "local",
        "metrics.progress": "lines",
        "metrics.report": False,  # the driver makes it
    }
    process, peak, done = psutil.Process(), 0, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(_SAMPLE_S)

    sampler = threading.Thread(target=sample)
    sampler.start()
    run_job(load_config(None, settings))
    done.set()
    sampler.join()
    return peak // 1_000_000


def _read_in_turns(path: Path) -> list[int]:
    """Number of times that each of two readers sharing the shards opened the row group."""
    inputs = open_inputs(Input(paths=(str(path),)))
    shards = cut_shards(inputs.files, 2048, "benchmark")
    readers = [RowReader(inputs.kept.names) for _ in range(2)]
    for number, shard in enumerate(shards):
        readers[number % 2].read(shard)
    return [reader.num_opened for reader in readers]


if __name__ == "__main__":
    main()
