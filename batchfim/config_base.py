"""What every section of the config is made of."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from batchfim.records import is_unicode

_USERINFO = re.compile("://[^/@]*:[^/@]*@")  # `abfss://container@account` holds none
_SIGNED = re.compile(
    r"://.*[?&][^=&]*(sig|signature|token|secret|password|credential|key)=", re.IGNORECASE
)


def _no_credentials(path: str) -> str:
    if not is_unicode(path) or "\0" in path:
        raise ValueError("not a UTF-8 name without NUL")
    if _USERINFO.search(path) or _SIGNED.search(path):
        raise ValueError(
            "credentials in a URL would end up in the ledger; give them by the environment"
        )
    return path


def as_list(value: Any) -> Any:
    """One text where a list may be given."""
    return [value] if isinstance(value, str) else value


Place = Annotated[str, Field(min_length=1), AfterValidator(_no_credentials)]


class Section(BaseModel):
    """A frozen part of the config in which an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
