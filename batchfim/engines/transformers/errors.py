"""Translate errors of torch and transformers. Imports torch: import it only when needed."""

from __future__ import annotations

import torch

from batchfim.errors import EngineDead, EngineError, EngineStartError, RequestRefused, TryAgain

# After an AcceleratorError, a CUDA context is unusable. Positions past the model's last one are an
# IndexError on the CPU; on CUDA they are a device-side assertion.
_TABLE: tuple[tuple[type[BaseException], type[EngineError]], ...] = (
    (EngineDead, EngineDead),
    (torch.OutOfMemoryError, TryAgain),
    (torch.AcceleratorError, EngineDead),
    (IndexError, RequestRefused),
    (Exception, TryAgain),
)
_NO_MEMORY_ON_CPU = "can't allocate memory"  # torch's CPU allocator raises a bare RuntimeError


def translate(error: Exception) -> EngineError:
    """A batch's error as one of the errors of the Engine protocol."""
    ours = next(ours for theirs, ours in _TABLE if isinstance(error, theirs))
    return ours(f"{type(error).__name__}: {error}")


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error is a lack of memory, so that a smaller batch may succeed."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        _NO_MEMORY_ON_CPU in str(error)
    )


def start_error(error: Exception) -> EngineStartError:
    """The reason why the model failed to start, with advice on what to change."""
    advice = "check that the model is complete and supported by this version of transformers"
    if is_out_of_memory(error):
        advice = "the model does not fit: set engine.args.dtype=bfloat16, or use a larger device"
    elif "trust_remote_code" in str(error):
        advice = "the model has its own code; set model.trust_remote_code=true to run it"
    text = str(error).strip().partition("\n")[0]
    return EngineStartError(f"Transformers did not start: {type(error).__name__}: {text}; {advice}")
