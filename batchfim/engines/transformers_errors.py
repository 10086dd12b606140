"""Errors of torch and transformers, in ours. Imports torch: import it only once it is needed."""

from __future__ import annotations

import torch

from batchfim.errors import EngineDead, EngineError, EngineStartError, RequestRefused, TryAgain

# After the first, a CUDA context answers nothing any more. Positions past the model's last one
# are an index out of range on the CPU; on CUDA they are an assertion of the device.
_TABLE: tuple[tuple[type[BaseException], type[EngineError]], ...] = (
    (EngineDead, EngineDead),
    (torch.OutOfMemoryError, TryAgain),
    (torch.AcceleratorError, EngineDead),
    (IndexError, RequestRefused),
    (Exception, TryAgain),
)
_NO_MEMORY_ON_CPU = "can't allocate memory"  # torch's CPU allocator raises a bare RuntimeError


def translate(error: Exception) -> EngineError:
    """A batch's error, as the Engine Protocol has it."""
    ours = next(ours for theirs, ours in _TABLE if isinstance(error, theirs))
    return ours(f"{type(error).__name__}: {error}")


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch could do."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        _NO_MEMORY_ON_CPU in str(error)
    )


def start_error(error: Exception) -> EngineStartError:
    """Why the model did not come up, and what to change."""
    advice = "is the model whole, and one that this transformers knows?"
    if is_out_of_memory(error):
        advice = "the model does not fit: set engine.args.dtype=bfloat16, or take a larger device"
    elif "trust_remote_code" in str(error):
        advice = "the model brings its own code; model.trust_remote_code=true runs it"
    text = str(error).strip().partition("\n")[0]
    return EngineStartError(f"Transformers did not start: {type(error).__name__}: {text}; {advice}")
