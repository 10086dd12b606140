"""Make records from source code: each record is one file with one hole."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from batchfim.errors import ConfigError, InputError
from batchfim.prepare.holes import Hole, Kind, cut
from batchfim.prepare.report import PrepareReport, Tally, counts
from batchfim.prepare.sources import read_sources
from batchfim.prepare.syntax_holes import SyntaxKind, cut_syntax
from batchfim.prepare.texts import Choice, Skipped, Source, plain_language
from batchfim.prepare.writer import Row, write_records

AnyKind = Kind | SyntaxKind
DEFAULT_KINDS = (Kind.LINE, Kind.MULTI_LINE, Kind.RANDOM_SPAN)
DEFAULT_MAX_BYTES = 1_000_000
ALL_KINDS: tuple[AnyKind, ...] = (*Kind, *SyntaxKind)
COLUMNS = ("id", "prefix", "suffix", "middle_reference", "language", "path", "kind")
_SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
# A short file has few places for holes; this many draws find nearly all of them.
_DRAWS_PER_HOLE = 8


def prepare_code(
    source: Path,
    out: Path,
    *,
    kinds: Sequence[str] = DEFAULT_KINDS,
    per_file: int = 1,
    seed: int = 0,
    languages: Sequence[str] = (),
    code_column: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    overwrite: bool = False,
) -> PrepareReport:
    """Cut holes into the source files under `source`; write the records to `out`.

    The holes of a file depend only on `seed`, the kind, and the file's path and text. The columns
    are COLUMNS, all text; path and language are null if unknown. An id is
    `<place>:<start>-<end>:<kind>`: the place is the path in the folder or `<Parquet file>#<row>`;
    start and end are character offsets.

    Args:
        source: folder of source files, or a Parquet file or folder with a code column and
            optionally `path` and `language`.
        out: folder for the records.
        kinds: kinds of holes, names in ALL_KINDS.
        per_file: maximum number of different holes of each kind per file.
        seed: random seed.
        languages: read only these; all if empty.
        code_column: Parquet column with the code, `code` if None. If given, a folder with both
            source files and Parquet is read as Parquet.
        max_bytes: skip files of more UTF-8 bytes.
        overwrite: replace Parquet files in `out`.

    Raises:
        InputError: nothing could be read, or no hole could be cut.
        ConfigError: an option has a wrong value.
        OutputError: `out` cannot take the records.
    """
    chosen = _kinds(kinds)
    _check_positive("--per-file", per_file)
    _check_positive("--max-bytes", max_bytes)
    choice = Choice(code_column, frozenset(map(plain_language, languages)), max_bytes)
    tally = Tally()
    rows = _rows(source, choice, chosen, per_file, seed, tally)
    num_rows = write_records(out, _SCHEMA, rows, sources=[source], overwrite=overwrite)
    return tally.report(out, num_rows)


def _kinds(names: Sequence[str]) -> list[AnyKind]:
    known: dict[str, AnyKind] = {kind.value: kind for kind in ALL_KINDS}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        found = f"unknown kind {unknown[0]!r}" if unknown else "no kind"
        raise ConfigError(f"--kind: {found}; give one or more of {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _check_positive(option: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{option} {value}: too small; give a whole number of at least 1")


def _rows(
    root: Path, choice: Choice, kinds: Sequence[AnyKind], per_file: int, seed: int, tally: Tally
) -> Iterator[Row]:
    for found in read_sources(root, choice):
        if isinstance(found, Skipped):
            tally.skipped[found.reason] += 1
            continue
        holes = [(kind, hole) for kind in kinds for hole in _cut(found, kind, per_file, seed)]
        if not holes:
            tally.skipped["no place for a hole"] += 1
            continue
        tally.num_files += 1
        for kind, hole in holes:
            tally.kinds[kind.value] += 1
            yield _row(found, kind, hole)
    if not tally.num_files:
        raise InputError(_nothing(root, choice, tally))


def _nothing(root: Path, choice: Choice, tally: Tally) -> str:
    wanted = f", --language {', '.join(sorted(choice.languages))}" if choice.languages else ""
    skipped = f"skipped: {counts(tally.skipped)}" if tally.skipped else "it has no rows"
    return (
        f"{root}: no record could be made ({skipped}{wanted}); "
        "expected at least one file with code: give another source or other options"
    )


def _cut(source: Source, kind: AnyKind, number: int, seed: int) -> list[Hole]:
    rng = _rng(source, kind, seed)
    if isinstance(kind, SyntaxKind):
        return cut_syntax(source.text, source.language, source.path, kind, number, rng)
    holes: dict[Hole, None] = {}
    for _ in range(number * _DRAWS_PER_HOLE):
        hole = cut(source.text, kind, rng) if len(holes) < number else None
        if hole is None:
            break
        holes[hole] = None
    return list(holes)


def _rng(source: Source, kind: AnyKind, seed: int) -> random.Random:
    # Includes the text so that rows without a path, and the many `setup.py`, get different draws.
    key = json.dumps([seed, kind.value, source.path, source.text]).encode()
    return random.Random(int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "big"))


def _row(source: Source, kind: AnyKind, hole: Hole) -> Row:
    return {
        "id": f"{source.place}:{hole.start}-{hole.end}:{kind.value}",
        "prefix": source.text[: hole.start],
        "suffix": source.text[hole.end :],
        "middle_reference": source.text[hole.start : hole.end],
        "language": source.language,
        "path": source.path,
        "kind": kind.value,
    }
