"""What several rooms' tests need of Parquet files."""

from __future__ import annotations

from pathlib import Path

from batchfim.storage.footer import read_footer
from batchfim.storage.location import Location


def content_of(path: Path | str) -> str:
    """Identity of a file's content, as the plan has it."""
    return read_footer(Location.of(str(path))).content
