"""Locate a model's files, and read those that decide its prompts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from batchfim.config import Model
from batchfim.errors import ModelError, first_line
from batchfim.models.copies import copy_model
from batchfim.models.tokenizer_files import TOKENIZER_FILES, read_tokenizer

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_PROMPT_FILES = ["config.json", "generation_config.json", *TOKENIZER_FILES]


@dataclass(frozen=True)
class ModelFiles:
    """A model's folder, with the content of the files that decide its prompts."""

    path: Path
    config: dict[str, Any]
    tokenizer_json: str = field(repr=False)  # megabytes
    revision: str | None = None  # commit of a model id, or hash of a URL's listing
    tokenizer_config: dict[str, Any] = field(default_factory=dict)
    generation_config: dict[str, Any] = field(default_factory=dict)

    @property
    def context_tokens(self) -> int | None:
        """The number of positions the model was built for, if its config says so."""
        for key in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"):
            if isinstance(self.config.get(key), int):
                return int(self.config[key]) - self._unused_positions()
        return None

    def _unused_positions(self) -> int:
        """RoBERTa's first position comes after its padding's: 514 positions hold 512 tokens."""
        of_roberta = "roberta" in str(self.config.get("model_type"))
        return int(self.config.get("pad_token_id", 1)) + 1 if of_roberta else 0

    @property
    def architectures(self) -> tuple[str, ...]:
        """The config's `architectures`."""
        return tuple(map(str, self.config.get("architectures") or ()))

    @property
    def own_prefix(self) -> tuple[str, ...]:
        """BOS, if tokenizer_config.json asks for it before every text."""
        bos = _token_text(self.tokenizer_config.get("bos_token"))
        return (bos,) if bos and self.tokenizer_config.get("add_bos_token") else ()

    @property
    def end_ids(self) -> tuple[int, ...]:
        """All `eos_token_id`s of the config and the generation config."""
        ids: list[int] = []
        for tree in (self.config, self.generation_config):
            found = tree.get("eos_token_id")
            ids += found if isinstance(found, list) else [found] if isinstance(found, int) else []
        return tuple(dict.fromkeys(ids))

    @property
    def end_text(self) -> str | None:
        """The tokenizer config's `eos_token`."""
        return _token_text(self.tokenizer_config.get("eos_token"))

    def digest(self) -> str:
        """Identity of the model: its revision, or a digest of its files when first asked for.

        Raises:
            ModelError: its weights cannot be read.
        """
        try:
            return self._files_digest if self.revision is None else self.revision
        except OSError as error:
            raise ModelError(f"model {self.path}: its weights cannot be read: {error}") from None

    @cached_property  # otherwise a run would change its model if the folder is rewritten
    def _files_digest(self) -> str:
        """Weights are sampled: a fine-tune changes all of them, so reading hundreds of gigabytes
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
    """Locate a model: `demo`, a folder, a URL (copied once), or a model id (in the hub's cache).

    Args:
        model: the `model` section of the config.
        weights: fetch the weights too, not only what prompts need.

    Raises:
        ModelError: the model does not exist, or its config or tokenizer is missing.
        StorageError: the storage behind a URL failed.
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
    """Blocks spread evenly over a file, including its start (the header) and its end."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        for number in range(_SAMPLES):
            stream.seek(max(size - _SAMPLE_BYTES, 0) * number // (_SAMPLES - 1))
            yield stream.read(_SAMPLE_BYTES)


def demo_model_path() -> Path:
    """Folder of the model included in the package (`--model demo`)."""
    return Path(__file__).parents[1] / "demo" / "model"


def locate(path: str, revision: str | None, patterns: list[str] | None) -> tuple[Path, str | None]:
    """A model's local folder, fetched if needed, and its version if known.

    Args:
        path: `demo`, a folder, a URL or a model id.
        revision: the required version; None: any.
        patterns: names of the files that are needed; None: all of them.

    Raises:
        ModelError: the model does not exist.
        StorageError: the storage behind a URL failed.
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
    # Takes a second to import, and most jobs on a cluster have their model in a folder or at a URL.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=patterns))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"model {path!r}: not a local folder, and fetching it as a model id failed: "
            f"{first_line(error)}; check the name and the network, or give a folder on this machine"
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
        raise ModelError(f"model {model}: {name} is not a JSON object")
    return tree


def _token_text(token: Any) -> str | None:
    """The text of a token in tokenizer_config.json, which holds the text or an object with it."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) and token else None
