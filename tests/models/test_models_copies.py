"""A model at a URL is copied as a whole or not at all, once for all who ask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from batchfim.config import Model
from batchfim.errors import ModelError
from batchfim.models.copies import copy_model
from batchfim.models.files import find_model

URL = "memory://batchfim-test-model/starcoder2-tiny"
FILES = {"config.json": b'{"n_ctx": 64}', "tokenizer.json": b"{}", "sub/w.safetensors": b"w" * 99}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where copies go; the model is at `URL`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = fsspec.filesystem("memory")
    for name, content in FILES.items():
        store.pipe_file(f"/batchfim-test-model/starcoder2-tiny/{name}", content)
    yield tmp_path / "batchfim" / "models"
    store.rm("/batchfim-test-model", recursive=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_all_who_ask_at_once_get_one_whole_copy(cache: Path) -> None:
    with ThreadPoolExecutor(8) as workers:
        folders = set(workers.map(lambda _: copy_model(URL, None, None)[0], range(16)))
    (folder,) = folders
    assert contents(folder) == FILES
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]


def test_what_a_killed_copier_left_is_not_taken_for_a_copy(cache: Path) -> None:
    folder, _ = copy_model(URL, None, None)
    aside = folder.rename(folder.with_name(f"{folder.name}.tmp"))
    (aside / "config.json").write_bytes(b"half")
    (aside / "leftover").touch()
    assert contents(copy_model(URL, None, None)[0]) == FILES


def test_a_prompt_needs_no_weights(cache: Path) -> None:
    files = find_model(Model(path=URL), weights=False)
    assert sorted(contents(files.path)) == ["config.json", "tokenizer.json"]
    assert files.digest() == find_model(Model(path=URL), weights=True).digest()


def test_a_model_that_changed_is_another_and_refused_where_one_was_meant(cache: Path) -> None:
    _, before = copy_model(URL, None, None)
    store = fsspec.filesystem("memory")
    store.pipe_file("/batchfim-test-model/starcoder2-tiny/sub/w.safetensors", b"other")
    with pytest.raises(ModelError, match="its files have changed since"):
        copy_model(URL, None, before)
    folder, after = copy_model(URL, None, None)
    assert after != before
    assert contents(folder)["sub/w.safetensors"] == b"other"


def test_a_file_url_is_used_where_it_lies(tmp_path: Path) -> None:
    assert copy_model(f"file://{tmp_path}", None, None) == (tmp_path, None)
