"""The Ray of a run: somebody's cluster, or one of this machine that ends with the process."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import ray

from batchfim.config import Resources
from batchfim.errors import ConfigError, first_line
from batchfim.workers.ray_token import address_of, token_hint
from batchfim.workers.sigterm import own_sigterm

_KNOCK_S = 5.0


@contextlib.contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Be on the job's Ray for a while.

    Raises:
        ConfigError: there is none.
    """
    is_here = connect(resources)
    try:
        yield
    finally:
        if is_here:
            ray.shutdown()


def connect(resources: Resources) -> bool:
    """Connect to Ray; whether that was done here, and is to be undone here.

    Raises:
        ConfigError: no Ray answers.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = address_of(resources)
    if address is None:
        # Else Ray starts a Python process for each core, beside the engines that start.
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
        nobody_there = getattr(error, "errno", None) is not None  # the system's error, not Ray's
        hint = "" if nobody_there else token_hint()
        where = address or "this machine"
        raise ConfigError(f"no Ray at {where}: {first_line(error)}{hint}") from None
    return True


def _knock(address: str | None) -> None:
    """Fail in seconds where nobody listens: Ray itself tries for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), _KNOCK_S).close()
