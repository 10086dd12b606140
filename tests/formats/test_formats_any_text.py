"""For any text and any split: no control id in a text piece, and the bytes come back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Piece, Prompt
from batchfim.formats.tokenizer import TextTokenizer

PIECES = [
    "<fim_prefix>",
    "<fim_middle>",
    "<|endoftext|>",
    "<file_sep>",
    "<fim_",
    "suffix>",
    "<",
    ">",
    " ",
    "    ",
    "\r\n",
    "\n\n",
    "\t",
    "def f",
    "é",
    "e\u0301",
    "名前",
    "👩\u200d👩",
    "\x00",
    "\ufffd",
    "\ufeff",
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
# StarCoder2's vocabulary has no token for byte 0xF1, with which the planes 4 to 7 begin; no
# character is assigned there.
ASSIGNED = TEXTS.filter(lambda text: not any("\U00040000" <= c < "\U00080000" for c in text))
ORDERS = st.sampled_from(["psm", "spm_v2"])


def check(pieces: list[Piece], prefix: str, suffix: str, tokenizer: TextTokenizer) -> None:
    sides = {piece.kind: piece for piece in pieces if piece.kind != "sentinel"}
    for kind, text in (("prefix", prefix), ("suffix", suffix)):
        piece = sides[kind]
        assert piece.text == text
        assert tokenizer.control_ids.isdisjoint(piece.token_ids)
        assert tokenizer.decode(piece.token_ids).encode() == text.encode()
    assert len(pieces) == 5


@settings(deadline=None, max_examples=200)
@given(text=ASSIGNED, data=st.data(), order=ORDERS)
def test_on_starcoder2(
    starcoder2: TextTokenizer, text: str, data: st.DataObject, order: str
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    prefix, suffix = text[:cut], text[cut:]
    pieces = Encoder(CATALOG["starcoder2"], order, starcoder2).pieces(prefix, suffix)
    check(pieces, prefix, suffix, starcoder2)


@settings(deadline=None, max_examples=100)
@given(prefix=TEXTS, suffix=TEXTS, order=ORDERS)
def test_on_a_byte_level_vocabulary(
    tiny: TextTokenizer, prefix: str, suffix: str, order: str
) -> None:
    encoder = Encoder(CATALOG["starcoder"], order, tiny)
    check(encoder.pieces(prefix, suffix), prefix, suffix, tiny)
    (prompt,) = encoder.encode([prefix], [suffix])
    joined = [i for piece in encoder.pieces(prefix, suffix) for i in piece.token_ids]
    assert isinstance(prompt, Prompt)
    assert prompt.token_ids.tolist() == joined
    assert len(joined) == len((prefix + suffix).encode()) + 3


@settings(deadline=None, max_examples=8)
@given(
    sizes=st.lists(
        st.tuples(*[st.sampled_from([0, 1, 1000, 131_072, 262_143, 300_000])] * 2), max_size=6
    )
)
def test_records_of_any_size_are_encoded_one_like_the_other(
    tiny: TextTokenizer, sizes: list[tuple[int, int]]
) -> None:
    """The tokenizer gets a quarter million characters at a time; no record may fall between."""
    encoder = Encoder(CATALOG["starcoder"], "psm", tiny, max_prompt_tokens=40)
    prefixes = [f"{i}" + "p" * size for i, (size, _) in enumerate(sizes)]
    suffixes = ["s" * size for _, size in sizes]
    singles = [encoder.encode([p], [s])[0] for p, s in zip(prefixes, suffixes, strict=True)]
    assert encoder.encode(prefixes, suffixes) == singles
