"""Choose the standard-library modules that the demo model was never trained on.

The training scripts leave these modules out and the demo takes its records only from them, so the
middles it asks for were never in the training data. The choice depends only on a hash of the
module's name, so it is the same for every Python version and needs no list.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePath

HELD_OUT_ONE_IN = 10
"""One module in this many is held out, on average."""

_SALT = "batchfim-demo:"


def module_name(path: PurePath | str) -> str:
    """Name of the top-level module or package that `path` belongs to.

    `path` is relative to the standard library's folder (`sysconfig.get_paths()["stdlib"]`).
    A test belongs to the module it tests (`test/test_csv.py` to `csv`) and underscores are ignored
    (`_weakref.py` is `weakref`), so that a held-out module's tests and private part are held out
    with it.
    """
    relative = PurePath(path)
    if relative.is_absolute() or not relative.parts:
        raise ValueError(f"not a path relative to the standard library: {str(path)!r}")
    parts = relative.parts
    top = parts[1] if parts[0] == "test" and len(parts) > 1 else parts[0]
    return top.removesuffix(".py").removeprefix("test_").strip("_")


def is_held_out(path: PurePath | str) -> bool:
    """Whether the module of `path` (relative to the standard library) is kept for evaluation."""
    digest = hashlib.sha256((_SALT + module_name(path)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_ONE_IN == 0
