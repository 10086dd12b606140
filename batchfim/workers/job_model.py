"""Open the job's model on a worker's machine, and check that it is the one the driver saw.

The version of a model id or URL is fixed for the job. That of a folder is not: another machine may
have another copy, and training may rewrite it while the job runs.
"""

from __future__ import annotations

import socket
from pathlib import Path

from batchfim.errors import ModelError
from batchfim.models.files import find_model
from batchfim.models.infiller import Infiller, open_infiller
from batchfim.workers.pool import WorkerSpec


def open_job_model(spec: WorkerSpec) -> Infiller:
    """Open the model, its weights and its adapters.

    Raises:
        ModelError: they are not available here, or are not the job's.
        others: as `open_infiller`.
    """
    infiller = open_infiller(spec.config, weights=True)
    _check("model", infiller.files.path, infiller.files.digest(), spec.model_digest)
    for adapter in infiller.adapters.values():
        expected = spec.adapter_digests.get(adapter.place, "unknown")
        _check("LoRA adapter", adapter.path, adapter.digest, expected)
    return infiller


def check_loaded(spec: WorkerSpec, infiller: Infiller) -> None:
    """Check the model again once its engine is up, as it may have been rewritten while it loaded.

    Raises:
        ModelError: it was rewritten.
    """
    if infiller.files.revision is None:
        files = find_model(spec.config.model, weights=True)
        _check("model", files.path, files.digest(), spec.model_digest)


def _check(what: str, folder: Path, digest: str, expected: str) -> None:
    if digest != expected:
        raise ModelError(
            f"the {what} in {folder} on {socket.gethostname()} is not the job's: its digest is "
            f"{digest}, the driver's was {expected}; the machine has another copy, or the folder "
            "was rewritten since the run started: put the job's files there, or use a model id or "
            "URL, whose version is fixed; a new model needs its own output.path"
        )
