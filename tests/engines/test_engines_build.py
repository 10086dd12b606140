"""Which engine a job gets, and which of its arguments it refuses."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from batchfim.config import JobConfig
from batchfim.config.files import check_config, load_config
from batchfim.engines.build import resolve_engine
from batchfim.errors import ConfigError
from batchfim.formats.format import Format

FLAGS = {"input.paths": ["a"], "output.path": "b", "model.path": "demo"}


def config(*sets: str) -> JobConfig:
    return load_config(None, FLAGS, sets)


def form(**more: Any) -> Format:
    layouts = {"own": ("<P>", "{prefix}", "<S>", "{suffix}")}
    return Format(layouts=layouts, order="own", stops=("<E>",), **more)


@pytest.mark.parametrize(
    ("asked", "engine", "expected"),
    [
        ("auto", "vllm", "vllm"),
        ("auto", "transformers", "transformers"),
        ("vllm", "transformers", "vllm"),
        ("transformers", "vllm", "transformers"),
        ("simulated", "transformers", "simulated"),
    ],
)
def test_the_family_decides_unless_the_job_does(asked: str, engine: str, expected: str) -> None:
    job = config(f"engine.backend={asked}")
    assert resolve_engine(job, form(engine=engine)).engine.backend == expected


def test_a_decision_that_was_made_is_the_same_job() -> None:
    auto = resolve_engine(config(), form())
    assert auto.fingerprint_fields() == config("engine.backend=vllm").fingerprint_fields()
    faster = config("engine.args.max_batch_tokens=5", "engine.args.max_padding=0.5")
    assert faster.fingerprint_fields() == config().fingerprint_fields()


@pytest.mark.parametrize("task", ["seq2seq", "masked"])
def test_vllm_is_not_asked_for_what_it_cannot(task: str) -> None:
    with pytest.raises(ConfigError, match="family custom is not a left-to-right model"):
        resolve_engine(config("engine.backend=vllm"), form(task=task))


def test_several_machines_are_for_vllm_alone() -> None:
    sets = ("resources.nodes_per_worker=2", "engine.args.tensor_parallel_size=2")
    with pytest.raises(ConfigError, match="Transformers engine: tensor_parallel_size: unknown key"):
        resolve_engine(config(*sets, "engine.backend=transformers"), form(engine="transformers"))


@pytest.mark.parametrize(
    "sets", [(), ("resources.nodes_per_worker=2", "engine.args.pipeline_parallel_size=2")]
)
def test_a_resolved_config_is_a_config(sets: tuple[str, ...]) -> None:
    """`retry`, `tune` and `plan --calibrate` read what a run resolved and kept."""
    resolved = resolve_engine(config(*sets), form())
    assert check_config(resolved.public_dump(), "kept") == resolved


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("max_batch_token=9", "unknown key; did you mean 'max_batch_tokens'"),
        ("gpu_memory_utilization=0.9", "unknown key; known keys: dtype, attn_implementation"),
        ("dtype=float8", r"engine: dtype: Input should be 'auto'"),
        ("max_padding=1", r"engine: max_padding: Input should be less than 1"),
        ("max_batch_tokens=0", r"engine: max_batch_tokens: Input should be greater than 0"),
    ],
)
def test_arguments_are_checked(setting: str, complaint: str) -> None:
    job = config("engine.backend=transformers", f"engine.args.{setting}")
    with pytest.raises(ConfigError, match=complaint):
        resolve_engine(job, form())


@pytest.mark.skipif(find_spec("vllm") is None, reason="names are those of the vLLM installed here")
def test_vllms_arguments_are_known_before_it_is_imported() -> None:
    with pytest.raises(ConfigError, match=r"engine\.args\.max_num_seq: .*mean 'max_num_seqs'"):
        resolve_engine(config("engine.args.max_num_seq=3"), form())
    with pytest.raises(
        ConfigError, match=r"enable_log_requests: the installed vLLM has no such argument$"
    ):
        resolve_engine(config("engine.args.enable_log_requests=true"), form())
    for name in ("tensor_parallel_size", "gpu_memory_utilization"):
        with pytest.raises(ConfigError, match=rf"did you mean 'engine\.args\.{name}'\?"):
            config(f"engine.{name}=1")
    kept = {"quantization": "awq", "kv_cache_dtype": "fp8", "enable_chunked_prefill": False}
    assert resolve_engine(config(f"engine.args={kept}"), form()).engine.args == kept
    program = "import sys, batchfim.engines.build, batchfim.config.vllm_names as args; "
    program += "args.check_names(['dtype']); assert 'vllm' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_adapters_need_vllm() -> None:
    with pytest.raises(ConfigError, match="the Transformers engine does not support adapters"):
        resolve_engine(config("engine.backend=transformers", "model.lora=a"), form())


def test_arguments_of_vllm_are_left_to_it() -> None:
    job = config("engine.args.gpu_memory_utilization=0.9")
    assert resolve_engine(job, form()).engine.args == {"gpu_memory_utilization": 0.9}
