"""Adapters are found, known by their content, and refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchfim.errors import ModelError
from batchfim.models.adapters import find_adapters


def adapter(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8} | config), encoding="utf8")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_the_rank_is_the_highest_of_any_layer(tmp_path: Path) -> None:
    plain, mixed = adapter(tmp_path / "a"), adapter(tmp_path / "b", rank_pattern={"q_proj": 24})
    found = find_adapters({"plain": str(plain), "mixed": str(mixed)})
    assert (found["plain"].rank, found["mixed"].rank) == (8, 24)
    assert found["plain"].path == plain


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    before = find_adapters({"a": str(folder)})["a"].digest
    assert find_adapters({"a": str(folder)})["a"].digest == before
    (folder / "adapter_model.safetensors").write_bytes(b"Weights")
    assert find_adapters({"a": str(folder)})["a"].digest != before


def test_what_a_url_holds_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = adapter(tmp_path / "a")
    assert find_adapters({"a": f"file://{folder}"})["a"].place == f"file://{folder}"


@pytest.mark.parametrize("config", [{"r": "8"}, {"r": None}, {"peft_type": "IA3"}])
def test_what_is_no_lora_adapter_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    folder = adapter(tmp_path / "a", **config)
    with pytest.raises(ModelError, match=r"'mine': .*no adapter_config\.json of a LoRA adapter"):
        find_adapters({"mine": str(folder)})


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'mine': .*no adapter_config\.json"):
        find_adapters({"mine": str(tmp_path)})
