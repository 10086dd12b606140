"""The model that ships here, with engine arguments spelled out, as vLLM's defaults depend on who
starts the engine: on CPU, 2,048 batched tokens for its server and 4,096 for `LLM`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchfim.config import demo_model_path
from batchfim.formats.encoder import Encoder
from batchfim.infiller import open_infiller
from batchfim.planning.choosing import ChoosingEncoder
from benchmarks.house_side import house_config
from benchmarks.sides import BLOCK_SIZE, Setup

ENGINE_ARGS: dict[str, Any] = {
    "block_size": BLOCK_SIZE,
    "max_num_seqs": 128,
    "max_num_batched_tokens": 4096,
}
MAX_TOKENS = 32
# The demo's architecture with nine times its weights between embedding and logits, all random: for
# it a prompt's tokens take the more of a record's time, as for models in use. Random weights end
# no middle, so that each has as many tokens as the demo's have on average.
_WIDE = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 9}
_WIDE_MAX_TOKENS = 12


def demo_setup(folder: Path, **changes: Any) -> Setup:
    """The demo model on one engine; `changes` are fields of `Setup`."""
    args = ENGINE_ARGS | changes.pop("args", {})
    model = str(demo_model_path())
    stops = demo_encoder().stop_token_ids
    return Setup(model, folder, stops, args=args, **({"max_tokens": MAX_TOKENS} | changes))


def wide_setup(folder: Path, **changes: Any) -> Setup:
    """As `demo_setup`, for a larger model of random weights; `folder` gets its files."""
    model = folder / "wide"
    if not model.exists():
        shutil.copytree(demo_model_path(), model, ignore=shutil.ignore_patterns("*.safetensors"))
        config = json.loads((model / "config.json").read_text(encoding="utf8"))
        (model / "config.json").write_text(json.dumps(config | _WIDE), encoding="utf8")
    setup = demo_setup(folder, max_tokens=_WIDE_MAX_TOKENS, **changes)
    return replace(setup, model=str(model), args=setup.args | {"load_format": "dummy"})


def demo_encoder() -> Encoder | ChoosingEncoder:
    """What a job on the demo model encodes with."""
    setup = Setup(str(demo_model_path()), Path("none"), (), max_tokens=MAX_TOKENS)
    return open_infiller(house_config(setup, Path("none"), Path("none")), weights=False).encoder
