"""Which model it is: a commit of the hub's cache, or what lies in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchfim.config import Model
from batchfim.errors import ModelError
from batchfim.models.files import ModelFiles, find_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS_BYTES = 1 << 20


def write_model(folder: Path, *, weights: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "starcoder2", "n_ctx": 64}')
    (folder / "tokenizer.json").write_text("{}")
    if weights:
        (folder / "model.safetensors").write_bytes(os.urandom(WEIGHTS_BYTES))
    return folder


def files_of(folder: Path) -> ModelFiles:
    return find_model(Model(path=str(folder)), weights=True)


def change(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def test_a_snapshot_of_the_hub_is_its_commit_with_and_without_weights(tmp_path: Path) -> None:
    folder = tmp_path / "models--org--name" / "snapshots" / COMMIT
    before = files_of(write_model(folder, weights=False))
    assert (before.digest(), before.revision) == (COMMIT, COMMIT)
    after = files_of(write_model(folder))
    assert after.digest() == COMMIT


@pytest.mark.parametrize(
    "place",
    [
        "run-7/snapshots/latest",
        f"run-7/snapshots/{COMMIT}",
        "models--org--name/snapshots/latest",
        f"models--org--name/snapshots/{COMMIT.upper()}",
    ],
)
def test_a_folder_is_no_commit_because_it_is_called_like_one(tmp_path: Path, place: str) -> None:
    folder = write_model(tmp_path / place)
    before = files_of(folder).digest()
    change(folder / "model.safetensors", 0)
    assert files_of(folder).revision is None
    assert files_of(folder).digest() != before


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_folder_is_its_weights_wherever_they_change(tmp_path: Path, share: float) -> None:
    folder = write_model(tmp_path / "model")
    before = files_of(folder).digest()
    assert files_of(folder).digest() == before
    weights = folder / "model.safetensors"
    change(weights, int(share * (WEIGHTS_BYTES - 1)))
    assert weights.stat().st_size == WEIGHTS_BYTES
    assert files_of(folder).digest() != before
    assert files_of(folder).revision is None


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model-00002-of-00002.safetensors"])
def test_another_weights_file_is_another_model(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "model")
    before = files_of(folder).digest()
    (folder / name).write_bytes(b"more")
    assert files_of(folder).digest() != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_so_is_another_config_or_tokenizer(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "model")
    before = files_of(folder).digest()
    (folder / name).write_text('{"other": 1}')
    assert files_of(folder).digest() != before


def test_notes_beside_the_weights_and_the_place_of_the_folder_do_not_matter(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    before = files_of(folder).digest()
    (folder / "README.md").write_text("notes")
    assert files_of(folder.rename(tmp_path / "renamed")).digest() == before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[1, 2]", "is not a JSON object"), ("null", "is not a JSON object"), ("{", "is not JSON")],
)
def test_a_config_that_is_none_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=rf"model {folder}: config\.json {complaint}"):
        files_of(folder)
