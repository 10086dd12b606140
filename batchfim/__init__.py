"""batchfim: bulk fill-in-the-middle code infilling."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchfim.api import compare_jobs as compare_jobs
    from batchfim.api import job_status as job_status
    from batchfim.api import open_results as open_results
    from batchfim.api import plan_job as plan_job
    from batchfim.api import report_job as report_job
    from batchfim.api import retry_job as retry_job
    from batchfim.api import run_job as run_job
    from batchfim.api import verify_job as verify_job
    from batchfim.config import JobConfig as JobConfig
    from batchfim.config.files import load_config as load_config

# Turn off the libraries' usage reports in every process that imports this package.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}.items():
    os.environ.setdefault(_name, _value)

_WHERE = {
    "JobConfig": "config",
    "load_config": "config.files",
    **dict.fromkeys(
        (
            "compare_jobs",
            "job_status",
            "open_results",
            "plan_job",
            "report_job",
            "retry_job",
            "run_job",
            "verify_job",
        ),
        "api",
    ),
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    """Import names on first use: a worker needs few of them."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
