"""What ends a family's middles beside its end token, and what its places want of a record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from batchfim.config.files import load_config
from batchfim.formats.catalog import CATALOG
from batchfim.models.infiller import Infiller, open_infiller
from batchfim.records import Hole
from batchfim.surroundings import Surroundings
from tests.formats.goldens import P, S
from tests.formats.tiny import tiny_family_json

WRITTEN = "a + b" + S + "and on"


_FIM = re.compile(r"<\|?fim[_-]\w+\|?>")
WITH_FIM = [
    name for name, form in CATALOG.items() if any(map(_FIM.fullmatch, form.control_texts()))
]


def opened(folder: Path, family: str, **settings: str) -> Infiller:
    (folder / "config.json").write_text(json.dumps({"model_type": family}), encoding="utf8")
    text = tiny_family_json(CATALOG[family])
    (folder / "tokenizer.json").write_text(text, encoding="utf8")
    flags = {"model.path": str(folder), "model.family": family, **settings}
    unused = {"input.paths": ["unused"], "output.path": "unused"}
    return open_infiller(load_config(None, flags | unused), weights=False)


@pytest.fixture
def plbart(tmp_path: Path) -> Infiller:
    return opened(tmp_path, "plbart")


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


@pytest.mark.parametrize("name", WITH_FIM)
def test_no_middle_holds_a_fim_sentinel_or_its_padding(name: str) -> None:
    form = CATALOG[name]
    found = filter(_FIM.fullmatch, form.control_texts())
    (shape,) = {re.sub("prefix|suffix|middle|pad", "{}", text) for text in found}
    parts = ["prefix", "suffix", "middle", *([] if name == "codegemma" else ["pad"])]
    assert set(map(shape.format, parts)) <= {*form.stops, *form.more_stops}


def test_a_place_that_no_column_fills_is_told_of(tmp_path: Path) -> None:
    (told,) = opened(tmp_path, "codegeex4").warnings
    assert told == (
        "order 'block' has places for more columns; to fill them, set input.columns.language, "
        "input.columns.path"
    )
    columns = {"input.columns.path": "path", "input.columns.language": "language"}
    assert opened(tmp_path, "codegeex4", **columns).warnings == ()


def test_a_language_is_written_as_people_write_it(tmp_path: Path) -> None:
    around = Surroundings(path="a.cpp", language="cpp")
    pieces = opened(tmp_path, "codegeex4").encoder.pieces("x", "y", around)
    assert "###PATH:a.cpp\n###LANGUAGE:C++\n" in "".join(piece.text for piece in pieces)
