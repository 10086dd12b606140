"""The model's tokenizer, in a form in which no text can become a control token.

Two tokenizers are kept: the original looks up control tokens and decodes; a patched copy encodes
text. In the copy every control token is flagged `special`, because `encode_special_tokens` (the
"split special tokens" switch of the tokenizers library) leaves added tokens that are not special
alone: `<|fim_middle|>` of Qwen2.5 or DeepSeek's sentinels would still match inside a user's text.
Flags change no id; deleting the entries would shift every later one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from batchfim.errors import ModelError

# Added tokens of this shape steer a model. Others (runs of spaces, single characters) are text.
_CONTROL_SHAPE = re.compile(r"<.+>|\[[A-Z_]+\]", re.DOTALL)
_REPLACEMENT = "\ufffd"


class TextTokenizer:
    """Text to ids and back for one model. Immutable and safe to share between threads."""

    def __init__(self, tokenizer_json: str, control_texts: Iterable[str] = ()) -> None:
        """Build from the text of a `tokenizer.json`.

        Args:
            tokenizer_json: the file's text.
            control_texts: sentinels and stops of the format, control tokens whatever their flags.

        Raises:
            ModelError: the text is not a tokenizer.
        """
        try:
            tree = json.loads(tokenizer_json)
            self._original = Tokenizer.from_str(tokenizer_json)
        except Exception as error:  # the Rust library raises bare Exception for any bad file
            raise ModelError(f"tokenizer.json is not a tokenizer: {error}") from None
        wanted = set(control_texts)
        added = tree.get("added_tokens") or []
        for token in added:
            text = token["content"]
            token["special"] |= text in wanted or bool(_CONTROL_SHAPE.fullmatch(text))
        self._plain = Tokenizer.from_str(json.dumps(tree))
        self._plain.encode_special_tokens = True
        self._plain.no_truncation()
        self._plain.no_padding()
        self.control_ids = frozenset(token["id"] for token in added if token["special"])

    @property
    def vocab_size(self) -> int:
        """Entries, added tokens included."""
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

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, no control token among them, nothing added before or after."""
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids; control tokens in them are left out."""
        text = [i for i in token_ids if i not in self.control_ids]
        return str(self._original.decode(text, skip_special_tokens=False))

    def cut_start(self, token_ids: list[int], keep: int) -> list[int]:
        """The last `keep` ids, less what would begin inside a character (at most 3 ids)."""
        first = len(token_ids) - keep
        for start in range(first, min(first + 4, len(token_ids) + 1)):
            if not self.decode(token_ids[start : start + 8]).startswith(_REPLACEMENT):
                return token_ids[start:]
        return token_ids[first:]

    def cut_end(self, token_ids: list[int], keep: int) -> list[int]:
        """The first `keep` ids, less what would end inside a character (at most 3 ids)."""
        for end in range(keep, max(keep - 4, -1), -1):
            if not self.decode(token_ids[max(end - 8, 0) : end]).endswith(_REPLACEMENT):
                return token_ids[:end]
        return token_ids[:keep]
