"""The model that ships here, with engine arguments spelled out, as vLLM's defaults depend on who
starts the engine: on CPU, 2,048 batched tokens for its server and 4,096 for `LLM`. So are the dtype
where batchfim would have another than the model's, and the model's place in the core's own process:
all get ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batchfim.config import demo_model_path
from batchfim.engines.cpu import MODEL_IN_CORE, dtype_argument
from batchfim.formats.encoder import Encoder
from batchfim.infiller import open_infiller
from batchfim.planning.choosing import ChoosingEncoder
from benchmarks.house_side import house_config
from benchmarks.sides import BLOCK_SIZE, Setup

ENGINE_ARGS: dict[str, Any] = {
    "block_size": BLOCK_SIZE,
    "max_num_seqs": 128,
    "max_num_batched_tokens": 4096,
    "distributed_executor_backend": MODEL_IN_CORE,
}
MAX_TOKENS = 32


def demo_setup(folder: Path, **changes: Any) -> Setup:
    """The demo model on one engine; `changes` are fields of `Setup`."""
    model = demo_model_path()
    args = ENGINE_ARGS | dtype_argument(model, {}) | changes.pop("args", {})
    stops = demo_encoder().stop_token_ids
    return Setup(str(model), folder, stops, args=args, **({"max_tokens": MAX_TOKENS} | changes))


def demo_encoder() -> Encoder | ChoosingEncoder:
    """What a job on the demo model encodes with."""
    setup = Setup(str(demo_model_path()), Path("none"), (), max_tokens=MAX_TOKENS)
    return open_infiller(house_config(setup, Path("none"), Path("none")), weights=False).encoder
