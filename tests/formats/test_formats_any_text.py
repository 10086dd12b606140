"""For any text and any split: no control id in a text piece, and the bytes come back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Piece
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
@given(text=TEXTS, data=st.data(), order=ORDERS)
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
    assert getattr(prompt, "token_ids", None) == joined
    assert len(joined) == len((prefix + suffix).encode()) + 3
