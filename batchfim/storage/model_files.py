"""Where a model's files are, and what of them a prompt needs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from batchfim.config import Model, demo_model_path
from batchfim.errors import ModelError, first_line
from batchfim.storage.model_copies import copy_model
from batchfim.storage.tokenizer_files import TOKENIZER_FILES, read_tokenizer

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_PROMPT_FILES = ["config.json", "generation_config.json", *TOKENIZER_FILES]


@dataclass(frozen=True)
class ModelFiles:
    """A model's folder, with the files that decide its prompts read."""

    path: Path
    config: dict[str, Any]
    tokenizer_json: str = field(repr=False)  # megabytes
    revision: str | None = None  # commit of a model id, or listing of a URL
    tokenizer_config: dict[str, Any] = field(default_factory=dict)
    generation_config: dict[str, Any] = field(default_factory=dict)

    @property
    def context_tokens(self) -> int | None:
        """Positions the model was built for, where its config says so."""
        for key in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"):
            if isinstance(self.config.get(key), int):
                return int(self.config[key]) - self._unused_positions()
        return None

    def _unused_positions(self) -> int:
        """Roberta's first position is the one after its padding's: 514 of them hold 512 tokens."""
        of_roberta = "roberta" in str(self.config.get("model_type"))
        return int(self.config.get("pad_token_id", 1)) + 1 if of_roberta else 0

    @property
    def architectures(self) -> tuple[str, ...]:
        """`architectures` of its config."""
        return tuple(map(str, self.config.get("architectures") or ()))

    @property
    def own_prefix(self) -> tuple[str, ...]:
        """BOS, where tokenizer_config.json asks for it before every text."""
        bos = _token_text(self.tokenizer_config.get("bos_token"))
        return (bos,) if bos and self.tokenizer_config.get("add_bos_token") else ()

    @property
    def end_ids(self) -> tuple[int, ...]:
        """`eos_token_id` of its config and generation config."""
        ids: list[int] = []
        for tree in (self.config, self.generation_config):
            found = tree.get("eos_token_id")
            ids += found if isinstance(found, list) else [found] if isinstance(found, int) else []
        return tuple(dict.fromkeys(ids))

    @property
    def end_text(self) -> str | None:
        """`eos_token` of its tokenizer config."""
        return _token_text(self.tokenizer_config.get("eos_token"))

    def digest(self) -> str:
        """Identity of the model: its revision, else a digest of its files when first asked for.

        Raises:
            ModelError: its weights cannot be read.
        """
        try:
            return self._files_digest if self.revision is None else self.revision
        except OSError as error:
            raise ModelError(f"model {self.path}: its weights cannot be read: {error}") from None

    @cached_property  # or a run would have another model once the folder is written anew
    def _files_digest(self) -> str:
        """Weights are sampled: a fine-tune changes all of them, and reading hundreds of gigabytes
        before a run would not find more.
        """
        digest = hashlib.blake2b(digest_size=16)
        digest.update(json.dumps(self.config, sort_keys=True).encode())
        digest.update(self.tokenizer_json.encode())
        weights = (file for kind in _WEIGHTS for file in self.path.glob(kind))
        for file in sorted(weights):
            digest.update(f"{file.name} {file.stat().st_size}\n".encode())
            for block in _sample(file):
                digest.update(block)
        return digest.hexdigest()


def find_model(model: Model, *, weights: bool) -> ModelFiles:
    """Locate a model: `demo`, a folder, a URL copied here once, or a model id fetched through the
    hub's cache.

    Args:
        model: the config's section.
        weights: fetch the weights too, or only what a prompt needs.

    Raises:
        ModelError: no such model, or its config or tokenizer is missing.
        StorageError: a URL's storage failed.
    """
    folder, revision = locate(model.path, model.revision, None if weights else _PROMPT_FILES)
    config = _read(folder, "config.json", model.path)
    if config is None:
        raise ModelError(f"model {model.path}: {folder} has no config.json")
    return ModelFiles(
        folder,
        config,
        read_tokenizer(folder, trust_remote_code=model.trust_remote_code),
        revision,
        _read(folder, "tokenizer_config.json", model.path) or {},
        _read(folder, "generation_config.json", model.path) or {},
    )


def _sample(file: Path) -> Iterator[bytes]:
    """Blocks spread evenly over a file, its start (the header) and end among them."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        for number in range(_SAMPLES):
            stream.seek(max(size - _SAMPLE_BYTES, 0) * number // (_SAMPLES - 1))
            yield stream.read(_SAMPLE_BYTES)


def locate(path: str, revision: str | None, patterns: list[str] | None) -> tuple[Path, str | None]:
    """A model's folder here, fetched where it must be, and which version it is, if that is known.

    Args:
        path: `demo`, a folder, a URL or a model id.
        revision: the version it has to be; None: whatever is there.
        patterns: names of the files that are needed; None: all of them.

    Raises:
        ModelError: no such model.
        StorageError: a URL's storage failed.
    """
    if "://" in path:
        return copy_model(path, patterns, revision)
    if path == "demo":
        return demo_model_path(), None
    folder = Path(path).expanduser()
    if not folder.is_dir():
        folder = _fetched(path, revision, patterns)
        return folder, folder.name
    folder = folder.resolve()
    return folder, folder.name if _is_snapshot(folder) else None


def _is_snapshot(folder: Path) -> bool:
    """Whether it is the hub cache's folder for one commit, by whose name its files are known.

    Training writes folders called `snapshots`, too, with names that say nothing of their files.
    """
    cached = folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--")
    return cached and re.fullmatch(r"[0-9a-f]{40}", folder.name) is not None


def _fetched(path: str, revision: str | None, patterns: list[str] | None) -> Path:
    # A second of imports, for what most jobs on a cluster have in a folder or at a URL.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=patterns))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"model {path!r}: not a folder here, and not to be had as a model id: "
            f"{first_line(error)}"
        ) from None


def _read(folder: Path, name: str, model: str) -> dict[str, Any] | None:
    try:
        tree = json.loads((folder / name).read_text(encoding="utf8"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise ModelError(f"model {model}: {name} is not JSON: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"model {model}: {folder / name} cannot be read: {error}") from None
    if not isinstance(tree, dict):
        raise ModelError(f"model {model}: {name} holds no object")
    return tree


def _token_text(token: Any) -> str | None:
    """A token of tokenizer_config.json, written as its text or as an object that holds it."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) and token else None
