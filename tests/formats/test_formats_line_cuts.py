"""Texts encoded in parts, where they share lines: the same ids, for tokenizers of every kind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

import batchfim.formats.tokenizer as tokenizer_module
from batchfim.formats.line_cuts import (
    Encode,
    after_line_ends,
    before_line_ends,
    encode_in_parts,
    find_cut,
    neighbours_share,
)
from batchfim.formats.tokenizer import TextTokenizer

SOURCES = [
    path.read_text(encoding="utf8")
    for path in sorted(Path(tokenizer_module.__file__).parent.glob("*.py"))
]
# The pre-tokenizers' patterns, as in the `tokenizer.json` of Qwen/Qwen2.5-Coder-7B, of
# openai/gpt-oss-20b, of deepseek-ai/DeepSeek-V3-Base and of deepseek-ai/deepseek-coder-6.7b-base.
CL100K = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
]
O200K = [
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
]
DEEPSEEK_V3 = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",  # noqa: RUF001
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+"]
PIECES = (
    [*"x7é名_)(;'/#{}«²", "foo", "'s", "//", "    ", "  ", " ", "\t", "\r", "\u0301", "\u00a0"]
    + ["\u2028", "\x0b", "\x0c", "\ufeff", "\u200b", "def ", "\r\n", "\n\n"]
    + ["\n"] * 6
)


def byte_level(patterns: Sequence[str] | None, *added: AddedToken) -> TextTokenizer:
    """Trained on the package's source."""
    tokenizer = Tokenizer(models.BPE())
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns or []]
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, level])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=3000, initial_alphabet=alphabet, max_token_length=12, show_progress=False
    )
    tokenizer.train_from_iterator(SOURCES, trainer)
    tokenizer.add_tokens(list(added))
    return TextTokenizer(tokenizer.to_str())


