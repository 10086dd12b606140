"""Base class and shared types of the config's sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

_USERINFO = re.compile("://[^/@]*:[^/@]*@")  # `abfss://container@account` holds none
_SIGNED = re.compile(
    r"://.*[?&][^=&]*(sig|signature|token|secret|password|credential|key)=", re.IGNORECASE
)


def is_unicode(text: str) -> bool:
    """Whether a Python string is valid text, without lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_credentials(path: str) -> str:
    if not is_unicode(path) or "\0" in path:
        raise ValueError("expected valid UTF-8 without NUL characters")
    if _USERINFO.search(path) or _SIGNED.search(path):
        raise ValueError(
            "credentials in a URL would end up in the ledger; provide them through the environment"
        )
    return path


def as_list(value: Any) -> Any:
    """A list of the one given string; anything else unchanged."""
    return [value] if isinstance(value, str) else value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The type and, recursively, its arguments, such as `int` and `None` of `int | None`."""
    arguments = get_args(annotation)
    yield annotation
    for argument in arguments:
        yield from _kinds(argument)


Place = Annotated[str, Field(min_length=1), AfterValidator(_no_credentials)]


class Section(BaseModel):
    """A frozen section of the config; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Reject booleans such as YAML's `yes` and `no`, which pydantic would accept as 1 and 0."""
        if isinstance(value, bool) and info.field_name:
            kinds = set(_kinds(cls.model_fields[info.field_name].annotation))
            if kinds & {int, float} and bool not in kinds:
                raise ValueError(f"expected a number, got {str(value).lower()}")
        return value
