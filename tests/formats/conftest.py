"""Tokenizers for the format tests: StarCoder2's own, where it lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.formats.catalog import CATALOG
from batchfim.formats.tokenizer import TextTokenizer
from tests.formats.tiny import tiny_json
from tests.shared import shared_data


@pytest.fixture(scope="session")
def starcoder2_path() -> Path:
    return shared_data("tokenizers/starcoder2/tokenizer.json")


@pytest.fixture(scope="session")
def starcoder2(starcoder2_path: Path) -> TextTokenizer:
    return TextTokenizer(
        starcoder2_path.read_text(encoding="utf8"), CATALOG["starcoder2"].control_texts()
    )


@pytest.fixture(scope="session")
def codellama_path() -> Path:
    return shared_data("tokenizers/codellama/tokenizer.json")


@pytest.fixture(scope="session")
def codellama(codellama_path: Path) -> TextTokenizer:
    return TextTokenizer(
        codellama_path.read_text(encoding="utf8"), CATALOG["codellama"].control_texts()
    )


@pytest.fixture(scope="session")
def tiny() -> TextTokenizer:
    """One id per byte, StarCoder's sentinels: a token budget is a byte budget."""
    return TextTokenizer(tiny_json(), CATALOG["starcoder"].control_texts())