def spaced() -> TextTokenizer:
    """As SentencePiece's that make newlines spaces, such as PLBART's."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    blanks = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    tokenizer.normalizer = normalizers.Sequence(blanks)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator(SOURCES, trainer)
    return TextTokenizer(tokenizer.to_str())


def hostile_texts() -> list[str]:
    rng = random.Random(3)
    made = ["".join(rng.choices(PIECES, k=rng.randrange(1, 40))) for _ in range(5000)]
    return [*made, *SOURCES, ""]


def the_cut(tokenizer: TextTokenizer) -> object:
    return tokenizer._cut


@pytest.mark.parametrize(
    ("patterns", "cut"),
    [
        (CL100K, after_line_ends),
        (O200K, after_line_ends),
        (DEEPSEEK_V3, after_line_ends),
        (DEEPSEEK_CODER, before_line_ends),
    ],
    ids=["cl100k", "o200k", "deepseek-v3", "deepseek-coder"],
)
def test_parts_change_no_id_of_known_patterns(patterns: list[str], cut: object) -> None:
    tokenizer = byte_level(patterns)
    assert the_cut(tokenizer) is cut
    check_parts(tokenizer)


@pytest.mark.parametrize(
    ("vocabulary", "cut"),
    [
        ("starcoder2", before_line_ends),
        ("codellama", after_line_ends),  # it has a token for ");\r"
        ("tiny", before_line_ends),
    ],
)
def test_parts_change_no_id_of_real_vocabularies(
    vocabulary: str, cut: object, request: pytest.FixtureRequest
) -> None:
    tokenizer: TextTokenizer = request.getfixturevalue(vocabulary)
    assert the_cut(tokenizer) is cut
    check_parts(tokenizer)


def check_parts(tokenizer: TextTokenizer) -> None:
    texts = hostile_texts()
    alone = [list(tokenizer.encode([text])[0]) for text in texts]
    together = encode_in_parts(texts, tokenizer._cut, tokenizer._encode_batch)
    assert together == alone


def test_tokens_that_join_lines_are_not_cut() -> None:
    """Without a pattern, merges go from line to line."""
    assert the_cut(byte_level(None)) is None


def test_newlines_that_become_spaces_are_not_cut() -> None:
    assert the_cut(spaced()) is None


def test_unknown_characters_that_become_one_with_a_newline_are_not_cut() -> None:
    model = models.BPE(vocab={"<unk>": 0, "x": 1}, merges=[], unk_token="<unk>", fuse_unk=True)
    assert the_cut(TextTokenizer(Tokenizer(model).to_str())) is None


def test_a_unigram_model_is_not_cut() -> None:
    """Which of two equal paths it takes, rounding decides, by what comes before."""
    pieces = [("<unk>", -9.0), ("\n", -1.0), ("-", -3.0), ("--", -1.1), ("---", -1.7), ("#", -2.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    assert the_cut(TextTokenizer(tokenizer.to_str())) is None


def test_lines_may_end_as_on_windows() -> None:
    assert before_line_ends("a;\r\n  b\r\n\r\nc \r\nd") == ["a;", "\r\n  b", "\r\n\r\nc \r\nd"]


def test_an_added_token_across_a_line_end_is_found() -> None:
    assert the_cut(byte_level(DEEPSEEK_CODER, AddedToken("end;\nbegin"))) is None


def test_an_added_token_that_takes_blanks_with_it_is_found() -> None:
    assert the_cut(byte_level(DEEPSEEK_CODER, AddedToken("end;", rstrip=True))) is None


def test_texts_that_share_lines_cost_each_line_once() -> None:
    asked: list[list[str]] = []

    def encode(texts: Sequence[str]) -> list[list[int]]:
        asked.append(list(texts))
        return [[len(text)] for text in texts]

    file = "a;\n  b;\nc"
    ids = encode_in_parts([file, "a;\n  b", file], before_line_ends, encode)
    assert asked == [["a;", "\n  b;", "\nc", "\n  b"]]
    assert ids == [[2, 5, 2], [2, 4], [2, 5, 2]]


def test_holes_of_one_file_are_told_from_those_of_many(tiny: TextTokenizer) -> None:
    files = [text for text in SOURCES if len(text) > 1000]
    holes = [files[0][: 300 + 50 * i] for i in range(10)]
    tails = [files[0][300 + 50 * i :] for i in range(10)]
    assert neighbours_share(holes)
    assert neighbours_share(tails)
    assert neighbours_share([text[:1000] for text in files[:3] for _ in range(2)])
    assert not neighbours_share([text[:1000] for text in files])
    assert not neighbours_share(["x = 1\n", "x = 1\ny = 2\n"] * 5)
    assert not neighbours_share(files[:1])
    asked: list[int] = []
    batch = tiny._encode_batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "_encode_batch", lambda texts: asked.append(len(texts)) or batch(texts))
        assert tiny.encode(holes) == batch(holes)
        assert tiny.encode(files) == batch(files)
    assert asked[0] > len(holes)
    assert asked[1] == len(files)


def test_cuts_lose_nothing() -> None:
    for text in hostile_texts():
        assert "".join(before_line_ends(text)) == "".join(after_line_ends(text)) == text


def test_a_token_that_ends_before_a_newline_is_found() -> None:
    """As SentencePiece's have them of code from Windows: what is tried out lacks most of them."""
    sizes: Encode = lambda texts: [[ord(c) for c in text] for text in texts]  # noqa: E731
    assert find_cut(["\n", "\n\n", "\r", "\r\n"], sizes) is before_line_ends
    assert find_cut(["\n", "}\r"], sizes) is after_line_ends
    assert find_cut(["\n", "}\r", "\nend"], sizes) is None


def test_a_cut_is_found_by_what_the_tokenizer_does() -> None:
    """One that begins each text with an id of its own cannot be cut."""
    assert find_cut([], lambda texts: [[1] for _ in texts]) is None
