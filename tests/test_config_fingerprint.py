"""What makes two configs one job, and formats given in a job file."""

from __future__ import annotations

from typing import Any

import pytest

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError

FLAGS = {"input.paths": ["a"], "output.path": "b", "model.path": "demo"}
OWN_FORMAT = (
    "infill.format={layouts: {own: ['<P>', '{prefix}', '<S>', '{suffix}']}, order: own, "
    "stops: ['<E>']}"
)


def config(*sets: str) -> JobConfig:
    return load_config(None, FLAGS, sets)


def fields(*sets: str) -> dict[str, Any]:
    return config(*sets).fingerprint_fields()


@pytest.mark.parametrize(
    "change",
    [
        "input.paths=[other]",
        "output.path=other",
        "output.compression=snappy",
        "input.keep=[id]",
        "schedule.workers=9",
        "schedule.pool=local",
        "schedule.shard_rows=7",
        "resources.num_gpus=2",
        "metrics.progress=none",
        "engine.kv_cache_gib=3",
        "engine.args.gpu_memory_utilization=0.5",
        "engine.args.tensor_parallel_size=2",
        "engine.args.max_num_seqs=2",
    ],
)
def test_speed_and_place_are_not_the_job(change: str) -> None:
    assert config(change) != config()
    assert fields(change) == fields()


@pytest.mark.parametrize(
    "change",
    [
        "sampling.max_tokens=9",
        "sampling.temperature=0.1",
        "sampling.top_p=0.9",
        "sampling.seed=1",
        "input.columns.prefix=before",
        "model.path=other",
        "model.family=starcoder2",
        "model.revision=main",
        "infill.order=spm_v2",
        "infill.truncation.enabled=false",
        "infill.truncation.prefix_share=0.5",
        "infill.truncation.align=256",
        "infill.stop=[eot,line]",
        "infill.trim=[syntax]",
        "input.columns.language=lang",
        "input.columns.path=file",
        "engine.backend=simulated",
        "engine.max_model_len=512",
        "engine.args.quantization=fp8",
        "engine.args.dtype=float16",
        OWN_FORMAT,
    ],
)
def test_what_decides_a_record_is_the_job(change: str) -> None:
    assert fields(change) != fields()


def test_a_format_of_ones_own() -> None:
    form = config(OWN_FORMAT).infill.format
    assert form is not None
    assert form.layout("own") == ("<P>", "{prefix}", "<S>", "{suffix}")
    assert form.control_texts() == {"<P>", "<S>", "<E>"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("infill.format.order=psm", r"infill\.format: order 'psm' has no layout"),
        ("infill.format.layouts={own: ['{prefix}']}", r"must hold \{suffix\} exactly once"),
        ("infill.format.stops=[]", r"infill\.format\.stops: .*at least 1"),
        ("model.family=starcoder", r"model\.family or infill\.format, not both"),
        ("infill.format.prefix=x", r"infill\.format\.prefix: unknown key"),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused_with_its_key(change: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        config(OWN_FORMAT, change)


def test_an_order_alone_needs_its_layouts() -> None:
    with pytest.raises(ConfigError, match=r"infill\.format\.layouts: required, but not given"):
        config("infill.format={order: own, stops: [x]}")
