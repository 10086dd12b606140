"""Records of many files, shuffled over several Parquet files."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.regroup.regroup import check_regroup, regrouped
from batchfim.storage.inputs import InputSet, open_inputs
from batchfim.storage.ledger import Ledger

NUM_FILES, HOLES = 40, 10
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prefix", pa.large_string()),
        pa.field("suffix", pa.binary()),
        pa.field("number", pa.int32()),
        pa.field("language", pa.dictionary(pa.int32(), pa.string())),
        pa.field("meta", pa.struct([("stars", pa.int64()), ("tags", pa.list_(pa.string()))])),
        pa.field("price", pa.decimal128(5, 2)),
        pa.field("nothing", pa.null()),
    ],
    {"made by": "a test"},
)


def record(file: int, hole: int) -> dict[str, Any]:
    text = f"# file {file}\n" + "".join(f"v{file}_{i} = g({i})\n" for i in range(40))
    return {
        "id": f"{file}-{hole}",
        "prefix": text[: 260 + 20 * hole],
        "suffix": text[270 + 20 * hole :].encode(),
        "number": file,
        "language": ["python", None, "c"][file % 3],
        "meta": {"stars": hole, "tags": ["a", None]} if hole % 2 else None,
        "price": Decimal("1.25"),
        "nothing": None,
    }


@dataclass
class Desk:
    """An input folder and an output."""

    folder: Path
    output: Path

    def write(self, name: str, rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> None:
        table = pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(table, self.folder / name, row_group_size=70)

    def config(self, *sets: str) -> JobConfig:
        flags = {"input.paths": [str(self.folder)], "output.path": str(self.output)}
        more = ("planning.regroup=content", *sets)
        return load_config(None, flags | {"model.path": "demo"}, more)

    def regroup(self, *sets: str, lost: bool = False) -> InputSet:
        config = self.config(*sets)
        inputs = open_inputs(config.input)
        check_regroup(config, inputs)
        ledger = Ledger.at(str(self.output))
        ledger.prepare()
        return regrouped(config, inputs, ledger, may_finish=lambda: not lost)

    @property
    def copies(self) -> Path:
        return self.output / "_batchfim" / "regrouped"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "in").mkdir()
    return Desk(tmp_path / "in", tmp_path / "out")


@pytest.fixture
def shuffled(desk: Desk) -> Desk:
    """Two files with the holes of 40, in no order."""
    rows = [record(file, hole) for file in range(NUM_FILES) for hole in range(HOLES)]
    random.Random(0).shuffle(rows)
    desk.write("a.parquet", rows[::2])
    desk.write("b.parquet", rows[1::2])
    return desk


def read(inputs: InputSet) -> pa.Table:
    return pa.concat_tables([pq.read_table(file.path) for file in inputs.files])
