"""Arrow without its look for pandas."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


class _Absent(MetaPathFinder):
    """Where there is no pandas."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname, name=fullname)


def spare_pandas() -> None:
    """Have Arrow take it that lists are not of pandas, in a process that has not imported it.

    Given its first Python list, Arrow imports pandas where it is installed, as it is for Ray Data:
    half a second and 43 MB, to see whether the list is one of its types. It looks once (Arrow 26,
    `pandas-shim.pxi`); `to_pandas` and `from_pandas` still import it. To be called before a
    process has threads.
    """
    if "pandas" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)
