"""Why the core of a vLLM engine ended: the front end does not learn it, but the core logs it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

_CORE = "vllm.v1.engine.core"  # the logger
_TRACEBACK = "Traceback (most recent call last):\n"
_READ_BYTES = 1 << 20


class CoreLog:
    """The errors that a core logs, in a file that this process reads.

    Once vLLM's processes have it open, the file loses its name, so that nothing stays behind even
    if this process is killed.
    """

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._errors: BinaryIO | None = None

    def argument(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`logging_config` for vLLM: its default, with this file beside the log.

        Empty if the job or the environment says how vLLM logs, or if the engine's processes may be
        on machines that do not have the file.

        Args:
            arguments: all others that vLLM is started with.
        """
        from vllm import envs
        from vllm.config.logging import LoggingConfig

        has_own = "logging_config" in arguments or envs.VLLM_LOGGING_CONFIG_PATH
        is_spread = arguments.get("distributed_executor_backend") == "ray"
        if has_own or is_spread or not envs.VLLM_CONFIGURE_LOGGING:
            return {}
        self._folder = TemporaryDirectory(prefix="batchfim-vllm-")
        folder = Path(self._folder.name)
        errors, config = folder / "errors.log", folder / "logging.json"
        self._errors = errors.open("xb+")
        config.write_text(json.dumps(_logging(errors, envs.VLLM_LOGGING_LEVEL)), encoding="utf8")
        return {"logging_config": LoggingConfig(pylogging_config_file=str(config))}

    def drop_name(self) -> None:
        """Remove the file's name once the engine has started, or has failed to."""
        if self._folder:
            self._folder.cleanup()

    def last_error(self) -> str | None:
        """The type and the message's first line of the last error that the core logged."""
        if self._errors is None:
            return None
        text = os.pread(self._errors.fileno(), _READ_BYTES, 0).decode(errors="replace")
        lines = text.rpartition(_TRACEBACK)[2].splitlines()
        return next((line for line in lines if line and not line.startswith(" ")), None)

    def why_ended(self) -> str:
        """Why the core ended, or where to look for the reason."""
        if error := self.last_error():
            return f"vLLM's core process ended with {error}; the worker's log has the traceback"
        if self._errors is None:
            return "vLLM's core process ended; the worker's log may say why"
        return (
            "vLLM's core process ended and logged no error, like one that was killed, perhaps for "
            "lack of memory"
        )


def _logging(errors: Path, level: str) -> dict[str, Any]:
    """vLLM's own configuration of its log, with a file for the core's errors."""
    from vllm.logger import DEFAULT_LOGGING_CONFIG

    config: dict[str, Any] = deepcopy(DEFAULT_LOGGING_CONFIG)
    config["handlers"]["vllm"]["level"] = config["loggers"]["vllm"]["level"] = level
    config["handlers"]["core"] = {
        "class": "logging.FileHandler",
        "filename": str(errors),
        "level": "ERROR",
    }
    config["loggers"][_CORE] = {"handlers": ["core"]}
    return config
