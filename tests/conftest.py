"""What tests of several rooms share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell's background job hands on that it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model, by its name in `TINY_MODELS`; each is built once."""
    from tests.tiny_models import TINY_MODELS  # imports torch: only for those who ask for a model

    built: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in built:
            built[name] = TINY_MODELS[name].build(tmp_path_factory.mktemp(name))
        return built[name]

    return build


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray in this process, for what works on its caller's; others start one of their own."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
    yield
    ray.shutdown()
