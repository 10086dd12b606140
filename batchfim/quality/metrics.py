"""What is measured of a middle: names, and the scores of one text. Pure."""

from __future__ import annotations

from functools import cache

from rapidfuzz import fuzz
from sacrebleu.metrics.chrf import CHRF

# In the order of the table; `pass@k` comes after them, for each k.
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
# Characters of the reference, up to and including.
_LENGTHS = (0, 32, 128, 512, 2048)


def label(name: str) -> str:
    """What a person calls a metric."""
    return LABELS.get(name, name)


def score_text(middle: str, reference: str) -> dict[str, float]:
    """Scores of a middle against its reference, each from 0 to 1.

    exact_match      `is_exact`
    first_line       the first lines that are not blank are equal, blanks around them aside
                     (Qwen2.5-Coder's fim-bench, `humaneval_fim.py`)
    edit_similarity  1 - insertions and deletions / both lengths, blanks around aside: the `ratio`
                     of CrossCodeEval and fim-bench (`eval_metric.py`)
    chrf             chrF2 of the one sentence (Popović 2015), by sacrebleu; two blank texts are 1
    """
    ours, theirs = middle.strip(), reference.strip()
    return {
        "exact_match": float(is_exact(middle, reference)),
        "first_line": float(_first_line(ours) == _first_line(theirs)),
        "edit_similarity": fuzz.ratio(ours, theirs) / 100,
        "chrf": _chrf().sentence_score(ours, [theirs]).score / 100 if theirs else float(not ours),
    }


def is_exact(middle: str, reference: str) -> bool:
    """Equal, blanks at the end aside: where a line ends is the record's affair."""
    return middle.rstrip() == reference.rstrip()


def score_stop(stop_rule: str | None, degenerate: str | None) -> dict[str, float]:
    """How a middle ended, as the row's own columns say: one of three, and whether degenerate."""
    return {
        "ended": float(stop_rule == "eot"),
        "by_rule": float(stop_rule not in ("eot", "length", None)),
        "reached_limit": float(stop_rule == "length"),
        "degenerate": float(degenerate is not None),
    }


def length_bucket(reference: str) -> str:
    """The range of a reference's characters, `129-512` for instance."""
    low = 0
    for high in _LENGTHS:
        if len(reference) <= high:
            return f"{low}-{high}" if high else "0"
        low = high + 1
    return f"{low}+"


def bucket_order(bucket: str) -> int:
    """By length."""
    return int(bucket.rstrip("+").partition("-")[0])


def _first_line(stripped: str) -> str:
    return stripped.partition("\n")[0].rstrip()


@cache
def _chrf() -> CHRF:
    return CHRF()
