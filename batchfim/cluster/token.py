"""Protect a local Ray with a token.

Ray's ports listen on every network interface of the machine, and anyone who reaches them can run
code.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from batchfim.config import Resources


def address_of(resources: Resources) -> str | None:
    """Address of an existing cluster; None if the run starts its own Ray."""
    address = resources.ray_address or os.environ.get("RAY_ADDRESS")
    return None if address in ("", "local") else address


def keep_ray_private(resources: Resources) -> None:
    """Set a token for a Ray that will be started here; call this before importing Ray.

    Ray reads the token when it is imported, so a process that has imported it keeps its own
    settings; so does an existing cluster.
    """
    if address_of(resources) or "ray" in sys.modules or "RAY_AUTH_MODE" in os.environ:
        return
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def use_ray_token() -> None:
    """Use the user's token for clusters, as Ray's own commands do; call before importing Ray.

    A Ray started by `ray start` requires a token if its user has one.
    """
    if has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def has_token() -> bool:
    """Whether this user has a token; Ray itself creates one if there is none."""
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    return "RAY_AUTH_TOKEN" in os.environ or file.is_file()


def token_hint() -> str:
    """A hint for a cluster that does not answer, perhaps for lack of a token.

    The token is not tried, because workers are lost if one is sent to a cluster that requires none.
    """
    if "RAY_AUTH_MODE" in os.environ or not has_token():
        return ""
    return "; if it requires a token, as `ray start` sets it up, set RAY_AUTH_MODE=token"
