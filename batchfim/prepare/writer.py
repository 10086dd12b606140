"""Stream records to Parquet files that become visible all at once, after the last is complete."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchfim.errors import OutputError
from batchfim.terminal import counted

Row = Mapping[str, Any]  # texts, numbers, None, and lists of objects of texts


@dataclass(frozen=True, slots=True)
class Limits:
    """Size limits of the files; bytes are UTF-8 text before compression; a larger row is alone."""

    row_group_rows: int = 10_000
    row_group_bytes: int = 64 * 1024 * 1024
    file_rows: int = 1_000_000


DEFAULT_LIMITS = Limits()


def write_records(
    out: Path,
    schema: pa.Schema,
    rows: Iterable[Row],
    *,
    sources: Sequence[Path],
    overwrite: bool,
    limits: Limits = DEFAULT_LIMITS,
) -> int:
    """Write `rows` to `out/records-00000.parquet`, ... and return their number.

    At most two row groups are in memory. If `rows` raises, `out` is unchanged. `overwrite` replaces
    only Parquet files.

    Raises:
        OutputError: `out` cannot take the files.
    """
    check_out(out, sources, overwrite)
    groups = _row_groups(counted(rows, "records"), limits)
    # Most bad input shows in the first rows, so read them before creating anything.
    groups = itertools.chain(list(itertools.islice(groups, 1)), groups)
    with _output_errors(out), _aside(out.resolve()) as aside:
        # A subfolder, since the temporary folder itself is closed to other users.
        folder = aside / "new"
        folder.mkdir()
        num_rows = _write_files(folder, schema, groups, limits.file_rows)
        check_out(out, sources, overwrite)
        _publish(folder, out.resolve(), aside / "old", overwrite)
    return num_rows


def check_out(out: Path, sources: Sequence[Path], overwrite: bool) -> None:
    """Check that `out` can take records made from `sources`.

    Raises:
        OutputError: it cannot; the message says what to do.
    """
    for source in sources:
        if source.resolve().is_relative_to(out.resolve()):
            raise OutputError(f"{out}: contains the source {source}; choose another folder with -o")
    with _output_errors(out):
        if not out.exists():
            return
        if not out.is_dir():
            raise OutputError(f"{out}: is a file, expected a folder; choose another with -o")
        held = sorted(out.iterdir())
    parquet = [path.name for path in held if path.suffix == ".parquet" and path.is_file()]
    others = [path.name for path in held if path.name not in parquet]
    if others:
        raise OutputError(
            f"{out}: contains {', '.join(others[:3])}{', ...' * (len(others) > 3)}, which prepare "
            "does not replace; choose a new or empty folder with -o"
        )
    if parquet and not overwrite:
        raise OutputError(
            f"{out}: already contains {len(parquet)} Parquet file(s), the first {parquet[0]}; "
            "pass --overwrite to replace them, or choose another folder with -o"
        )


@contextmanager
def _output_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{out}: cannot write records here: {error}; free the path or choose another with -o"
        ) from error


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out`, on the same file system, removed with its content."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        yield Path(name)


def _publish(folder: Path, out: Path, old: Path, overwrite: bool) -> None:
    if overwrite and out.exists():
        out.rename(old)
    try:
        folder.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise


def _write_files(
    folder: Path, schema: pa.Schema, groups: Iterator[list[Row]], file_rows: int
) -> int:
    num_rows = 0
    for index in itertools.count():
        first = next(groups, None)
        if first is None:
            break
        rows_in_file = 0
        name = folder / f"records-{index:05d}.parquet"
        with pq.ParquetWriter(name, schema, compression="zstd") as writer:
            for group in itertools.chain([first], groups):
                writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
                rows_in_file += len(group)
                if rows_in_file >= file_rows:
                    break
        num_rows += rows_in_file
    return num_rows


def _row_groups(rows: Iterable[Row], limits: Limits) -> Iterator[list[Row]]:
    group: list[Row] = []
    held = 0
    for row in rows:
        size = sum(_num_bytes(value) for value in row.values())
        full = len(group) >= limits.row_group_rows or held + size > limits.row_group_bytes
        if group and full:
            yield group
            group, held = [], 0
        group.append(row)
        held += size
    if group:
        yield group


def _num_bytes(value: object) -> int:
    if isinstance(value, list):
        return sum(_num_bytes(text) for one in value for text in one.values())
    if not isinstance(value, str):
        return 8
    return len(value) if value.isascii() else len(value.encode())
