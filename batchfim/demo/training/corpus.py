"""The training data: the running interpreter's own standard library, whole modules held out."""

from __future__ import annotations

import itertools
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from random import Random

from batchfim.demo.holdout import is_held_out, module_name
from batchfim.demo.training.holes import Document

MIN_FILE_LINES = 20
MAX_FILE_CHARS = 600_000

_NOT_CODE = {"encodings", "pydoc_data", "idlelib"}
"""Tables, help texts, and the IDE, whose GUI code would be half of all held-out code."""
_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "__pycache__", "lib-dynload", "data"}
_SKIPPED_PREFIXES = ("_sysconfigdata", "config-")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and how likely each is to be drawn, as cumulative weights by characters."""

    documents: tuple[Document, ...]
    cumulative_weights: tuple[float, ...]

    @property
    def num_characters(self) -> int:
        """Characters in all documents, each counted once."""
        return sum(len(document.text) for document in self.documents)

    def draw(self, rng: Random) -> Document:
        """Draw one document, with a probability proportional to its weight."""
        return rng.choices(self.documents, cum_weights=self.cumulative_weights)[0]


def stdlib_folder() -> Path:
    """The running interpreter's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def training_corpus(folder: Path, test_suite_share: float) -> Corpus:
    """All documents not held out; `test_suite_share` of the draws come from `test/`."""
    documents = [doc for doc in read_documents(folder) if not is_held_out(doc.path)]
    num_test = sum(len(doc.text) for doc in documents if is_test(doc.path))
    num_library = sum(len(doc.text) for doc in documents if not is_test(doc.path))
    share = test_suite_share if num_test else 0.0
    per_character = {True: share / max(1, num_test), False: (1 - share) / max(1, num_library)}
    return _corpus(documents, [len(d.text) * per_character[is_test(d.path)] for d in documents])


def held_out_corpus(folder: Path) -> Corpus:
    """Library modules the model has never seen; their tests are in neither corpus."""
    documents = [
        doc for doc in read_documents(folder) if is_held_out(doc.path) and not is_test(doc.path)
    ]
    return _corpus(documents, [float(len(doc.text)) for doc in documents])


def held_out_modules(corpus: Corpus) -> list[str]:
    """Names of the modules in `corpus`, sorted."""
    return sorted({module_name(document.path) for document in corpus.documents})


def read_documents(folder: Path) -> Iterator[Document]:
    """Yield every UTF-8 Python file below `folder` that is code, in path order."""
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        if _is_skipped(relative):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if text.count("\n") >= MIN_FILE_LINES and len(text) <= MAX_FILE_CHARS:
            yield Document.from_text(relative.as_posix(), text)


def is_test(path: str) -> bool:
    """Whether `path` (relative to the library) is part of a test suite."""
    return bool({"test", "tests"}.intersection(PurePath(path).parts[:-1]))


def _is_skipped(relative: Path) -> bool:
    return (
        relative.parts[0] in _NOT_CODE
        or not _SKIPPED_FOLDERS.isdisjoint(relative.parts[:-1])
        or relative.parts[0].startswith(_SKIPPED_PREFIXES)
    )


def _corpus(documents: list[Document], weights: list[float]) -> Corpus:
    if not documents:
        raise ValueError("the standard library holds no source files to read")
    return Corpus(tuple(documents), tuple(itertools.accumulate(weights)))
