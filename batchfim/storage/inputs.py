"""Find the input's Parquet files and read their footers; every complaint names the file."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from batchfim.config import Columns, Input
from batchfim.errors import InputError
from batchfim.records import is_context, is_text, output_schema
from batchfim.shards import InputFile
from batchfim.storage.location import Location, storage_errors

_MAGIC = b"PAR1"
_TAIL_BYTES = 8  # footer length and magic
_WILDCARD = re.compile(r"[*?]")
_READERS = 16


@dataclass(frozen=True)
class InputSet:
    """The input's files and the columns that ride along from all of them."""

    files: list[InputFile]
    kept: pa.Schema

    @property
    def num_rows(self) -> int:
        return sum(file.num_rows for file in self.files)


def open_inputs(section: Input) -> InputSet:
    """Find and check every input file.

    Raises:
        InputError: a path without Parquet files, an unreadable file, a missing or non-text
            column, files whose columns disagree, a column the output adds itself.
    """
    urls = [url for path in section.paths for url in _find(path)]
    with ThreadPoolExecutor(_READERS) as readers:
        footers = readers.map(_read_footer, dict.fromkeys(urls))
        opened = list({file.path: (file, schema) for file, schema in footers}.values())
    kept = [_check_columns(file.path, schema, section) for file, schema in opened]
    for (file, _), schema in zip(opened, kept, strict=True):
        _check_agreement(opened[0][0].path, kept[0], file.path, schema)
    output_schema(kept[0], opened[0][0].path)
    return InputSet([file for file, _ in opened], kept[0])


def columns_to_read(columns: Columns, kept: pa.Schema) -> list[str]:
    """Names a worker reads: what rides along, and what the records are made of."""
    return list(dict.fromkeys([*kept.names, *columns.names.values()]))


def _find(path: str) -> list[str]:
    wildcard = _WILDCARD.search(path)
    if wildcard:
        found = _match(path, path[: wildcard.start()].rpartition("/")[0] or ".")
    else:
        found = _below(path)
    if not found:
        raise InputError(f"{path}: no Parquet files here (looked for *.parquet)")
    return found


def _below(path: str) -> list[str]:
    location = Location.of(path)
    info = location.info()
    if info.type is fs.FileType.NotFound:
        raise InputError(f"{path}: no such file or folder")
    if info.type is fs.FileType.File:
        return [path]
    return [_url(path, location, info.path) for info in _parquet_files(location)]


def _match(pattern: str, folder: str) -> list[str]:
    location = Location.of(folder)
    below = pattern.removeprefix(folder).lstrip("/")
    regex = re.compile(
        re.escape(below)
        .replace(r"\*\*/", "(.*/)?")
        .replace(r"\*\*", ".*")
        .replace(r"\*", "[^/]*")
        .replace(r"\?", "[^/]")
    )
    return [
        _url(folder, location, info.path)
        for info in _parquet_files(location)
        if regex.fullmatch(info.path.removeprefix(location.path).lstrip("/"))
    ]


def _parquet_files(location: Location) -> Iterable[fs.FileInfo]:
    """Files below a folder; names that start with `_` or `.` are not data, as everywhere."""
    for info in location.list(recursive=True):
        parts = info.path.removeprefix(location.path).strip("/").split("/")
        hidden = any(part.startswith(("_", ".")) for part in parts)
        if info.type is fs.FileType.File and info.extension == "parquet" and not hidden:
            yield info


def _url(base: str, location: Location, path: str) -> str:
    if "://" not in base:
        return path
    return base.rstrip("/") + path.removeprefix(location.path.rstrip("/"))


def _read_footer(url: str) -> tuple[InputFile, pa.Schema]:
    location = Location.of(url)
    with storage_errors(location), location.filesystem.open_input_file(location.path) as file:
        size = file.size()
        footer = _footer_bytes(file, size, url)
    try:
        metadata = pq.read_metadata(pa.BufferReader(_MAGIC + footer))
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{url}: the Parquet footer is damaged: {error}") from None
    groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    digest = hashlib.blake2b(footer, digest_size=16).hexdigest()
    row_bytes = sum(groups) / max(metadata.num_rows, 1)
    local = location.path if location.is_local else url
    return InputFile(local, size, metadata.num_rows, digest, row_bytes), schema


def _footer_bytes(file: pa.NativeFile, size: int, url: str) -> bytes:
    """The footer with its tail: enough to read the metadata, and a digest of the content.

    Source: Parquet format, "File format": data, footer, 4-byte footer length, `PAR1`.
    """
    if size == 0:
        raise InputError(f"{url}: the file is empty, expected Parquet")
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = bytes(file.read(_TAIL_BYTES))
    if tail[-4:] != _MAGIC:
        raise InputError(f"{url}: not a Parquet file, or cut short: it does not end with PAR1")
    start = size - _TAIL_BYTES - struct.unpack("<I", tail[:4])[0]
    if start < len(_MAGIC):
        raise InputError(f"{url}: the Parquet footer is damaged: it is longer than the file")
    file.seek(start)
    return bytes(file.read(size - start))


def _check_columns(path: str, schema: pa.Schema, section: Input) -> pa.Schema:
    """The columns that ride along, once those named by the config are known to exist."""
    wanted = {
        **{f"input.columns.{key}": name for key, name in section.columns.names.items()},
        **{f"input.keep[{i}]": name for i, name in enumerate(section.keep or ())},
    }
    for key, name in wanted.items():
        if name not in schema.names:
            raise InputError(
                f"{path}: no column {name!r}; it has {', '.join(schema.names)}; set {key}"
            )
    for key, name in section.columns.names.items():
        holds, expected = is_text, "text"
        if key == "context":
            holds, expected = is_context, "a list of {path, text}"
        if not holds(schema.field(name).type):
            raise InputError(
                f"{path}: column {name!r} holds {schema.field(name).type}, expected {expected}"
            )
    keep: Sequence[str] = schema.names if section.keep is None else section.keep
    return pa.schema([schema.field(name) for name in keep])


def _check_agreement(first_path: str, first: pa.Schema, path: str, schema: pa.Schema) -> None:
    if schema.equals(first):
        return
    ours, theirs = set(map(_describe, schema)), set(map(_describe, first))
    raise InputError(
        f"{path}: its columns differ from those of {first_path} "
        f"({'; '.join(sorted(ours ^ theirs)) or 'another column order'}), so the output would not "
        "be one table; rewrite the files alike, run them as two jobs, or choose common columns "
        "with input.keep"
    )


def _describe(field: pa.Field) -> str:
    return f"{field.name}: {field.type}{'' if field.nullable else ' not null'}"
