"""`batchfim families`: the whole table, its document, and what a model resolves to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from batchfim.cli import app
from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG, OUTSIDERS
from batchfim.formats.format import FORMAT_FIELDS
from batchfim.models.families import explain_model
from batchfim.models.families_text import families_markdown
from tests.formats.tiny import tiny_json

ASKED_FOR = [
    "santacoder",
    "starcoder",
    "starcoder2",
    "codegen2",
    "codellama",
    "deepseek-coder",
    "deepseek-coder-v2",
    "incoder",
    "codet5",
    "unixcoder",
    "codebert",
    "plbart",
    "stable-code",
    "codeshell",
    "codegeex4",
    "qwen2.5-coder",
    "codeqwen1.5",
    "qwen3-coder",
    "codegemma",
    "codestral",
    "granite-code",
    "granite-3.3",
    "granite-4",
    "refact",
    "aixcoder",
    "seed-coder",
    "mellum",
    "decicoder",
    "glm-4.5",
]
REPOSITORY = Path(__file__).parents[2]


def families(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["families", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_json_has_every_family_with_every_field_and_source() -> None:
    tree = json.loads(families("--json"))
    rows = {row["family"]: row for row in tree["families"]}
    assert set(ASKED_FOR) <= set(rows) == set(CATALOG)
    for name, row in rows.items():
        assert row["source"].startswith("https://"), name
        assert row["layouts"][row["order"]], name
        assert row["stops"], name
        assert set(row["evidence"]) == {
            "sentinels",
            "layouts",
            "bos",
            "stops",
            "context",
            "architecture",
        }
    assert rows["codellama"]["decoding"].endswith("a leading space kept")
    assert len(tree["without_infilling"]) + len(tree["closed"]) == len(OUTSIDERS)
    for row in tree["without_infilling"] + tree["closed"]:
        assert row["source"].startswith("https://")
        assert row["reason"]
    assert {row["title"] for row in tree["closed"]} == {
        "Codex",
        "AlphaCode",
        "PanGu-Coder",
        "PaLM-Coder",
    }


def test_the_table_names_families_and_refusals() -> None:
    table = families()
    for name in ASKED_FOR:
        assert f" {name} " in table
    for text in ("CodeGen1", "PolyCoder", "AlphaCode", "no-?fim"):
        assert text in table


def test_the_document_is_the_catalogs() -> None:
    document = (REPOSITORY / "FAMILIES.md").read_text(encoding="utf8")
    assert document == families_markdown(), "FAMILIES.md is out of date: run `make families`"
    assert families("--markdown") == document


def test_a_bare_id_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("batchfim.models.families.find_model", unreachable)
    row = explain_model("codellama/CodeLlama-7b-Instruct-hf")
    assert (row["family"], row["order"], row["engine"]) == ("codellama", "psm", "vllm")
    assert row["tokenizer_checked"] is False
    text = families("codellama/CodeLlama-7b-Instruct-hf")
    assert "because of: name 'codellama-7b-instruct-hf'" in text
    assert "the tokenizer was not checked" in text
    assert "warning: the sources conflict" in text
    with pytest.raises(ModelError, match="34B"):
        explain_model("codellama/CodeLlama-34b-hf")


def model_folder(folder: Path, config: dict[str, object]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(tiny_json())
    return folder


def test_a_folder_is_judged_by_name_config_and_tokenizer(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "StarCoderBase-mine", {"model_type": "gpt_bigcode"})
    row = json.loads(families(str(folder), "--json"))
    assert row["family"] == "starcoder"
    assert row["witnesses"] == ["name 'starcoderbase-mine'", "sentinels"]
    assert row["tokenizer_checked"] is True
    other = model_folder(tmp_path / "x1", {"model_type": "gpt_bigcode"})
    assert explain_model(str(other))["witnesses"] == ["model_type 'gpt_bigcode'", "sentinels"]
    wrong = model_folder(tmp_path / "qwen2.5-coder", {"model_type": "qwen2"})
    with pytest.raises(ModelError, match=r"no '<\|file_sep\|>', '<\|fim_middle\|>'"):
        explain_model(str(wrong))


def test_the_engine_follows_the_architecture(tmp_path: Path) -> None:
    codegen2 = CATALOG["codegen2"]
    assert codegen2.engine_for(("CodeGenForCausalLM",)) == "transformers"
    assert codegen2.engine_for(("LlamaForCausalLM",)) == "vllm"  # CodeGen2.5
    assert CATALOG["starcoder2"].engine_for(()) == "vllm"


def test_what_is_only_said_of_a_family_is_not_the_job() -> None:
    """A job goes on after a note or a source in the catalog was mended, not after a layout was."""
    assert FORMAT_FIELDS.isdisjoint({"notes", "evidence", "source", "model_ids", "warned"})
    assert {"layouts", "stops", "more_stops", "bos", "leading_space", "engine"} <= FORMAT_FIELDS
    family = CATALOG["starcoder2"]
    more = family.model_copy(update={"layouts": family.layouts | {"new": ("a",)}, "order": "new"})
    assert more.fingerprint_fields("psm") == family.fingerprint_fields("psm")
    assert more.fingerprint_fields("new") != family.fingerprint_fields("psm")
