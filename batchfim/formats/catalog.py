"""The families, as data. Ids are never written here: sentinels are looked up by their text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from batchfim.formats.format import Format


def _psm_and_spm_v2(pre: str, suf: str, mid: str) -> dict[str, tuple[str, ...]]:
    """BigCode's two training layouts.

    Source: bigcode-project/Megatron-LM, `megatron/data/gpt_dataset.py`, `permute()`
    ("SPM (variant 2 from FIM paper)"), arXiv 2207.14255.
    """
    return {
        "psm": (pre, "{prefix}", suf, "{suffix}", mid),
        "spm_v2": (pre, suf, "{suffix}", mid, "{prefix}"),
    }


_FAMILIES = (
    Format(
        family="santacoder",
        layouts=_psm_and_spm_v2("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
        order="psm",
        stops=("<|endoftext|>",),
        context_tokens=2048,
        model_types=("gpt_bigcode", "gpt2"),
        source="https://huggingface.co/bigcode/santacoder/discussions/10",
    ),
    Format(
        family="starcoder",
        layouts=_psm_and_spm_v2("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        order="psm",
        stops=("<|endoftext|>",),
        context_tokens=8192,
        model_types=("gpt_bigcode",),
        source="https://github.com/bigcode-project/starcoder",
    ),
    Format(
        family="starcoder2",
        layouts=_psm_and_spm_v2("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        order="psm",
        stops=("<|endoftext|>", "<file_sep>"),
        context_tokens=16384,
        model_types=("starcoder2",),
        source="https://github.com/bigcode-project/starcoder2/issues/10",
    ),
)

CATALOG: Mapping[str, Format] = MappingProxyType({form.family: form for form in _FAMILIES})
