"""A worker loads the model that the driver saw, or does not come up."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from batchfim.engines.engine import EngineInfo
from batchfim.engines.simulated import SimulatedEngine
from batchfim.errors import ModelError
from batchfim.models.files import demo_model_path
from batchfim.workers.local import LocalPool
from batchfim.workers.placing import _open
from batchfim.workers.pool import Event, WorkerGone, WorkerReady, WorkerSpec
from batchfim.workers.worker import Worker
from tests.models.test_models_adapters import adapter
from tests.workers.conftest import WAIT_S

MakeSpec = Callable[..., WorkerSpec]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_model_path(), tmp_path / "model"))


def write_anew(folder: Path) -> None:
    """As training does: weights of the same names and sizes."""
    for weights in folder.glob("*.safetensors"):
        content = bytearray(weights.read_bytes())
        content[-1] ^= 0xFF
        weights.write_bytes(content)


def start(spec: WorkerSpec) -> Event:
    pool = LocalPool(spec)
    try:
        pool.add_worker("w")
        (event,) = pool.wait(WAIT_S)
        return event
    finally:
        pool.close()


def test_one_whose_folder_holds_another_model_does_not_come_up(
    make_spec: MakeSpec, model: Path
) -> None:
    spec = make_spec(f"model.path={model}")
    assert isinstance(start(spec), WorkerReady)
    write_anew(model)
    event = start(spec)
    assert isinstance(event, WorkerGone)
    assert isinstance(event.error, ModelError)
    told = f"the model in {model} on {socket.gethostname()} is not the job's: its digest is "
    assert str(event.error).startswith(told)


def test_nor_does_one_whose_folder_holds_another_adapter(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "mine")
    spec = make_spec(f"model.lora={folder}")
    assert isinstance(start(spec), WorkerReady)
    write_anew(folder)
    event = start(spec)
    assert isinstance(event, WorkerGone)
    assert str(event.error).startswith(f"the LoRA adapter in {folder} on {socket.gethostname()} ")


def test_nor_does_one_of_several_machines_of_which_one_holds_another_model(
    make_spec: MakeSpec, model: Path
) -> None:
    spec = make_spec(f"model.path={model}")
    assert _open(spec) is None
    write_anew(model)
    assert isinstance(_open(spec), ModelError)


def test_a_model_that_is_written_while_an_engine_loads_it_is_noticed(
    make_spec: MakeSpec, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, stopped = SimulatedEngine.start, list[SimulatedEngine]()

    async def load_slowly(self: SimulatedEngine) -> EngineInfo:
        write_anew(model)
        return await begin(self)

    async def stop(self: SimulatedEngine) -> None:
        stopped.append(self)

    monkeypatch.setattr(SimulatedEngine, "start", load_slowly)
    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    with pytest.raises(ModelError, match="is not the job's"):
        asyncio.run(Worker.start("w", make_spec(f"model.path={model}")))
    assert len(stopped) == 1
