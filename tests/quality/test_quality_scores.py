"""Scores of single middles."""

from __future__ import annotations

import pytest

from batchfim.quality.scores import bucket_order, length_bucket, score_stop, score_text


def test_equal_texts_score_one_in_everything() -> None:
    assert set(score_text("return x\n", "return x\n").values()) == {1.0}
    assert set(score_text("", "\n").values()) == {1.0}


def test_nothing_in_common_scores_zero_in_everything() -> None:
    assert set(score_text("abc", "xyz").values()) == {0.0}
    assert set(score_text("", "xyz").values()) == {0.0}
    assert set(score_text("abc", "").values()) == {0.0}


@pytest.mark.parametrize(
    ("middle", "reference", "exact", "first"),
    [
        ("x = 1", "x = 1\n", 1, 1),
        ("  x = 1", "x = 1", 0, 1),
        ("\n  x = 1\n  y = 2", "x = 1", 0, 1),
        ("x = 1\ny = 2", "x = 1\ny = 3", 0, 1),
        ("x = 2", "x = 1", 0, 0),
    ],
)
def test_blanks_at_the_end_do_not_count_and_indentation_does(
    middle: str, reference: str, exact: int, first: int
) -> None:
    scores = score_text(middle, reference)
    assert (scores["exact_match"], scores["first_line"]) == (exact, first)


def test_edit_similarity_is_the_share_of_characters_kept() -> None:
    # 3 of 4 and 3 of 3 characters stay: 6 of 7
    assert score_text("abcd", "abc")["edit_similarity"] == pytest.approx(6 / 7)


def test_chrf_lies_between() -> None:
    assert 0.2 < score_text("return a + b", "return a - b")["chrf"] < 1


@pytest.mark.parametrize(
    ("stop_rule", "degenerate", "wanted"),
    [
        ("eot", None, [1, 0, 0, 0]),
        ("block", None, [0, 1, 0, 0]),
        ("length", "pad_loop", [0, 0, 1, 1]),
    ],
)
def test_a_middle_ends_in_one_way(
    stop_rule: str, degenerate: str | None, wanted: list[int]
) -> None:
    assert list(score_stop(stop_rule, degenerate).values()) == wanted


def test_length_buckets_join_without_gaps_and_are_in_order() -> None:
    buckets = list(dict.fromkeys(length_bucket("x" * length) for length in range(3000)))
    assert buckets == ["0", "1-32", "33-128", "129-512", "513-2048", "2049+"]
    assert sorted(buckets, key=bucket_order) == buckets
