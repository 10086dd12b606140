"""A family whose model writes on after the middle ends it by a rule of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchfim.config_file import load_config
from batchfim.formats.catalog import CATALOG
from batchfim.infiller import Infiller, open_infiller
from batchfim.records import Hole
from tests.formats.goldens import P, S
from tests.formats.tiny import tiny_family_json

WRITTEN = "a + b" + S + "and on"


@pytest.fixture
def plbart(tmp_path: Path) -> Infiller:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "plbart"}), encoding="utf8")
    text = tiny_family_json(CATALOG["plbart"])
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf8")
    flags = {"model.path": str(tmp_path), "model.family": "plbart"}
    unused = {"input.paths": ["unused"], "output.path": "unused"}
    return open_infiller(load_config(None, flags | unused), weights=False)


def test_the_suffix_that_plbart_writes_again_is_no_middle(plbart: Infiller) -> None:
    (ids,) = plbart.tokenizer.encode([WRITTEN])
    middle = plbart.finisher.finish(ids, Hole(P, S), reached_limit=True)
    assert (middle.raw, middle.text) == (WRITTEN, "a + b")
    assert middle.stop_rule == "suffix_start"


def test_its_generation_ends_there(plbart: Infiller) -> None:
    new_check = plbart.finisher.stop_checks(Hole(P, S))
    assert new_check is not None
    check, (ids,) = new_check(), plbart.tokenizer.encode([WRITTEN])
    asked = next(place for place, token_id in enumerate(ids, 1) if check(token_id))
    assert plbart.tokenizer.decode(ids[:asked]) == "a + b" + S


def test_no_other_family_has_such_a_rule() -> None:
    assert {name for name, family in CATALOG.items() if family.stop_rules} == {"plbart"}
