"""The job's model on a worker's machine: the very one that the driver saw.

A model id and a URL have their version fixed. A folder has not: another machine may have another
copy, and training may write it anew while the job runs.
"""

from __future__ import annotations

import socket
from pathlib import Path

from batchfim.errors import ModelError
from batchfim.infiller import Infiller, open_infiller
from batchfim.storage.model_files import find_model
from batchfim.workers.pool import WorkerSpec


def open_job_model(spec: WorkerSpec) -> Infiller:
    """Open the model, its weights and its adapters.

    Raises:
        ModelError: they cannot be had here, or are not the job's.
        others: as `open_infiller`.
    """
    infiller = open_infiller(spec.config, weights=True)
    _check("model", infiller.files.path, infiller.files.digest(), spec.model_digest)
    for adapter in infiller.adapters.values():
        expected = spec.adapter_digests.get(adapter.place, "unknown")
        _check("LoRA adapter", adapter.path, adapter.digest, expected)
    return infiller


def check_loaded(spec: WorkerSpec, infiller: Infiller) -> None:
    """To be called once an engine is up: the folder may have been written while it was read.

    Raises:
        ModelError: it was.
    """
    if infiller.files.revision is None:
        files = find_model(spec.config.model, weights=True)
        _check("model", files.path, files.digest(), spec.model_digest)


def _check(what: str, folder: Path, digest: str, expected: str) -> None:
    if digest != expected:
        raise ModelError(
            f"the {what} in {folder} on {socket.gethostname()} is not the job's: its digest is "
            f"{digest}, the driver's was {expected}; that machine has another copy, or the folder "
            "was written since the run started: put the job's files there, or name a model id or a "
            "URL, whose version is fixed; a new model needs an output.path of its own"
        )
