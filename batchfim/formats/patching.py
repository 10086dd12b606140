"""Patch the JSON of a tokenizer without changing any id.

The library's `encode_special_tokens` ("split special tokens") does not apply to added tokens that
are not special, so `<|fim_middle|>` of Qwen2.5 or DeepSeek's sentinels would still match inside a
user's text; therefore every control token is flagged `special`. Flags change no id, while deleting
the entries would shift all later ones. A unigram model also finds its control tokens by itself, as
pieces of its vocabulary; therefore they get names that no text can spell.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection
from typing import Any

# Added tokens of this form control a model. Others (runs of spaces, single characters) are text.
_CONTROL_SHAPE = re.compile(r"\u2581?<.+>|\[[A-Z_]+\]", re.DOTALL)
# Text in spite of that form: the HTML tags that are tokens of Gemma's tokenizers
# (google/codegemma-7b, tokenizer.json), except `<s>`, which is BOS in other tokenizers.
_MARKUP = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|sub|sup|code)>"
)
# Recognized even if a user's own format does not list them.
_SENTINEL = re.compile(r"<(?:fim[-_]\w+|file_sep|filename|repo_?name)>")
_BARRED = re.compile(r"\u2581?<([|\uff5c]).+\1>", re.DOTALL)
Tree = dict[str, Any]


def is_control(token: Tree, wanted: Collection[str]) -> bool:
    """Whether an added token controls the model, rather than being text that a user may write."""
    text = token["content"]
    if token["special"] or text in wanted:
        return True
    return bool(_CONTROL_SHAPE.fullmatch(text)) and not _MARKUP.fullmatch(text)


def is_hidden(token: Tree, wanted: Collection[str]) -> bool:
    """Whether an added token is left out of a middle's text.

    A tag that is not special, such as Qwen's `<tool_call>`, is not: no text of a record is encoded
    to it, but models trained on such texts generate it, for example in code that parses it.
    """
    text = token["content"]
    has_shape = _BARRED.fullmatch(text) or _SENTINEL.fullmatch(text)
    return bool(token["special"] or text in wanted or has_shape)


def takes_blanks(tree: Tree) -> bool:
    """Whether a token that text can be encoded to also absorbs blanks next to it."""
    added = tree.get("added_tokens") or []
    return any(not of["special"] and (of.get("lstrip") or of.get("rstrip")) for of in added)


def for_text(tree: Tree, control_texts: Collection[str]) -> Tree:
    """A tokenizer that, with `encode_special_tokens`, encodes no text to a control token."""
    patched = copy.copy(tree)
    patched["added_tokens"] = [
        token | {"special": is_control(token, control_texts)}
        for token in tree.get("added_tokens") or []
    ]
    controls = {token["content"] for token in patched["added_tokens"] if token["special"]}
    model = tree["model"]
    if model.get("type") == "Unigram":
        vocabulary = [
            # No text has a space when it reaches the model: it is split there, or gets U+2581.
            [f" {place} " if text in controls else text, score]
            for place, (text, score) in enumerate(model["vocab"])
        ]
        patched["model"] = model | {"vocab": vocabulary}
        patched["added_tokens"] = [
            token | {"content": f" {token['id']} "} if token["special"] else token
            for token in patched["added_tokens"]
        ]
    return patched


def without_leading_space(tree: Tree) -> Tree:
    """A tokenizer without the space that SentencePiece puts before a text (dummy prefix).

    Equivalent to encoding an anchor before the text and dropping the anchor's ids, as in the
    reference code of CodeLlama (`llama/tokenizer.py`, `encode_infilling`) and of mistral-common.
    """
    return tree | {
        "normalizer": _without_prepend(tree.get("normalizer")),
        "pre_tokenizer": _unprefixed(tree.get("pre_tokenizer")),
    }


def _without_prepend(node: Tree | None) -> Tree | None:
    if node is None or node["type"] == "Prepend":
        return None
    if node["type"] == "Sequence":
        kept = [_without_prepend(child) for child in node["normalizers"]]
        return node | {"normalizers": [child for child in kept if child is not None]}
    return node


def _unprefixed(node: Tree | None) -> Tree | None:
    if node is None:
        return None
    if node["type"] == "Sequence":
        return node | {"pretokenizers": [_unprefixed(child) for child in node["pretokenizers"]]}
    if node["type"] == "Metaspace":
        return {k: v for k, v in node.items() if k != "add_prefix_space"} | {
            "prepend_scheme": "never"
        }
    return node | {"add_prefix_space": False} if node["type"] == "ByteLevel" else node
