"""What engines on CPU are told of the machine. What a variable said is read by a new process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchfim.engines.cpu import MODEL_IN_CORE, cores_here, threads_each

_OWN = ("OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND", "ATEN_CPU_CAPABILITY")
_BFLOAT16 = {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}


@pytest.mark.parametrize(
    ("num_cores", "num_processes", "num_machines", "threads"),
    [
        (2, 1, 1, 2),
        (2, 2, 1, 1),
        (2, 8, 1, 1),
        (64, 8, 8, 64),
        (64, 9, 8, 32),
        (64, 3, 8, 64),
        (0, 1, 0, 1),
    ],
)
def test_cores_are_shared_by_those_on_one_machine(
    num_cores: int, num_processes: int, num_machines: int, threads: int
) -> None:
    assert threads_each(num_cores, num_processes, num_machines) == threads


def told(call: str, **variables: str) -> object:
    """What a new process makes of a call, with these variables and none of a machine's own."""
    program = (
        "import json, os; from pathlib import Path; from batchfim.engines.cpu import *; "
        f"print(json.dumps({call}))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in _OWN}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def shared(num_engines: int, num_parts: int = 1, **variables: str) -> object:
    names = "('OMP_NUM_THREADS', 'VLLM_CPU_OMP_THREADS_BIND')"
    call = f"share_cores({num_engines}, {num_parts}) or [os.environ.get(name) for name in {names}]"
    return told(call, **variables)


def test_an_engine_has_its_share_of_the_cores_and_not_those_of_another() -> None:
    assert shared(cores_here()) == ["1", "nobind"]
    assert shared(1, cores_here()) == ["1", "nobind"]


@pytest.mark.skipif(cores_here() > 8, reason="there, vLLM binds a lone engine's threads")
def test_a_lone_engine_has_all_of_few_cores() -> None:
    assert shared(1) == [str(cores_here()), "nobind"]


def test_what_the_environment_says_stays() -> None:
    assert shared(2, OMP_NUM_THREADS="7") == ["7", "nobind"]
    assert shared(2, OMP_NUM_THREADS="4,2") == ["4,2", "nobind"]
    assert shared(1, VLLM_CPU_OMP_THREADS_BIND="0") == [str(cores_here()), "0"]


def test_a_model_of_one_part_is_in_the_cores_own_process_unless_threads_are_bound() -> None:
    in_core = {"distributed_executor_backend": MODEL_IN_CORE}
    ask = "share_cores(2, {0}) or executor_argument({0})"
    assert told(ask.format(1)) == in_core
    assert told(ask.format(2)) == {}
    assert told(ask.format(1), VLLM_CPU_OMP_THREADS_BIND="0") == {}


def dtype(config: dict[str, object], folder: Path, args: str = "{}", vectors: str = "avx2") -> str:
    (folder / "config.json").write_text(json.dumps(config))
    made = told(f"dtype_argument(Path({str(folder)!r}), {args})", ATEN_CPU_CAPABILITY=vectors)
    assert isinstance(made, dict)
    return str(made.get("dtype", "the model's"))


def test_a_model_of_16_bits_is_computed_in_float32_where_it_would_be_slow(tmp_path: Path) -> None:
    assert dtype(_BFLOAT16, tmp_path) == "float32"
    assert dtype(_BFLOAT16, tmp_path, vectors="default") == "the model's"


@pytest.mark.parametrize("args", ["{'dtype': 'bfloat16'}", "{'quantization': 'awq'}"])
def test_what_a_job_says_of_its_numbers_stays(tmp_path: Path, args: str) -> None:
    assert dtype(_BFLOAT16, tmp_path, args) == "the model's"


def test_a_quantised_model_stays_as_it_is(tmp_path: Path) -> None:
    assert dtype(_BFLOAT16 | {"quantization_config": {}}, tmp_path) == "the model's"
