"""The baseline for any model: left-to-right completion of the prefix alone."""

from __future__ import annotations

from collections.abc import Sequence

from batchfim.errors import ModelError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.format import PREFIX_ONLY, PREFIX_SLOT, TOKENIZERS_OWN, Format

NO_FAMILY = "none"


def prefix_only_format(stops: Sequence[str], architectures: Sequence[str] = ()) -> Format:
    """A format without sentinels: the tokenizer's own leading tokens, then the prefix.

    Args:
        stops: the model's own end tokens.
        architectures: those of its config.json, which determine the engine.

    Raises:
        ModelError: the model defines no end token.
    """
    if not stops:
        raise ModelError(
            "infill.order prefix_only: neither the model's config nor its tokenizer names an end "
            "token; give infill.format with a layout and stops of your own"
        )
    return Format(
        family=NO_FAMILY,
        layouts={PREFIX_ONLY: (PREFIX_SLOT,)},
        order=PREFIX_ONLY,
        bos=TOKENIZERS_OWN,
        stops=tuple(stops),
        leading_space=("prefix",),
        engine="transformers" if set(architectures) & _not_for_vllm() else "vllm",
        source="no infilling: the model's own end tokens",
    )


def _not_for_vllm() -> set[str]:
    return {
        architecture
        for family in CATALOG.values()
        for architecture in family.architectures
        if family.engine_for((architecture,)) == "transformers"
    }
