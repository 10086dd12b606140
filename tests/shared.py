"""Third-party data that lies beside the checkout and is never copied into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data(name: str) -> Path:
    """A file or folder of the shared data; skips the test, with the reason, where it is absent."""
    default = Path(__file__).parents[2] / "shared"
    path = Path(os.environ.get("BATCHFIM_SHARED", default)) / "data" / name
    if not path.exists():
        pytest.skip(f"needs {path}; set BATCHFIM_SHARED to the folder that holds data/")
    return path
