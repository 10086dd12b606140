"""How much a model can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.formats.catalog import CATALOG
from batchfim.models.files import ModelFiles
from batchfim.models.infiller import context_tokens


@pytest.mark.parametrize(
    ("family", "positions", "expected"),
    [
        ("granite-code", 131072, 131072),  # the 128k variant of a 2k family
        ("starcoder2", 2048, 2048),
        ("starcoder2", None, 16384),
        ("codebert", 514, 512),  # Roberta's first two positions are padding's
        ("codet5", None, 512),
        ("plamo-3", None, None),
    ],
)
def test_the_config_speaks_first_but_for_roberta(
    family: str, positions: int | None, expected: int | None
) -> None:
    files = ModelFiles(Path("m"), {"max_position_embeddings": positions}, "")
    assert context_tokens(files, CATALOG[family]) == expected
