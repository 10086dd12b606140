"""File names as text for ids and messages."""

from __future__ import annotations

import os
from pathlib import PurePath


def as_text(file: str | PurePath) -> str:
    """The name, with bytes that are not UTF-8, which no record can hold, as `\\xff`."""
    return os.fsencode(file).decode(errors="backslashreplace")
