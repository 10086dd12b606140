"""A Ray of one's own answers only to those who know its token.

Ray's ports listen on every network of the machine, and whoever reaches them may run code.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from batchfim.config import Resources


def keep_ray_private(resources: Resources) -> None:
    """Make a token for a Ray that is to be started here, or use the one that is there for others.

    To be called before Ray is imported, as Ray reads it then: a process that imported Ray already
    keeps its own settings.
    """
    if "ray" in sys.modules or "RAY_AUTH_MODE" in os.environ:
        return
    if resources.ray_address or os.environ.get("RAY_ADDRESS"):
        use_ray_token()
        return
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def use_ray_token() -> None:
    """Use the token that is there for clusters, as Ray's own commands do; before Ray is imported.

    A Ray started by `ray start` asks for one where its user has one.
    """
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if "RAY_AUTH_TOKEN" in os.environ or file.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
