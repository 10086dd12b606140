"""The arguments a vLLM engine is started with: a job's before our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchfim.config.files import load_config
from batchfim.engines.vllm.args import engine_arguments
from batchfim.models.adapters import Adapter
from batchfim.models.files import demo_model_path

ADAPTERS = [Adapter(Path(f"/{name}"), rank, name, name) for name, rank in (("a", 8), ("b", 12))]


def arguments(model: Path, device: str, *sets: str, **more: Any) -> dict[str, Any]:
    flags = {"input.paths": ["a"], "output.path": "b", "model.path": "demo"}
    engine = load_config(None, flags, sets).engine
    return engine_arguments(
        model, engine, device, max_model_len=64, trust_remote_code=False, **more
    )


def test_what_a_job_says_wins_over_our_defaults() -> None:
    sets = ("engine.args.block_size=64", "engine.args.enable_prefix_caching=false")
    own, ours = arguments(demo_model_path(), "cpu", *sets), arguments(demo_model_path(), "cpu")
    assert (own["block_size"], own["enable_prefix_caching"]) == (64, False)
    assert (ours["block_size"], ours["enable_prefix_caching"]) == (32, True)


def test_adapters_have_their_slots_and_the_least_rank_that_fits() -> None:
    gpu = arguments(demo_model_path(), "cuda", adapters=ADAPTERS)
    assert (gpu["max_lora_rank"], gpu["max_loras"], gpu["max_cpu_loras"]) == (16, 2, 2)
    assert arguments(demo_model_path(), "cuda", adapters=ADAPTERS[:1])["max_lora_rank"] == 8
    assert arguments(demo_model_path(), "cpu", adapters=ADAPTERS)["max_loras"] == 3  # one empty


def test_a_model_on_several_machines_is_vllms_by_its_ray_executor() -> None:
    assert "distributed_executor_backend" not in arguments(demo_model_path(), "cuda")
    on_two = arguments(demo_model_path(), "cuda", num_nodes=2)
    assert on_two["distributed_executor_backend"] == "ray"


@pytest.mark.parametrize(("device", "shares"), [("cpu", False), ("cuda", True)])
def test_mamba_layers_share_no_prefix_on_cpus(tmp_path: Path, device: str, shares: bool) -> None:
    (tmp_path / "config.json").write_text('{"mamba_d_state": 16, "torch_dtype": "float32"}')
    assert arguments(tmp_path, device)["enable_prefix_caching"] is shares


@pytest.mark.parametrize(
    ("device", "seeded", "sets", "chunked"),
    [
        ("cpu", True, (), False),
        ("cpu", True, ("engine.args.enable_chunked_prefill=true",), True),  # the job's own
        ("cpu", False, (), None),  # vLLM's default: on
        ("cuda", True, (), None),
    ],
)
def test_only_samples_on_cpus_have_whole_prompts_in_a_step(
    device: str, seeded: bool, sets: tuple[str, ...], chunked: bool | None
) -> None:
    given = arguments(demo_model_path(), device, *sets, seeded=seeded)
    assert given.get("enable_chunked_prefill") is chunked
