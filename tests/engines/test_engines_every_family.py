"""Every family from a record to its middle, through the engine its entry names.

The tokenizer is a tiny one of the family's kind with its real sentinels, the model a tiny random
one of its architecture (`tests/tiny_families.py` says where it is not). vLLM's answer is compared
with what transformers says to the same ids with the same weights.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim import api
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.formats.catalog import CATALOG
from batchfim.formats.finishing import cut_at_stop
from batchfim.models.infiller import open_infiller
from tests.engines.reference import reference
from tests.formats.goldens import P, S
from tests.tiny_families import TINY_FAMILIES, TinyFamily

NUM_TOKENS = 12
VLLM_ARGS = {"enforce_eager": True, "dtype": "float32", "max_num_seqs": 8}
_LOADED = ("vllm.v1.engine.core", "vllm.v1.worker.cpu_model_runner", "transformers")


@pytest.fixture(scope="module")
def quick_start() -> Iterator[None]:
    """Fork vLLM's core from one process that has imported it: 2 s a start for 25.

    Only how the process comes to be is changed; it runs the same code on the same pipes.
    """
    utils = pytest.importorskip("vllm.v1.engine.utils")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LOADED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "get_mp_context", lambda: context)
        yield


@pytest.fixture
def job(tmp_path: Path) -> Callable[[TinyFamily], JobConfig]:
    """A job over three records: plain, an empty prefix, and the family's own sentinels typed."""

    def make(tiny: TinyFamily) -> JobConfig:
        typed = sorted(CATALOG[tiny.name].control_texts())[0].replace("▁", "")
        records = [(P, S), ("", "x"), (f"{typed} = ", typed)]
        names = ["prefix", "suffix"]
        columns = [list(column) for column in zip(*records, strict=True)]
        pq.write_table(pa.table(columns, names=names), tmp_path / "in.parquet")
        flags = {
            "input.paths": [str(tmp_path / "in.parquet")],
            "output.path": str(tmp_path / "out"),
            "model.path": str(tiny.build(tmp_path / "model")),
            "model.family": tiny.name,
            "model.trust_remote_code": tiny.own_code,
            "sampling.max_tokens": NUM_TOKENS,
            "schedule.pool": "local",
            "metrics.progress": "none",
            "metrics.report": False,
            **{f"infill.{name}": value for name, value in tiny.infill.items()},
        }
        if CATALOG[tiny.name].engine == "vllm":
            flags |= {"engine.kv_cache_gib": 0.1, "engine.args": VLLM_ARGS}
        return load_config(None, flags)

    return make


@pytest.mark.parametrize("name", CATALOG)
def test_vllm_knows_every_architecture_it_is_given(name: str) -> None:
    registry = pytest.importorskip("vllm.model_executor.models.registry").ModelRegistry
    family, known = CATALOG[name], set(registry.get_supported_archs())
    given = {one for one in family.architectures if family.engine_for((one,)) == "vllm"}
    assert given <= known
    if family.task == "causal":  # vLLM wherever it can
        assert not known & (set(family.architectures) - given)


@pytest.mark.parametrize("tiny", TINY_FAMILIES, ids=lambda tiny: tiny.name)
def test_from_record_to_middle(
    tiny: TinyFamily, job: Callable[[TinyFamily], JobConfig], request: pytest.FixtureRequest
) -> None:
    family = CATALOG[tiny.name]
    if family.engine == "vllm":
        request.getfixturevalue("quick_start")
    config = job(tiny)
    result = api.run_job(config)
    assert result.exit_code == 0
    assert result.summary["engine"]["backend"] == family.engine
    infiller = open_infiller(config, weights=False)
    stops = infiller.encoder.stop_token_ids
    for row in pq.read_table(config.output.path).to_pylist():
        (prompt,) = infiller.encoder.encode([row["prefix"]], [row["suffix"]])
        ids = prompt.token_ids.tolist()
        assert (row["status"], row["family"], row["order"]) == ("ok", tiny.name, family.order)
        assert row["prompt_tokens"] == len(ids)
        if tiny.uncompared:
            assert 0 < row["completion_tokens"] <= NUM_TOKENS
            continue
        alone = reference(tiny, Path(config.model.path), ids, NUM_TOKENS, stops)
        assert row["raw_middle"] == infiller.tokenizer.decode(cut_at_stop(alone, stops))
        assert row["completion_tokens"] == len(alone)
