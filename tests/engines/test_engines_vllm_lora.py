"""A real vLLM job over two adapters: each row as by the model with its adapter merged in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from batchfim.api import run_job
from batchfim.config.files import load_config
from batchfim.models.files import demo_model_path
from batchfim.models.infiller import open_infiller
from tests.adapters import merged_model, write_adapter

pytest.importorskip("vllm")

NAMES = [None, "a", "b", "../../etc", "a"]
PREFIXES = ["def find(self, name):\n    return ", "import os\nimport ", "for item in "]
MAX_TOKENS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    write_adapter(folder / "a", demo_model_path(), seed=1)
    write_adapter(folder / "b", demo_model_path(), seed=2, rank=12)
    columns = {
        "prefix": [prefix for prefix in PREFIXES for _ in NAMES],
        "suffix": ["\n"] * len(PREFIXES) * len(NAMES),
        "lora": NAMES * len(PREFIXES),
    }
    pq.write_table(pa.table(columns), folder / "in.parquet")
    return folder


@pytest.fixture(scope="module")
def job(folder: Path) -> Any:
    flags = {
        "input.paths": [str(folder / "in.parquet")],
        "output.path": str(folder / "out"),
        "model.path": "demo",
        "model.loras": {name: str(folder / name) for name in ("a", "b")},
        "input.columns.lora": "lora",
        "engine.max_model_len": 128,
        "engine.args": {"enforce_eager": True, "dtype": "float32"},
        "sampling.max_tokens": MAX_TOKENS,
        "sampling.logprobs": "tokens",
        "schedule.pool": "local",
        "metrics.progress": "none",
        "metrics.report": False,
    }
    return load_config(None, flags)


@pytest.fixture(scope="module")
def rows(job: Any) -> list[dict[str, Any]]:
    run_job(job)
    return list(pq.read_table(job.output.path).to_pylist())


def test_a_name_that_is_not_in_the_map_is_rejected_and_no_other(rows: list[dict[str, Any]]) -> None:
    rejected = [row for row in rows if row["status"] == "rejected"]
    assert {row["lora"] for row in rejected} == {"../../etc"}
    said = {row["error"].partition(": ")[2] for row in rejected}
    assert said == {"LoRA adapter '../../etc' is not in model.loras"}
    ok = Counter(row["adapter"] for row in rows if row["status"] == "ok")
    assert ok == {None: 3, "a": 6, "b": 3}


def test_each_middle_is_that_of_the_merged_model(
    rows: list[dict[str, Any]], job: Any, folder: Path
) -> None:
    infiller = open_infiller(job, weights=False)
    for name in (None, "a", "b"):
        model = merged_model(demo_model_path(), folder / name if name else None)
        for row in rows:
            if row["adapter"] == name and row["status"] == "ok":
                (prompt,) = infiller.encoder.encode([row["prefix"]], [row["suffix"]])
                ids = prompt.token_ids.tolist()
                expected, logprobs = greedy(model, ids, infiller.encoder.stop_token_ids)
                assert row["raw_middle"] == infiller.finisher.raw_middle(expected)
                assert row["logprobs"] == pytest.approx(logprobs[: row["kept_tokens"]], abs=1e-3)
                assert row["logprob_sum"] == pytest.approx(sum(row["logprobs"]), abs=1e-5)
    middles = {name: [r["middle"] for r in rows if r["adapter"] == name] for name in ("a", "b")}
    assert middles["a"][::2] != middles["b"]


def test_equal_prompts_are_copied_within_an_adapter_only(rows: list[dict[str, Any]]) -> None:
    copied = [row for row in rows if row["copied"]]
    assert [row["adapter"] for row in copied] == ["a"] * len(PREFIXES)
    assert all(row["logprobs"] for row in copied)


def greedy(model: Any, ids: list[int], stops: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """What the model says, and how likely it finds each token."""
    found: list[int] = []
    logprobs: list[float] = []
    with torch.inference_mode():
        while len(found) < MAX_TOKENS and not (found and found[-1] in stops):
            scores = model(torch.tensor([ids + found])).logits[0, -1].log_softmax(-1)
            found.append(int(scores.argmax()))
            logprobs.append(float(scores[found[-1]]))
    return found, logprobs
