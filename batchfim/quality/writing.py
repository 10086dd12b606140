"""What an evaluation leaves beside the output: one JSON of all, one Parquet row for each row.

The JSON is removed first and written last: where it is, the scores beside it are whole and its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.errors import StorageError
from batchfim.metrics.done import Done
from batchfim.quality.rows import Scored
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location

_EVALUATION = "evaluation.json"
_FILE_ROWS = 200_000


class ScoreFiles:
    """`_batchfim/evaluation/scores-00000.parquet`, ...; an earlier evaluation is removed."""

    def __init__(self, ledger: Ledger, metrics: Sequence[str]) -> None:
        (ledger.root / _EVALUATION).delete()
        self._folder = folder = ledger.root / "evaluation"
        self._schema = _schema(metrics)
        self._held: list[pa.RecordBatch] = []
        self._num_held = 0
        self._num_files = 0
        for info in folder.list():
            Location(folder.filesystem, info.path).delete()
        folder.make_folder()

    def add(self, part: str, scored: Sequence[Scored]) -> None:
        """Take the rows of a part, in their order."""
        if not scored:
            return
        rows = [_flat(part, one) for one in scored]
        self._held.append(pa.RecordBatch.from_pylist(rows, schema=self._schema))
        self._num_held += len(rows)
        if self._num_held >= _FILE_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is held as a file of its own."""
        if not self._held:
            return
        sink = pa.BufferOutputStream()
        table = pa.Table.from_batches(self._held, self._schema)
        pq.write_table(table, sink, compression="zstd")
        (self._folder / f"scores-{self._num_files:05d}.parquet").write(sink.getvalue())
        self._num_files += 1
        self._held, self._num_held = [], 0


def write_evaluation(ledger: Ledger, evaluation: dict[str, Any]) -> None:
    """`_batchfim/evaluation.json`, as a whole."""
    text = json.dumps(evaluation, indent=1, ensure_ascii=False)
    (ledger.root / _EVALUATION).write(text.encode("utf8", "backslashreplace"))


def read_evaluation(ledger: Ledger) -> dict[str, Any] | None:
    """What `batchfim evaluate` wrote last; None where it did not.

    Raises:
        StorageError: the file is damaged.
    """
    place = ledger.root / _EVALUATION
    if not place.exists():
        return None
    try:
        found = dict(json.loads(place.read()))
    except (ValueError, TypeError):
        raise StorageError(
            f"{place.path}: not an evaluation; batchfim evaluate writes it anew"
        ) from None
    return found


def is_outdated(evaluation: Mapping[str, Any], done: Done) -> bool:
    """Whether rows came or changed since."""
    return bool(evaluation["parts"] != done.digest)


def _schema(metrics: Sequence[str]) -> pa.Schema:
    texts = ("id", "part", "family", "language", "kind", "length", "execution")
    return pa.schema(
        [pa.field("row", pa.int64()), pa.field("sample", pa.int32())]
        + [pa.field(name, pa.string()) for name in texts]
        + [pa.field(name, pa.float64()) for name in metrics]
    )


def _flat(part: str, scored: Scored) -> dict[str, Any]:
    row = scored.row
    told = {
        "id": row.id,
        "part": part,
        "row": row.place,
        "sample": row.sample,
        "family": row.family,
        "language": row.language,
        "kind": row.kind,
        "length": scored.length,
        "execution": scored.execution,
    }
    return told | scored.scores
