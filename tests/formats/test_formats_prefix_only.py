"""`infill.order: prefix_only` runs any model left to right, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchfim.config import Infill, JobConfig, Model
from batchfim.errors import ModelError
from batchfim.models.files import find_model
from batchfim.models.infiller import find_format, open_infiller
from tests.formats.shown import shown_prompt
from tests.formats.tiny import STARCODER_CONTROLS, tiny_json

END = "<|endoftext|>"


def folder(path: Path, name: str, config: dict[str, Any], **files: dict[str, Any]) -> Path:
    model = path / name
    model.mkdir()
    (model / "config.json").write_text(json.dumps(config))
    (model / "tokenizer.json").write_text(tiny_json({**STARCODER_CONTROLS, "<s>": True}))
    for file, tree in files.items():
        (model / f"{file}.json").write_text(json.dumps(tree))
    return model


@pytest.mark.parametrize("name", ["codellama-34b-hf", "unheard-of", "starcoderbase"])
def test_refused_unknown_and_known_models_run_on_the_prefix_alone(
    tmp_path: Path, name: str
) -> None:
    model = folder(tmp_path, name, {"model_type": "llama", "eos_token_id": 256})
    shown = shown_prompt(str(model), "abc", "never seen", order="prefix_only")
    assert (shown["family"], shown["order"]) == ("none", "prefix_only")
    assert [piece["kind"] for piece in shown["pieces"]] == ["prefix"]
    assert shown["prompt_tokens"] == 3
    assert shown["stop_token_ids"] == [256]


@pytest.mark.parametrize(
    ("config", "files", "stops"),
    [
        ({"eos_token_id": 256}, {}, (END,)),
        ({"eos_token_id": [256, 257]}, {}, (END, "<fim_prefix>")),
        ({}, {"generation_config": {"eos_token_id": [258]}}, ("<fim_middle>",)),
        ({}, {"tokenizer_config": {"eos_token": {"content": END}}}, (END,)),
        ({"eos_token_id": 256}, {"tokenizer_config": {"eos_token": END}}, (END,)),
        ({"eos_token_id": 9999}, {"tokenizer_config": {"eos_token": END}}, (END,)),
    ],
)
def test_the_models_own_ends_stop_it(
    tmp_path: Path, config: dict[str, Any], files: dict[str, Any], stops: tuple[str, ...]
) -> None:
    model = Model(path=str(folder(tmp_path, "m", config, **files)))
    form, _ = find_format(find_model(model, weights=False), model, Infill(order="prefix_only"))
    assert form.stops == stops


def test_a_model_that_names_no_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither .* names an end token"):
        shown_prompt(str(folder(tmp_path, "m", {})), "a", "b", order="prefix_only")


def test_bos_comes_first_where_the_tokenizer_puts_it(tmp_path: Path) -> None:
    settings = {"tokenizer_config": {"bos_token": "<s>", "add_bos_token": True}}
    model = folder(tmp_path, "m", {"eos_token_id": 256}, **settings)
    shown = shown_prompt(str(model), "abc", "", order="prefix_only")
    assert [piece["text"] for piece in shown["pieces"]] == ["<s>", "abc"]


def test_the_engine_is_one_that_has_the_architecture(tmp_path: Path) -> None:
    def engine(name: str, architecture: str) -> str:
        config = {"eos_token_id": 256, "architectures": [architecture]}
        model = Model(path=str(folder(tmp_path, name, config)))
        files = find_model(model, weights=False)
        return find_format(files, model, Infill(order="prefix_only"))[0].engine

    assert engine("codegen-350m-mono", "CodeGenForCausalLM") == "transformers"
    assert engine("llama-2-7b", "LlamaForCausalLM") == "vllm"


def test_only_the_prefix_shares_the_budget(tmp_path: Path) -> None:
    model = folder(tmp_path, "m", {"eos_token_id": 256, "max_position_embeddings": 20})
    config = JobConfig.model_validate(
        {
            "input": {"paths": ["in"]},
            "output": {"path": "out"},
            "model": {"path": str(model)},
            "infill": {"order": "prefix_only"},
            "sampling": {"max_tokens": 10},
        }
    )
    infiller = open_infiller(config, weights=False)
    (prompt,) = infiller.encoder.encode(["0123456789abcdef"], ["s" * 100])
    assert infiller.tokenizer.decode(prompt.token_ids) == "6789abcdef"
    assert (prompt.truncated_prefix_tokens, prompt.truncated_suffix_tokens) == (6, 0)
    assert infiller.facts["family"] == "none"
