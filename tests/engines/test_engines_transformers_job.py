"""Record to middle through the whole house: real weights, tiny and random, on the local pool."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim import api
from batchfim.accounts.summary_text import SLOW_ENGINE, summary_text
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.engines.transformers import model_batches
from batchfim.errors import EngineStartError, ModelError
from batchfim.formats.tokenizer import TextTokenizer
from tests.engines.reference import reference
from tests.tiny_models import CONTEXT, TINY_MODELS

NUM_TOKENS = 8
TEXTS = ["", "x", "def f(a):\n    return ", "<mask> </s> é ", "\n\nprint(f(1))\n", "\t" * 40]
CHANCE = random.Random(0)
RECORDS = [
    {"id": f"r{i}", "prefix": CHANCE.choice(TEXTS), "suffix": CHANCE.choice(TEXTS)}
    for i in range(12)
]
Job = Callable[..., JobConfig]


@pytest.fixture
def job(tiny_model: Callable[[str], Path], tmp_path: Path) -> Job:
    """A job over `RECORDS` with a tiny model."""

    def make(name: str, *sets: str, **form: Any) -> JobConfig:
        path = tmp_path / "in.parquet"
        pq.write_table(pa.Table.from_pylist(RECORDS), path)
        flags = {
            "input.paths": [str(path)],
            "output.path": str(tmp_path / f"out-{name}"),
            "model.path": str(tiny_model(name)),
        }
        settings = (
            f"infill.format={json.dumps(TINY_MODELS[name].form | form)}",
            f"sampling.max_tokens={NUM_TOKENS}",
            *("schedule.pool=local", "schedule.shard_rows=5"),
            *("metrics.progress=none", "metrics.report=false"),
        )
        return load_config(None, flags, (*settings, *sets))

    return make


def rows(config: JobConfig) -> list[dict[str, Any]]:
    found = pq.read_table(config.output.path).to_pylist()
    return sorted(found, key=lambda row: (int(row["id"][1:]), row["sample"]))


@pytest.mark.parametrize("name", TINY_MODELS)
def test_each_architecture_from_record_to_middle(
    name: str, job: Job, tiny_model: Callable[[str], Path]
) -> None:
    config, tiny, folder = job(name), TINY_MODELS[name], tiny_model(name)
    result = api.run_job(config)
    assert result.exit_code == 0
    assert result.summary["rows"]["ok"] == len(RECORDS)
    tokenizer = TextTokenizer((folder / "tokenizer.json").read_text(encoding="utf8"))
    for record, row in zip(RECORDS, rows(config), strict=True):
        prompt = tiny.prompt(*tokenizer.encode([record["prefix"], record["suffix"]]))
        alone = reference(tiny, folder, prompt, NUM_TOKENS, tiny.stop_ids)
        assert row["raw_middle"] == tokenizer.decode(alone)
        assert row["completion_tokens"] == len(alone)
        full = "stop" if tiny.task == "masked" else "length"  # all of its masks are filled
        assert row["finish_reason"] == ("stop" if alone[-1] in tiny.stop_ids else full)
        cached = len(prompt) if row["copied"] else 0
        assert (row["prompt_tokens"], row["cached_tokens"]) == (len(prompt), cached)
        assert (row["family"], row["status"], row["error"]) == (name, "ok", None)


def test_the_run_says_that_it_is_the_slower_engine(
    job: Job, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    result = api.run_job(job("llama"))
    assert SLOW_ENGINE in caplog.messages
    assert SLOW_ENGINE in summary_text(result.summary, "out")
    assert result.summary["engine"] == {"backend": "transformers"}
    caplog.clear()
    result = api.run_job(
        job("llama", "engine.backend=simulated", f"output.path={tmp_path / 'two'}")
    )
    assert SLOW_ENGINE not in caplog.messages
    assert SLOW_ENGINE not in summary_text(result.summary, "out")


def test_samples_do_not_depend_on_shards_or_batches(job: Job, tmp_path: Path) -> None:
    sampling = ("sampling.temperature=1", "sampling.n=2", "sampling.top_p=0.9")
    middles = []
    for number, sets in enumerate(
        (("schedule.shard_rows=12",), ("schedule.shard_rows=1", "engine.args.max_batch_tokens=1"))
    ):
        config = job("codegen", *sampling, *sets, f"output.path={tmp_path / str(number)}")
        api.run_job(config)
        middles.append([(row["id"], row["sample"], row["raw_middle"]) for row in rows(config)])
    assert middles[0] == middles[1]
    assert len(set(middles[0])) == 2 * len(RECORDS)


def test_a_dead_engine_is_replaced_and_its_shards_worked_again(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    died, intact = [], model_batches.open_batch

    def die_once(*arguments: Any) -> Any:
        if not died:
            died.append(True)
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        return intact(*arguments)

    monkeypatch.setattr(model_batches, "open_batch", die_once)
    config = job("llama")
    result = api.run_job(config)
    assert died
    assert result.exit_code == 0
    assert result.summary["rows"]["ok"] == len(RECORDS)
    assert "worker-1" in {row["worker"] for row in rows(config)}


def test_a_record_the_model_fails_on_fails_alone(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    config, intact = job("llama"), model_batches.open_batch
    tokenizer = TextTokenizer((Path(config.model.path) / "tokenizer.json").read_text("utf8"))
    bad = TINY_MODELS["llama"].prompt(*tokenizer.encode(list(RECORDS[4].values())[1:]))

    def fail(task: str, model: Any, prompts: Any, *more: Any) -> Any:
        if bad in prompts:
            raise RuntimeError("not this one")
        return intact(task, model, prompts, *more)

    monkeypatch.setattr(model_batches, "open_batch", fail)
    assert api.run_job(config).exit_code == 3
    same = [i for i, one in enumerate(RECORDS) if {**one, "id": ""} == {**RECORDS[4], "id": ""}]
    for place, row in enumerate(rows(config)):
        assert row["status"] == ("failed" if place in same else "ok")
    assert "RuntimeError: not this one" in rows(config)[4]["error"]


@pytest.mark.parametrize("name", ["llama", "codet5", "plbart", "unixcoder", "codebert"])
def test_a_long_record_is_cut_to_what_the_model_takes(name: str, job: Job) -> None:
    record = {"id": "r0", "prefix": "a = 1\n" * 500, "suffix": "b = 2\n" * 500}
    config = job(name)
    pq.write_table(pa.Table.from_pylist([record]), config.input.paths[0])
    api.run_job(config)
    (row,) = rows(config)
    assert (row["status"], row["error"]) == ("ok", None)
    # T5's decoder counts its own positions, CodeBERT's masks are in the prompt; the others share
    # the context with the middle.
    left = 0 if name in ("codet5", "codebert") else NUM_TOKENS
    assert row["prompt_tokens"] == CONTEXT - left


def test_a_masked_layout_needs_its_mask(job: Job) -> None:
    layouts = {"own": ["<s>", "{prefix}", "{suffix}", "<mask>", "</s>"]}
    with pytest.raises(ModelError, match=r"order own: a masked model's layout needs its mask"):
        api.run_job(job("codebert", layouts=layouts))


def test_a_model_that_does_not_load_says_why(job: Job) -> None:
    with pytest.raises(EngineStartError, match="Transformers did not start: ValueError"):
        api.run_job(job("llama", task="seq2seq"))
