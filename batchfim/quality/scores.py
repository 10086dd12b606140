"""Metrics of a middle: their names, and the scores of one text; pure functions."""

from __future__ import annotations

from functools import cache

from rapidfuzz import fuzz
from sacrebleu.metrics.chrf import CHRF

# In table order; `pass@k` follows, for each k.
LABELS = {
    "exact_match": "exact match",
    "first_line": "exact first line",
    "edit_similarity": "edit similarity",
    "chrf": "chrF",
    "valid_syntax": "valid syntax",
    "ended": "ended by itself",
    "by_rule": "ended by a stop rule",
    "reached_limit": "reached max_tokens",
    "degenerate": "degenerate",
}
# Inclusive upper bounds, in characters of the reference.
_LENGTHS = (0, 32, 128, 512, 2048)


def label(name: str) -> str:
    """Human-readable name of a metric."""
    return LABELS.get(name, name)


def score_text(middle: str, reference: str) -> dict[str, float]:
    """Scores of a middle against its reference, each from 0 to 1.

    exact_match      `is_exact`
    first_line       the first lines that are not blank are equal, ignoring surrounding blanks
                     (Qwen2.5-Coder's fim-bench, `humaneval_fim.py`)
    edit_similarity  1 - (insertions + deletions) / (sum of both lengths), ignoring surrounding
                     blanks: the `ratio` of CrossCodeEval and fim-bench (`eval_metric.py`)
    chrf             sentence-level chrF2 (Popović 2015), by sacrebleu; 1 for two blank texts
    """
    ours, theirs = middle.strip(), reference.strip()
    return {
        "exact_match": float(is_exact(middle, reference)),
        "first_line": float(_first_line(ours) == _first_line(theirs)),
        "edit_similarity": fuzz.ratio(ours, theirs) / 100,
        "chrf": _chrf().sentence_score(ours, [theirs]).score / 100 if theirs else float(not ours),
    }


def is_exact(middle: str, reference: str) -> bool:
    """Whether both are equal, ignoring trailing blanks, which depend on how records were cut."""
    return middle.rstrip() == reference.rstrip()


def score_stop(stop_rule: str | None, degenerate: str | None) -> dict[str, float]:
    """Scores for how a middle ended, in one of three ways, and for whether it is degenerate."""
    return {
        "ended": float(stop_rule == "eot"),
        "by_rule": float(stop_rule not in ("eot", "length", None)),
        "reached_limit": float(stop_rule == "length"),
        "degenerate": float(degenerate is not None),
    }


def length_bucket(reference: str) -> str:
    """Range that a reference's length in characters falls into, such as `129-512`."""
    low = 0
    for high in _LENGTHS:
        if len(reference) <= high:
            return f"{low}-{high}" if high else "0"
        low = high + 1
    return f"{low}+"


def bucket_order(bucket: str) -> int:
    """Sort key that orders buckets by length."""
    return int(bucket.rstrip("+").partition("-")[0])


def _first_line(stripped: str) -> str:
    return stripped.partition("\n")[0].rstrip()


@cache
def _chrf() -> CHRF:
    return CHRF()
