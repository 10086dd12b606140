"""Tokenizers for the format tests: StarCoder2's own, where it lies beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny import tiny_json

from batchfim.formats.catalog import CATALOG
from batchfim.formats.tokenizer import TextTokenizer

CHECKOUT = Path(__file__).parents[2]


def shared(path: str) -> Path:
    """A file of the data that lies outside the repository, or a skip that says where it looked."""
    found = Path(os.environ.get("BATCHFIM_SHARED", CHECKOUT.parent / "shared")) / path
    if not found.exists():
        pytest.skip(f"{found} is not here (set BATCHFIM_SHARED)")
    return found


@pytest.fixture(scope="session")
def starcoder2_path() -> Path:
    return shared("data/tokenizers/starcoder2/tokenizer.json")


@pytest.fixture(scope="session")
def starcoder2(starcoder2_path: Path) -> TextTokenizer:
    return TextTokenizer(
        starcoder2_path.read_text(encoding="utf8"), CATALOG["starcoder2"].control_texts()
    )


@pytest.fixture(scope="session")
def codellama() -> TextTokenizer:
    path = shared("data/tokenizers/codellama/tokenizer.json")
    return TextTokenizer(path.read_text(encoding="utf8"))


@pytest.fixture(scope="session")
def tiny() -> TextTokenizer:
    """One id per byte, StarCoder's sentinels: a token budget is a byte budget."""
    return TextTokenizer(tiny_json(), CATALOG["starcoder"].control_texts())
