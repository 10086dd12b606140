"""Catalog entries: a family's facts besides its format, and the models outside all families."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from batchfim.formats.format import Format

Evidence = Literal["real vocabulary", "library", "documentation", "unverified"]
FactGroup = Literal["sentinels", "layouts", "bos", "stops", "context", "architecture"]


class _Named(BaseModel):
    """Models identified by their names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = Field(min_length=1, description="Regular expressions, lower case.")

    @field_validator("names")
    @classmethod
    def _compiles(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            re.compile(name)
        return names

    def match(self, names: tuple[str, ...]) -> str | None:
        """The first of a model's names that matches, if any does."""
        return next((name for name in names if _found(self.names, name)), None)


class Variant(_Named):
    """Models of a family that are refused, or used with a warning."""

    reason: str


class Outsider(_Named):
    """Models without an infilling format; `closed` ones are not available to run at all."""

    title: str
    reason: str
    closed: bool = False
    source: str
    evidence: Evidence = "documentation"


class Family(Format):
    """A format, the models that use it, and the evidence for these facts."""

    model_ids: tuple[str, ...] = Field(
        min_length=1, description="Regular expressions, searched in a lower-case model name."
    )
    refused: tuple[Variant, ...] = ()
    warned: tuple[Variant, ...] = ()
    architectures: tuple[str, ...] = ()
    vllm_architectures: tuple[str, ...] = Field(
        (), description="For a family run by Transformers, the architectures that vLLM runs."
    )
    transformers_architectures: tuple[str, ...] = Field(
        (), description="For a family run by vLLM, the architectures that vLLM does not run."
    )
    tokenizer: Literal["byte-level", "sentencepiece", "unigram"] = "byte-level"
    special: bool = Field(True, description="Whether the sentinels are flagged special.")
    normalizes: str | None = Field(
        None, description="How the tokenizer normalizes any text before encoding it."
    )
    evidence: dict[FactGroup, Evidence]
    notes: str = ""

    @property
    def decoding(self) -> str:
        """How a middle's tokens become text."""
        cut = "cut at the first stop, control tokens left out, "
        if self.tokenizer == "byte-level":
            return cut + "bytes joined"
        return cut + "bytes joined, a leading space kept"

    def match(self, names: tuple[str, ...]) -> str | None:
        """The first of a model's names that belongs to the family, if any does."""
        return next((name for name in names if _found(self.model_ids, name)), None)

    def engine_for(self, architectures: tuple[str, ...]) -> Literal["vllm", "transformers"]:
        """The engine for a model with these `architectures` in its config.json."""
        if set(architectures) & set(self.vllm_architectures):
            return "vllm"
        if set(architectures) & set(self.transformers_architectures):
            return "transformers"
        return self.engine


def _found(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)
