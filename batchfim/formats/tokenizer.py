"""The model's tokenizer, changed so that no text can become a control token.

The original looks up control tokens; patched copies (`patching`) encode text; ids are decoded as
bytes (`token_bytes`).
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

from tokenizers import Tokenizer

from batchfim.errors import InputError, ModelError
from batchfim.formats import patching
from batchfim.formats.chunking import chunks
from batchfim.formats.line_cuts import Cut, encode_in_parts, find_cut, neighbours_share
from batchfim.formats.normalizing import find_changes
from batchfim.formats.token_bytes import (
    BYTE_LINE_ENDS,
    TokenBytes,
    ends_inside_character,
    starts_inside_character,
)

# Longer texts are encoded in chunks, since 50 MB of text at once would take gigabytes.
_CHUNK_CHARACTERS = 1 << 18
_CHUNKS_AT_ONCE = 4
Ids = Sequence[int]


class TextTokenizer:
    """Encodes and decodes text for one model; immutable and safe to share between threads."""

    def __init__(
        self,
        tokenizer_json: str,
        control_texts: Iterable[str] = (),
        *,
        own_prefix: Iterable[str] = (),
    ) -> None:
        """Build from the text of a `tokenizer.json`.

        Args:
            tokenizer_json: the file's text.
            control_texts: sentinels and stops of the format, which are control tokens regardless
                of their flags.
            own_prefix: tokens that this tokenizer puts before a text, if the file does not say so.

        Raises:
            ModelError: the text is not a tokenizer, or a control token cannot be kept out of text.
        """
        wanted = set(control_texts)
        self._original, tree = _load(tokenizer_json)
        added = tree.get("added_tokens") or []
        found = {self.token_id(text) for text in wanted if text in self}
        self.control_ids: frozenset[int] = frozenset(
            {token["id"] for token in added if patching.is_control(token, wanted)} | found
        )
        self._hidden_ids = found | {
            token["id"] for token in added if patching.is_hidden(token, wanted)
        }
        text_tree = patching.for_text(tree, wanted)
        bare_tree = patching.without_leading_space(text_tree)
        self.adds_space = bare_tree != text_tree
        self._plain = _text_encoder(bare_tree)
        self._changes = find_changes(bare_tree, self._plain)
        self._unknown = _unknown_id(tree, self._original)
        self._bytes = TokenBytes(tree, self._original)
        self._own_prefix = tuple(own_prefix)
        self._check_text_is_text(wanted)
        # Only BPE: a unigram model's choice at one position depends on all text before it.
        is_local = tree["model"].get("type") == "BPE" and not patching.takes_blanks(text_tree)
        self._cut = self._find_cut() if is_local else None

    @property
    def vocab_size(self) -> int:
        """Number of entries, added tokens included."""
        return int(self._original.get_vocab_size(with_added_tokens=True))

    def __contains__(self, text: object) -> bool:
        """Whether the vocabulary holds this token, control or not."""
        return isinstance(text, str) and self._original.token_to_id(text) is not None

    def token_id(self, text: str) -> int:
        """Id of a token.

        Raises:
            ModelError: the tokenizer has no such token.
        """
        token_id = self._original.token_to_id(text)
        if token_id is None:
            raise ModelError(f"the tokenizer has no token {text!r}")
        return int(token_id)

    def own_prefix(self) -> tuple[str, ...]:
        """Tokens that this tokenizer itself puts before a text, such as BOS."""
        encoding = self._original.encode("a", add_special_tokens=True)
        leading = [*encoding.special_tokens_mask, 0].index(0)
        return tuple(encoding.tokens[:leading]) or self._own_prefix

    def encode(self, texts: Sequence[str], *, leading_space: bool = False) -> list[Ids]:
        """Ids of each text, without control tokens and with nothing added before or after.

        A text of more than a quarter million characters is encoded in chunks of lines and returned
        packed, with four bytes per id: 50 MB of code take 80 MB more and half a minute on two cores
        (`benchmarks/encoding.py`). No id differs, unless a quarter million characters have no line
        end to cut at (`chunking`); then two tokens may differ at such a cut.

        Args:
            texts: the texts to encode.
            leading_space: add the space that SentencePiece tokenizers put before a text, even to a
                text that begins with a space; without effect if the tokenizer adds none.

        Raises:
            InputError: a text contains half of a surrogate pair.
        """
        if leading_space and self.adds_space:
            texts = [" " + text if text else "" for text in texts]
        try:
            return list(self._encode(texts))
        except (TypeError, UnicodeEncodeError):
            raise _surrogate_error(texts) from None

    def changed(self, text: str, token_ids: Ids) -> bool:
        """Whether a text's ids stand for another text, normalized or with unknown characters.

        The space that SentencePiece tokenizers put before a text does not count as a change.
        """
        unknown = self._unknown is not None and self._unknown in token_ids
        return unknown or (self._changes is not None and self._changes(text))

    def decode(self, token_ids: Iterable[int]) -> str:
        """Text of the ids, without special tokens, sentinels, stops or an incomplete character."""
        return self._bytes.text(i for i in token_ids if i not in self._hidden_ids)

    def cut_start(self, token_ids: Ids, keep: int) -> Ids:
        """The last `keep` ids, minus those that begin inside a character (at most 3)."""
        first = len(token_ids) - keep
        for start in range(first, min(first + 4, len(token_ids) + 1)):
            if not starts_inside_character(self._bytes.join(token_ids[start : start + 4])):
                return token_ids[start:]
        return token_ids[first:]

    def cut_end(self, token_ids: Ids, keep: int) -> Ids:
        """The first `keep` ids, minus those that end inside a character (at most 3)."""
        for end in range(keep, max(keep - 4, -1), -1):
            if not ends_inside_character(self._bytes.join(token_ids[max(end - 4, 0) : end])):
                return token_ids[:end]
        return token_ids[:keep]

    def _encode(self, texts: Sequence[str]) -> Sequence[Ids]:
        if any(len(text) > _CHUNK_CHARACTERS for text in texts):
            return [self._encode_long(text) for text in texts]
        if self._cut is None or not neighbours_share(texts):
            return self._encode_batch(texts)
        return encode_in_parts(texts, self._cut, self._encode_batch)

    def _encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._plain.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _encode_long(self, text: str) -> Ids:
        if len(text) <= _CHUNK_CHARACTERS:
            return self._encode_batch([text])[0]
        ids, pieces = array("I"), chunks(text, _CHUNK_CHARACTERS)
        while batch := list(islice(pieces, _CHUNKS_AT_ONCE)):
            for encoded in self._encode_batch(batch):
                ids.extend(encoded)
        return ids

    def _find_cut(self) -> Cut | None:
        if self._changes is not None and self._changes("x\ny"):
            return None  # newlines become spaces, so tokens do not show where lines end
        ids, line_ends = self._plain.get_vocab(with_added_tokens=True), {*"\n\r", *BYTE_LINE_ENDS}
        tokens = (
            self._bytes.text([token_id])
            for token, token_id in ids.items()
            if not line_ends.isdisjoint(token)
        )
        return find_cut(tokens, self._encode_batch)

    def _check_text_is_text(self, wanted: Collection[str]) -> None:
        """Check that no control token's text is encoded to that token by any kind of tokenizer."""
        texts = sorted(wanted)
        watched = {self._original.token_to_id(text) for text in texts}
        for text, ids in zip(texts, self._encode_batch(texts), strict=True):
            if watched.intersection(ids):
                raise ModelError(
                    f"the tokenizer encodes the text {text!r} to the control token, which batchfim "
                    "cannot prevent for a tokenizer of this kind; use another model"
                )


