"""Read a model folder's tokenizer as the text of a `tokenizer.json`, whatever its files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchfim.errors import ModelError
from batchfim.formats.convert import from_ranks, from_sentencepiece

# The tokenizer files to fetch from the hub.
TOKENIZER_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tekken.json",
    "*.model",
    "tokenizer.model.v*",
    "tokenization_*.py",
]


def read_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> str:
    """Read the tokenizer of a model folder.

    The first of these is used: `tokenizer.json`; Mistral's `tekken.json` and `tokenizer.model.v*`,
    which are self-contained; anything else that Transformers can load and convert.

    Raises:
        ModelError: there is no tokenizer, it needs `model.trust_remote_code`, or it cannot be
            converted.
    """
    if (folder / "tokenizer.json").exists():
        return _text(folder / "tokenizer.json")
    if (folder / "tekken.json").exists():
        return _from_tekken(folder / "tekken.json")
    mistral = sorted(folder.glob("tokenizer.model.v*"))
    if mistral:
        return _from_sentencepiece(mistral[-1])
    if not any(file for pattern in TOKENIZER_FILES[4:] for file in folder.glob(pattern)):
        raise ModelError(f"{folder} has no tokenizer.json and no other tokenizer files")
    return _from_transformers(folder, trust_remote_code)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from None


def _from_sentencepiece(file: Path) -> str:
    sentencepiece = _import("sentencepiece", file)
    try:
        processor = sentencepiece.SentencePieceProcessor(str(file))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{file} is not a SentencePiece model: {error}") from None
    return from_sentencepiece(processor)


def _from_tekken(file: Path) -> str:
    try:
        tree = json.loads(_text(file))
        settings = tree["config"]
        num_special = settings["default_num_special_tokens"]
        entries = tree["vocab"][: settings["default_vocab_size"] - num_special]
        ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in entries}
        special = {entry["token_str"]: entry["rank"] for entry in tree.get("special_tokens") or []}
        return from_ranks(
            ranks, settings["pattern"], special or _tekken_defaults(file), num_special
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} is not a tekken tokenizer: {error!r}") from None


def _tekken_defaults(file: Path) -> dict[str, int]:
    """The control tokens of tekken files that do not list them."""
    tekken = _import("mistral_common.tokens.tokenizers.tekken", file)
    tokens = tekken.Tekkenizer.DEPRECATED_SPECIAL_TOKENS
    return {str(getattr(t["token_str"], "value", t["token_str"])): t["rank"] for t in tokens}


def _from_transformers(folder: Path, trust_remote_code: bool) -> str:
    transformers = _import("transformers", folder)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, local_files_only=True
        )
    except Exception as error:  # tokenizer classes raise all kinds of exceptions
        hint = "" if trust_remote_code else "; if it has custom code, set model.trust_remote_code"
        raise ModelError(f"{folder}: the tokenizer cannot be loaded: {error}{hint}") from None
    if hasattr(tokenizer, "backend_tokenizer"):
        return str(tokenizer.backend_tokenizer.to_str())
    return _from_tiktoken(folder, tokenizer)


def _from_tiktoken(folder: Path, tokenizer: Any) -> str:
    """Convert a Python tokenizer built on a tiktoken encoding (CodeGen2.5, CodeGeeX4)."""
    found = [v for v in vars(tokenizer).values() if hasattr(v, "_mergeable_ranks")]
    if not found:
        raise ModelError(
            f"{folder}: {type(tokenizer).__name__} is a Python tokenizer that is not built on "
            "tiktoken; save it as a tokenizer.json"
        )
    special = dict(found[0]._special_tokens) | dict(tokenizer.get_added_vocab())
    prefix = _own_prefix(tokenizer, {token_id: text for text, token_id in special.items()})
    return from_ranks(found[0]._mergeable_ranks, found[0]._pat_str, special, own_prefix=prefix)


def _own_prefix(tokenizer: Any, names: Mapping[int, str]) -> list[str]:
    """The tokens it puts before a text: GLM-4's `[gMASK]<sop>` is only in its code, in no file."""
    try:
        token_ids = tokenizer.build_inputs_with_special_tokens([0])
        return [names[token_id] for token_id in token_ids[: token_ids.index(0)]]
    except (LookupError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ModelError(
            f"cannot determine which tokens {type(tokenizer).__name__} puts before a text "
            f"({error!r}); save it as a tokenizer.json"
        ) from None


def _import(name: str, needed_by: Path) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ModelError(
            f"{needed_by}: reading this tokenizer needs the Python package {name.split('.')[0]}"
        ) from None
