"""What vLLM's core logs of its end, by vLLM's own configuration of its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from batchfim.engines.vllm.core_log import CoreLog

pytest.importorskip("vllm")

from vllm.config.logging import LoggingConfig
from vllm.logger import configure_logging

CORE = logging.getLogger("vllm.v1.engine.core")


@pytest.fixture
def core_log() -> Iterator[CoreLog]:
    core_log = CoreLog()
    configure_logging(core_log.argument({})["logging_config"])  # as vLLM's core does
    core_log.drop_name()
    yield core_log
    configure_logging(LoggingConfig())


def test_a_core_that_fails_says_why(core_log: CoreLog, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("vllm.v1.engine").error("of the front end")
    try:
        try:
            raise KeyError("at first")
        except KeyError as error:
            raise ValueError("no room\nfor 3 blocks") from error
    except ValueError:
        CORE.exception("EngineCore encountered a fatal error.")
    assert core_log.last_error() == "ValueError: no room"
    assert "ended with ValueError: no room;" in core_log.why_ended()


def test_a_core_that_is_killed_says_nothing(core_log: CoreLog) -> None:
    assert core_log.last_error() is None
    assert "logged no error" in core_log.why_ended()


@pytest.mark.parametrize(
    "arguments", [{"logging_config": {}}, {"distributed_executor_backend": "ray"}]
)
def test_a_job_that_logs_its_own_way_or_on_other_machines_is_left_alone(
    arguments: dict[str, object],
) -> None:
    core_log = CoreLog()
    assert core_log.argument(arguments) == {}
    assert core_log.why_ended() == "vLLM's core process ended; the worker's log may say why"
