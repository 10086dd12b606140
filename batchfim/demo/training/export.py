"""Write the model folder that transformers and vLLM load, replacing one file at a time."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, Starcoder2ForCausalLM

from batchfim.demo.training.card import render_card
from batchfim.demo.training.record import TrainingRecord, write_text_whole
from batchfim.demo.training.tokenizer import save_tokenizer

_READABLE_BY_ALL = 0o644
_PROBE = "def f(x):\n        return x + 1234  # caf\u00e9\n\n\n    if not x:\n"


def export_model(model: Starcoder2ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write weights (bf16), configs and tokenizer into `folder`, each file aside, then renamed.

    The folder stays loadable throughout, so an engine may read it during training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as name:
        aside = Path(name)
        copy.deepcopy(model).bfloat16().save_pretrained(aside)
        save_tokenizer(tokenizer, aside, model.config.max_position_embeddings)
        check_tokenizer(tokenizer, aside)
        for path in sorted(aside.iterdir()):
            path.chmod(_READABLE_BY_ALL)
            path.replace(folder / path.name)


def check_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Raise if transformers does not load the saved tokenizer as it was trained."""
    loaded = AutoTokenizer.from_pretrained(folder)
    ids = loaded(_PROBE, add_special_tokens=False)["input_ids"]
    if ids != tokenizer.encode(_PROBE).ids or loaded.decode(ids) != _PROBE:
        raise ValueError("transformers does not load the tokenizer as it was trained")


def export_record(record: TrainingRecord, folder: Path) -> None:
    """Write `training.json` and the model card made from it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text_whole(folder / "training.json", record.model_dump_json(indent=2) + "\n")
    write_text_whole(folder / "README.md", render_card(record))
