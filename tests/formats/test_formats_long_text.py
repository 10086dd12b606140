"""Texts longer than a chunk: the same ids, packed; and texts that are none."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import pytest

import batchfim.formats.tokenizer as tokenizer_module
from batchfim.errors import InputError
from batchfim.formats.catalog import CATALOG
from batchfim.formats.chunking import batches, chunks
from batchfim.formats.encoder import Encoder, Prompt
from batchfim.formats.tokenizer import TextTokenizer
from tests.formats.test_formats_custom import OWN, mistral  # noqa: F401

SOURCE = Path(tokenizer_module.__file__).read_text(encoding="utf8")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_module, "_CHUNK_CHARACTERS", 3000)


def hostile_source() -> str:
    """Code with sentinels, blank lines, CRLF and wide characters between its lines."""
    rng = random.Random(7)
    extra = ["\r\n", "\n\n", "  \n", "# 名前 é 👩\u200d👩\n", "'<fim_middle>'\n", "\t\n", "x\r\n"]
    lines = SOURCE.splitlines(keepends=True)
    return "".join(line + (rng.choice(extra) if rng.random() < 0.3 else "") for line in lines)


@pytest.mark.parametrize("leading_space", [False, True])
@pytest.mark.parametrize("vocabulary", ["starcoder2", "codellama", "tiny"])
def test_chunks_change_no_id(
    vocabulary: str, leading_space: bool, request: pytest.FixtureRequest, small_chunks: None
) -> None:
    tokenizer: TextTokenizer = request.getfixturevalue(vocabulary)
    text = hostile_source()
    (chunked,) = tokenizer.encode([text], leading_space=leading_space)
    with pytest.MonkeyPatch.context() as whole:
        whole.setattr(tokenizer_module, "_CHUNK_CHARACTERS", 10**9)
        (ids,) = tokenizer.encode([text], leading_space=leading_space)
    assert isinstance(chunked, array)
    assert isinstance(ids, list)
    assert chunked.tolist() == ids


@pytest.mark.parametrize(
    "lines", ["f(a)\n\ng\n\n", "f(a);\r\n  x\r\n", "    \nb\n", "a1\n\t\n()\n", "x\n\r\ny()\n\n"]
)
@pytest.mark.parametrize("vocabulary", ["starcoder2", "codellama"])
def test_blank_lines_and_carriage_returns_at_a_cut_change_no_id(
    vocabulary: str, lines: str, request: pytest.FixtureRequest, small_chunks: None
) -> None:
    tokenizer: TextTokenizer = request.getfixturevalue(vocabulary)
    text = lines * 2000
    (chunked,) = tokenizer.encode([text])
    with pytest.MonkeyPatch.context() as whole:
        whole.setattr(tokenizer_module, "_CHUNK_CHARACTERS", 10**9)
        (ids,) = tokenizer.encode([text])
    assert list(chunked) == ids


def test_a_long_line_is_cut_anywhere_and_loses_nothing(
    starcoder2: TextTokenizer, small_chunks: None
) -> None:
    text = "x = '" + "名a" * 2000 + "'"
    (ids,) = starcoder2.encode([text])
    assert starcoder2.decode(ids) == text


def test_lines_that_begin_with_blanks_are_not_cut_before() -> None:
    line = "    f(a);\n"
    text = line * 20_000 + "    a\n    b()\n" + line * 10_000
    first, second = chunks(text, 1 << 18)
    assert first == line * 20_000 + "    a"
    assert second == "\n    b()\n" + line * 10_000


@pytest.mark.parametrize("line", ['{"a": 1}\n', "(f x)\n", '"a","b"\n', "- item (a)\n"])
def test_lines_that_begin_with_punctuation_are_cut_between(line: str) -> None:
    assert all(chunk.endswith("\n") for chunk in chunks(line * 20_000, 1 << 16))


def test_no_line_is_cut_off_before_a_slash() -> None:
    """Which o200k's pattern joins with the newline and what is before it."""
    first, second = chunks("f();\n" * 100 + "//\n//\n", 503)
    assert (first, second) == ("f();\n" * 99, "f();\n//\n//\n")


def test_long_and_short_records_together(tiny: TextTokenizer, small_chunks: None) -> None:
    encoder = Encoder(CATALOG["starcoder"], "psm", tiny, max_prompt_tokens=53)
    texts = ["short", "line\n" * 1000, ""]
    prompts = encoder.encode(texts, ["s"] * 3)
    assert all(isinstance(prompt, Prompt) for prompt in prompts)
    assert [prompt.truncated_prefix_tokens for prompt in prompts if isinstance(prompt, Prompt)] == [
        0,
        5000 - 49,
        0,
    ]
    assert tiny.decode(prompts[1].token_ids[1:-3]) == ("line\n" * 10)[-49:]  # type: ignore[union-attr]


def test_a_record_of_50_mb(tiny: TextTokenizer) -> None:
    """Its tokens are all counted, and what is handed on is the context's worth."""
    encoder = Encoder(CATALOG["starcoder"], "psm", tiny, max_prompt_tokens=1003)
    prefix = "def f(x):\n    return x\n" * (50_000_000 // 23)
    (prompt,) = encoder.encode([prefix], ["\n"])
    assert isinstance(prompt, Prompt)
    assert len(prompt.token_ids) == 1003
    assert prompt.truncated_prefix_tokens == len(prefix) - 999
    assert prefix.endswith(tiny.decode(prompt.token_ids[1:1000]))


@pytest.mark.parametrize("text", ["\ud83d", "ok \udc80", "\udfff\ud800"])
def test_half_a_surrogate_pair_is_named(tiny: TextTokenizer, text: str) -> None:
    with pytest.raises(InputError, match=r"half of a surrogate pair, '\\ud"):
        tiny.encode(["fine", text])


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "\x1b[0m", "\r\n\r", "שלום\u202e", "\ufeff", "\u2028", "\x7f\x80"]
)
@pytest.mark.parametrize("vocabulary", ["starcoder2", "codellama", "tiny"])
def test_odd_characters_are_text(
    vocabulary: str, text: str, request: pytest.FixtureRequest
) -> None:
    tokenizer: TextTokenizer = request.getfixturevalue(vocabulary)
    (ids,) = tokenizer.encode([text])
    assert tokenizer.decode(ids) == text


def test_texts_are_handed_over_so_much_at_a_time() -> None:
    assert [*batches(["x" * 200_000] * 5, [""] * 5)] == [(0, 2), (2, 4), (4, 5)]
