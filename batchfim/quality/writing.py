"""Write an evaluation beside the output: one JSON file, and one Parquet row of scores per row.

The JSON lists the files of its scores. It replaces an earlier one once these are complete, and only
then are other files removed: an interrupted evaluation leaves the previous one intact.
"""

from __future__ import annotations

import hashlib
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
    """Writes `_batchfim/evaluation/scores-<id of the evaluation>-00000.parquet`, ...

    `how` identifies the evaluation: if it equals that of the previous one, so do the files, and
    nothing is lost by overwriting them.
    """

    def __init__(self, ledger: Ledger, metrics: Sequence[str], how: str) -> None:
        self._ledger = ledger
        self._folder = ledger.root / "evaluation"
        self._folder.make_folder()
        self._id = hashlib.blake2b(how.encode(), digest_size=4).hexdigest()
        self._schema = _schema(metrics)
        self._held: list[pa.RecordBatch] = []
        self._num_held = 0
        self._names: list[str] = []

    def add(self, part: str, scored: Sequence[Scored]) -> None:
        """Add rows of a part, in order."""
        if not scored:
            return
        rows = [_flat(part, one) for one in scored]
        self._held.append(pa.RecordBatch.from_pylist(rows, schema=self._schema))
        self._num_held += len(rows)
        if self._num_held >= _FILE_ROWS:
            self._flush()

    def finish(self, evaluation: Mapping[str, Any]) -> dict[str, Any]:
        """Write `_batchfim/evaluation.json`, and return its content.

        To the evaluation it adds `scores`, the names of the files with each row's scores. The files
        of an earlier evaluation are removed.
        """
        self._flush()
        whole = {**evaluation, "scores": self._names}
        text = json.dumps(whole, indent=1, ensure_ascii=False)
        (self._ledger.root / _EVALUATION).write(text.encode("utf8", "backslashreplace"))
        for info in self._folder.list():
            if info.base_name not in self._names:
                Location(self._folder.filesystem, info.path).delete()
        return whole

    def _flush(self) -> None:
        """Write the held rows to a new file."""
        if not self._held:
            return
        sink = pa.BufferOutputStream()
        table = pa.Table.from_batches(self._held, self._schema)
        pq.write_table(table, sink, compression="zstd")
        name = f"scores-{self._id}-{len(self._names):05d}.parquet"
        (self._folder / name).write(sink.getvalue())
        self._names.append(name)
        self._held, self._num_held = [], 0


def read_evaluation(ledger: Ledger) -> dict[str, Any] | None:
    """The last evaluation that `batchfim evaluate` wrote; None if there is none.

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
            f"{place.path}: not an evaluation; run `batchfim evaluate` to rewrite it"
        ) from None
    return found


def is_outdated(evaluation: Mapping[str, Any], done: Done) -> bool:
    """Whether rows were added or changed since the evaluation."""
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
