"""Make a job's paths independent of the working folder."""

from __future__ import annotations

import os
from pathlib import Path

from batchfim.config import JobConfig


def absolute(config: JobConfig) -> JobConfig:
    """The job with local paths made absolute, because workers have other working folders."""
    paths = tuple(_absolute(path) for path in config.input.paths)
    folder = Path(config.model.path).expanduser()
    model = str(folder.absolute()) if folder.is_dir() else config.model.path
    adapters = {name: _adapter_place(place) for name, place in config.model.loras.items()}
    lora = config.model.lora and _adapter_place(config.model.lora)
    return config.model_copy(
        update={
            "input": config.input.model_copy(update={"paths": paths}),
            "output": config.output.model_copy(update={"path": _absolute(config.output.path)}),
            "model": config.model.model_copy(
                update={"path": model, "lora": lora, "loras": adapters}
            ),
        }
    )


def _adapter_place(place: str) -> str:
    folder = Path(place).expanduser()
    return str(folder.absolute()) if folder.is_dir() else place


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(Path(path).expanduser())
