"""A model on this machine's disk is checked before a job counts on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from batchfim.config import Model
from batchfim.errors import ModelError
from batchfim.models.fetching import fetch_models
from batchfim.models.files import demo_model_path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_model_path(), tmp_path / "model"))


def fetch(folder: Path) -> None:
    list(fetch_models(Model(path=str(folder))))


def test_a_whole_model_is_counted(model: Path) -> None:
    (fetched,) = fetch_models(Model(path=str(model)))
    files = [file for file in model.rglob("*") if file.is_file()]
    assert (fetched.folder, fetched.num_files) == (model, len(files))
    assert fetched.size_bytes == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("cut", [1, 1000])
def test_weights_cut_short_are_found(model: Path, cut: int) -> None:
    weights = next(model.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-cut])
    with pytest.raises(ModelError, match=r"model\.safetensors: .* but its header says .*; delete"):
        fetch(model)


def test_weights_that_are_no_weights_are_found(model: Path) -> None:
    next(model.glob("*.safetensors")).write_bytes(b"<html>404</html>")
    with pytest.raises(ModelError, match="16 bytes, but its header says 0"):
        fetch(model)


def test_a_file_that_the_index_names_is_missed(model: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"model-2\.safetensors missing"):
        fetch(model)
