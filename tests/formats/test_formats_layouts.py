"""The example at the top of `formats.layouts` is true."""

from __future__ import annotations

from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder
from batchfim.formats.format import Format, Text
from batchfim.formats.layouts import (
    Blank,
    FixedText,
    Token,
    compile_layout,
    look_up,
    text_spans,
    with_deferred_text,
)
from batchfim.surroundings import ContextFile, Surroundings
from tests.formats.tiny import tiny_for

LAYOUT = ("[SUFFIX]", "{suffix}", "[PREFIX]", "{context}", Text(text="# main"), "{prefix}")
FORM = Format(
    layouts={"own": LAYOUT},
    order="own",
    stops=("</s>",),
    leading_space=("suffix", "prefix"),
    context_file=(Text(text="{path} "),),
)
TOKENIZER = tiny_for(CATALOG["codestral"])
(IDS,) = TOKENIZER.encode(["# main"])
PARTS = (
    Token("[SUFFIX]", TOKENIZER.token_id("[SUFFIX]")),
    Blank("suffix"),
    Token("[PREFIX]", TOKENIZER.token_id("[PREFIX]")),
    Blank("context"),
    FixedText("# main", tuple(IDS)),
    Blank("prefix"),
)


def test_its_parts_and_spans() -> None:
    ids = look_up(FORM, "own", TOKENIZER)
    assert compile_layout(LAYOUT, FORM, ids, TOKENIZER, masks=None) == PARTS
    spans = text_spans(PARTS, FORM.leading_space)
    assert spans == {"suffix": range(1, 2), "prefix": range(3, 6)}
    deferred = (*PARTS[:4], Text(text="# main"), PARTS[5])
    assert with_deferred_text(PARTS, spans) == deferred


def test_what_the_encoder_makes_of_it() -> None:
    encoder = Encoder(FORM, None, TOKENIZER)
    assert encoder._spaced == {"suffix"}
    assert encoder._joined == [range(3, 6)]
    assert encoder._places == {"suffix": 1, "context": 3, "prefix": 5}


def test_its_spaces() -> None:
    encoder, helper = Encoder(FORM, None, TOKENIZER), ContextFile("a.py", "")
    for files, text in (((), " s # mainp"), ((helper, helper), " s a.py a.py # mainp")):
        pieces = encoder.pieces("p", "s", Surroundings(context=files))
        assert TOKENIZER.decode([i for piece in pieces for i in piece.token_ids]) == text
