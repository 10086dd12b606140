"""A Ray of one's own answers only to those who know its token.

Ray's ports listen on every network of the machine, and whoever reaches them may run code.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from batchfim.config import Resources


def address_of(resources: Resources) -> str | None:
    """Of a cluster that is somebody's; None: a Ray of this run's own."""
    address = resources.ray_address or os.environ.get("RAY_ADDRESS")
    return None if address in ("", "local") else address


def keep_ray_private(resources: Resources) -> None:
    """Make a token for a Ray that is to be started here; to be called before Ray is imported.

    Ray reads it at its import, so a process that imported Ray already keeps its own settings; a
    cluster that is there already has its own, too.
    """
    if address_of(resources) or "ray" in sys.modules or "RAY_AUTH_MODE" in os.environ:
        return
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def use_ray_token() -> None:
    """Use the token that is there for clusters, as Ray's own commands do; before Ray is imported.

    A Ray started by `ray start` asks for one where its user has one.
    """
    if has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def has_token() -> bool:
    """Whether this user has one, which Ray itself makes where none was."""
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    return "RAY_AUTH_TOKEN" in os.environ or file.is_file()


def token_hint() -> str:
    """What may help where a cluster does not answer.

    Nothing is tried: workers are lost on a cluster that asks for none where one is sent.
    """
    if "RAY_AUTH_MODE" in os.environ or not has_token():
        return ""
    return "; if it asks for a token, as `ray start` has it do, set RAY_AUTH_MODE=token"
