"""Which adapter a record is asked with, and what its row says of the tokens kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchfim.formats.encoder import Prompt
from batchfim.planning.requests import requests
from tests.models.test_models_adapters import adapter

OpenDesk = Callable[..., Any]
SAME = {"prefix": ["".join(f"x{i} = {i * i}\n" for i in range(40))] * 8, "suffix": ["\n"] * 8}
NAMES = ["a", "b", None, "c", "", "a", "b", "a"]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    return {name: str(adapter(tmp_path / name)) for name in ("a", "b", "job")}


def rows(open_desk: OpenDesk, *sets: str, **columns: Any) -> list[dict[str, Any]]:
    desk = open_desk(*sets, **columns)
    found: list[dict[str, Any]] = desk.rows(desk.lease())
    return found


def test_a_record_is_asked_with_the_adapter_it_names(
    open_desk: OpenDesk, folders: dict[str, str]
) -> None:
    mapped = {name: folders[name] for name in ("a", "b")}
    sets = (f"model.loras={mapped}", "input.columns.lora=which")
    found = rows(open_desk, *sets, **SAME, which=NAMES)
    assert [row["adapter"] for row in found] == ["a", "b", None, None, None, "a", "b", "a"]
    assert [row["status"] for row in found].count("ok") == 7
    assert found[3]["error"].endswith("row 3: LoRA adapter 'c' is not in model.loras")
    by_adapter = {row["adapter"]: row["middle"] for row in found if row["status"] == "ok"}
    assert len(set(by_adapter.values())) == 3
    assert all(row["middle"] == by_adapter[row["adapter"]] for row in found if row["middle"])


def test_a_record_that_names_none_gets_the_jobs(
    open_desk: OpenDesk, folders: dict[str, str]
) -> None:
    sets = (f"model.lora={folders['job']}", f"model.loras={{a: {folders['a']}}}")
    found = rows(open_desk, *sets, "input.columns.lora=which", **SAME, which=["a", None] * 4)
    assert [row["adapter"] for row in found] == ["a", folders["job"]] * 4


def test_records_come_adapter_by_adapter_each_in_sharing_order() -> None:
    texts = {0: [1, 2], 1: [1, 1], 2: [1, 2], 3: [1, 1], 4: [1, 2]}
    prompts = {row: Prompt(array("I", ids)) for row, ids in texts.items()}
    found = requests(prompts, lambda row: None, {1: "b", 2: "a", 4: "a"})
    assert list(found) == [[3], [0], [2, 4], [1]]


@pytest.mark.parametrize("asked", ["none", "sum", "tokens"])
def test_logprobs_are_of_the_kept_tokens(open_desk: OpenDesk, asked: str) -> None:
    for row in rows(open_desk, f"sampling.logprobs={asked}"):
        kept = row["kept_tokens"]
        assert row["logprob_sum"] == (None if asked == "none" else -0.5 * kept)
        assert row["logprob_mean"] == (None if asked == "none" or not kept else -0.5)
        assert row["logprobs"] == ([-0.5] * kept if asked == "tokens" else None)
