"""batchfim: complete the middle of code, in bulk."""

import os

# Nobody is told of a run: the libraries' usage reports are off, in every process that imports this.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}.items():
    os.environ.setdefault(_name, _value)
