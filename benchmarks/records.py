"""The benchmarks' records, made from the standard library, so that anyone can reproduce them."""

from __future__ import annotations

import gzip
import json
import os
import random
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.formats.encoder import Prompt
from batchfim.formats.prompt_encoder import PromptEncoder

_SMALLEST, _LARGEST = 2_500, 5_500  # bytes of a file
_NUM_FILES, _HOLES_PER_FILE, _MOST_LINES = 120, 10, 6
_SUFFIX_CHARACTERS = 300  # suffixes are kept short, because psm shares only prefixes
_MULTI_LINE = "data/humaneval-infilling/HumanEval-MultiLineInfilling.jsonl.gz"


@dataclass(frozen=True)
class Text:
    """A record: the texts before and after the hole."""

    prefix: str
    suffix: str


def standard_library(seed: int, num_files: int = _NUM_FILES) -> list[Text]:
    """Ten holes of one to six lines in each of some files of 2.5 to 5.5 kB, in file order."""
    rng = random.Random(seed)
    texts = sources()
    chosen = sorted(rng.sample(range(len(texts)), num_files))
    return [hole for place in chosen for hole in _holes(texts[place], rng)]


def multi_line() -> list[Text] | str:
    """HumanEval-Infilling MultiLine in its own order, or why it is not available."""
    default = Path(__file__).parents[2] / "shared"
    path = Path(os.environ.get("BATCHFIM_SHARED", default)) / _MULTI_LINE
    if not path.exists():
        return f"needs {_MULTI_LINE} below BATCHFIM_SHARED or ../shared"
    with gzip.open(path, "rt", encoding="utf8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Text(row["prompt"], row["suffix"]) for row in rows]


def unshared(num_records: int, seed: int, characters: int = 900) -> list[Text]:
    """Holes whose prompts differ from the first tokens on, so that no two share a cache block."""
    rng = random.Random(seed)
    texts = [text for text in sources() if len(text) > characters]
    records = []
    for _ in range(num_records):
        source = rng.choice(texts)
        start = rng.randrange(len(source) - characters)
        stretch = source[start : start + characters]
        cut = characters * 3 // 4
        records.append(Text(f"{rng.getrandbits(64):016x}\n{stretch[:cut]}", stretch[cut + 40 :]))
    return records


def encode(records: list[Text], encoder: PromptEncoder) -> list[list[int]]:
    """The prompts that a job makes of the records, none of which is truncated."""
    prompts = encoder.encode([r.prefix for r in records], [r.suffix for r in records])
    assert all(isinstance(prompt, Prompt) for prompt in prompts)
    return [prompt.token_ids.tolist() for prompt in prompts if isinstance(prompt, Prompt)]


def write(path: Path, records: list[Text], prompts: list[list[int]]) -> Path:
    """Write a Parquet file with the texts, for jobs, and the ids, for sides that take ids."""
    columns = {
        "id": [str(number) for number in range(len(records))],
        "prefix": [record.prefix for record in records],
        "suffix": [record.suffix for record in records],
        "token_ids": pa.array(prompts, pa.list_(pa.int32())),
    }
    pq.write_table(pa.table(columns), path)
    return path


def sources() -> list[str]:
    """Texts of the standard library's smaller files, in order of their names."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(p for p in folder.rglob("*.py") if "site-packages" not in p.parts)
    sized = [p for p in files if _SMALLEST <= p.stat().st_size <= _LARGEST]
    return [p.read_text(encoding="utf8", errors="replace") for p in sized]


def _holes(source: str, rng: random.Random) -> list[Text]:
    lines = source.splitlines(keepends=True)
    holes = []
    for _ in range(_HOLES_PER_FILE):
        start = rng.randrange(1, len(lines))
        end = start + rng.randint(1, _MOST_LINES)
        holes.append(Text("".join(lines[:start]), "".join(lines[end:])[:_SUFFIX_CHARACTERS]))
    return holes