class Vocabulary:
    """The tokens of a `tokenizer.json`, sufficient to detect a family without an encoder."""

    def __init__(self, tokenizer_json: str) -> None:
        """Read the text of a `tokenizer.json`.

        Raises:
            ModelError: the text is not a tokenizer.
        """
        self._tokenizer, _ = _load(tokenizer_json)

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self._tokenizer.token_to_id(text) is not None

    def text(self, token_id: int) -> str | None:
        """A token's spelling; None if there is no such id."""
        text = self._tokenizer.id_to_token(token_id)
        return None if text is None else str(text)


def _load(tokenizer_json: str) -> tuple[Tokenizer, dict[str, Any]]:
    try:
        return Tokenizer.from_str(tokenizer_json), json.loads(tokenizer_json)
    except Exception as error:  # the Rust library raises bare Exception for any bad file
        raise ModelError(f"tokenizer.json is not a tokenizer: {error}") from None


def _text_encoder(tree: dict[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer.from_str(json.dumps(tree))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _unknown_id(tree: dict[str, Any], tokenizer: Tokenizer) -> int | None:
    """Id of the unknown token, if the tokenizer has one."""
    model = tree["model"]
    if model.get("type") == "Unigram":
        return None if model.get("unk_id") is None else int(model["unk_id"])
    text = model.get("unk_token")
    token_id = tokenizer.token_to_id(text) if text else None
    return None if token_id is None else int(token_id)


def _surrogate_error(texts: Sequence[str]) -> InputError:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return InputError(
                f"the text contains half of a surrogate pair, {text[error.start]!a}, at character "
                f"{error.start}, so it is not Unicode text and no tokenizer can encode it"
            )
    return InputError("a text is not a string")
