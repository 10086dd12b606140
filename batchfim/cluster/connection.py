"""Connect to a run's Ray: an existing cluster, or a local Ray that ends with the process."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import ray

from batchfim.cluster.sigterm import own_sigterm
from batchfim.cluster.token import address_of, token_hint
from batchfim.config import Resources
from batchfim.errors import ConfigError, first_line

_KNOCK_S = 5.0


@contextlib.contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Connect to the job's Ray during a block.

    Raises:
        ConfigError: no Ray is available.
    """
    is_here = connect(resources)
    try:
        yield
    finally:
        if is_here:
            ray.shutdown()


def connect(resources: Resources) -> bool:
    """Connect to Ray; returns whether this call connected, so that the caller must disconnect.

    Raises:
        ConfigError: no Ray is available.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = address_of(resources)
    if address is None:
        # Otherwise Ray starts a Python process per core, while the engines start.
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    try:
        _knock(address)
        with own_sigterm():
            ray.init(
                address=address or "local",
                include_dashboard=False if address is None else None,
                logging_level=logging.ERROR,
                log_to_driver=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        nobody_there = getattr(error, "errno", None) is not None  # an error of the OS, not Ray's
        hint = "" if nobody_there else token_hint()
        where = f"at {address}" if address else "on this machine"
        raise ConfigError(f"no Ray available {where}: {first_line(error)}{hint}") from None
    return True


def _knock(address: str | None) -> None:
    """Fail within seconds if nothing listens at the address; Ray itself tries for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), _KNOCK_S).close()
