"""What the documents say of families is the catalog's."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from batchfim.formats.catalog import CATALOG
from batchfim.formats.format import Format

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf8")
GUIDE = (ROOT / "GUIDE.md").read_text(encoding="utf8")


def test_it_lists_every_family_and_no_other() -> None:
    (listed,) = re.findall(r"## Families\n\n(.*?)\. \[FAMILIES", README, re.DOTALL)
    names = re.sub(r"\(.*?\)", "", listed, flags=re.DOTALL).replace("\n", " ").split(",")
    assert [name.strip() for name in names] == sorted(CATALOG)


def test_its_own_format_is_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tree,) = (yaml.safe_load(block) for block in blocks if "format:" in block)
    form = Format(**tree["infill"]["format"])
    assert form.fields("with_path") == {"path"}
