"""Keep Arrow from importing pandas."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


class _Absent(MetaPathFinder):
    """An import hook under which pandas is not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname, name=fullname)


def spare_pandas() -> None:
    """Make Arrow skip its check for pandas, in a process that has not imported pandas.

    When given its first Python list, Arrow imports pandas if it is installed, as it is with Ray
    Data: half a second and 43 MB, to see whether the list is one of pandas' types. It checks only
    once (Arrow 26, `pandas-shim.pxi`); `to_pandas` and `from_pandas` still import pandas. Call
    this before the process starts threads.
    """
    if "pandas" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)
