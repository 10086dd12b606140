"""`infill.order: auto`: each file's records in the order that shares more of their prompts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.errors import ConfigError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Prompt, TooLong
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.planning.choosing import ChoosingEncoder, file_groups
from batchfim.planning.sharing import tree_tokens
from batchfim.surroundings import NOWHERE, Surroundings
from tests.formats.tiny import STARCODER_CONTROLS, tiny_json

FORM = CATALOG["starcoder"]
TINY = TextTokenizer(tiny_json(), set(STARCODER_CONTROLS))
FILE = "".join(f"value_{number} = compute({number})\n" for number in range(20))
# All holes end at one place: their suffixes are equal, so suffix first shares nearly everything.
ONE_END = [(FILE[:cut], FILE[400:]) for cut in range(100, 400, 30)]
# Holes all over the file: their prefixes are starts of each other.
ALL_OVER = [(FILE[:cut], FILE[cut + 20 : cut + 60]) for cut in range(100, 500, 40)]
TEXTS = st.text(st.sampled_from("ab\n"), max_size=80)


def encoder(order: str, **more: int) -> Encoder:
    return Encoder(FORM, order, TINY, **more)  # type: ignore[arg-type]


def auto(**more: int) -> ChoosingEncoder:
    return ChoosingEncoder([encoder(order, **more) for order in FORM.alike])


def encode(
    records: list[tuple[str, str]], around: list[Surroundings] | None = None
) -> list[Prompt]:
    prefixes, suffixes = zip(*records, strict=True)
    prompts = auto().encode(prefixes, suffixes, around)
    return [prompt for prompt in prompts if isinstance(prompt, Prompt)]


def orders(records: list[tuple[str, str]], around: list[Surroundings] | None = None) -> list[str]:
    return [prompt.order for prompt in encode(records, around)]


def test_each_file_gets_the_order_that_shares_more() -> None:
    other = [("# another file\n" + prefix, suffix + "# end\n") for prefix, suffix in ALL_OVER]
    assert orders(ONE_END) == ["spm_v2"] * 10
    assert orders(ALL_OVER) == ["psm"] * 10
    assert orders(ONE_END + other) == ["spm_v2"] * 10 + ["psm"] * 10


def test_where_nothing_is_shared_it_is_the_first() -> None:
    assert orders([("a", "b"), ("c", "d")]) == ["psm", "psm"]


def test_records_of_one_path_are_one_file_wherever_they_stand() -> None:
    records = [record for pair in zip(ONE_END, ALL_OVER, strict=True) for record in pair]
    around = [Surroundings(path="a.py", repo="x"), Surroundings(path="a.py", repo="y")] * 10
    assert orders(records, around) == ["spm_v2", "psm"] * 10


def test_every_prompt_is_that_of_the_order_it_names() -> None:
    for record, prompt in zip(ONE_END + ALL_OVER, encode(ONE_END + ALL_OVER), strict=True):
        assert [prompt] == encoder(prompt.order).encode([record[0]], [record[1]])


@settings(deadline=None)
@given(records=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_no_file_costs_more_than_in_any_one_order(records: list[tuple[str, str]]) -> None:
    prefixes, suffixes = zip(*records, strict=True)
    chosen = encode(records)
    for rows in file_groups(prefixes, suffixes, [NOWHERE] * len(records)):
        cost = tree_tokens([chosen[row].token_ids for row in rows], 16)
        for order in FORM.alike:
            prompts = encoder(order).encode(*zip(*(records[row] for row in rows), strict=True))
            assert cost <= tree_tokens([p.token_ids for p in prompts if isinstance(p, Prompt)], 16)


def test_a_record_that_is_too_long_stays_so() -> None:
    chooser = auto(max_prompt_tokens=10, truncate=False)
    fits, long = chooser.encode(["abcd", "abcd" * 9], ["efg", "efg"])
    assert isinstance(fits, Prompt)
    assert isinstance(long, TooLong)


def test_a_family_with_one_known_order_is_refused_with_its_layouts() -> None:
    with pytest.raises(ConfigError, match=r"qwen2\.5-coder has no two orders .*psm, repo_psm"):
        CATALOG["qwen2.5-coder"].orders("auto")
    assert FORM.orders("auto") == ("psm", "spm_v2")
    assert FORM.orders(None) == ("psm",)
