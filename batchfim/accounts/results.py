"""The results of a job in the order of its input."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from batchfim.records import output_schema
from batchfim.storage.ledger import Ledger


def open_results(output: str) -> ds.Dataset:
    """Open the finished rows of the job at a path or URL, even while it runs, or has none yet.

    Returns:
        An Arrow dataset; `to_table()` reads it whole, `to_batches()` piece by piece, both in the
        order of the input: its files, each with its rows; files added later come last.

    Raises:
        OutputError: there is no job at `output`.
        StorageError: a file of the ledger is damaged.
    """
    ledger = Ledger.at(output)
    ledger.job()
    paths = [ledger.part(shard_id).path for shard_id in _done_in_order(ledger)]
    # With rows, the first part says which columns there are, as for any other reader.
    schema = None if paths else output_schema(ledger.kept(), output)
    return ds.dataset(paths, schema, format="parquet", filesystem=ledger.output.filesystem)


def _done_in_order(ledger: Ledger) -> list[str]:
    """Ids of the done shards in the order of the plan; those that it lacks come last."""
    done = ledger.done_ids()
    planned = ledger.planned_rows()["id"]
    is_done = pc.is_in(planned, value_set=pa.array(done, pa.string()))
    ids: list[str] = planned.filter(is_done).to_pylist()
    return [*ids, *sorted(done.difference(ids))]
