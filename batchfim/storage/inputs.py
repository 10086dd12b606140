"""Find the input's Parquet files and read their footers; every error names the file."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from batchfim.config import Columns, Infill, Input
from batchfim.errors import InputError, OutputError, StorageBusy, StorageError
from batchfim.records import (
    NO_LANGUAGE,
    LanguageColumns,
    is_context,
    is_text,
    output_schema,
)
from batchfim.shards import InputFile
from batchfim.storage.footer import MAGIC, json_hint, read_footer
from batchfim.storage.kept import differences, kept_type, unified
from batchfim.storage.location import Location
from batchfim.storage.stores import split_query

_WILDCARD = re.compile(r"[*?]")
_READERS = 16
_NAMED = 5  # unreadable files listed in an error
T = TypeVar("T")


@dataclass(frozen=True)
class InputSet:
    """The input files, and columns: to keep, to find a record's language, and common to all."""

    files: list[InputFile]
    kept: pa.Schema
    language_columns: LanguageColumns = NO_LANGUAGE
    common_columns: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        return sum(file.num_rows for file in self.files)


def open_inputs(section: Input) -> InputSet:
    """Find and check every input file.

    Raises:
        InputError: a path has no Parquet files, a file cannot be read, a column is missing or not
            text, files have different columns, a column has a name that the output adds, or the
            storage denies reading.
        StorageBusy: the storage did not answer.
    """
    try:
        urls = {url: at for path in section.paths for url, at in _find(path).items()}
        with ThreadPoolExecutor(_READERS) as readers:
            footers = _all(readers.map(_opened, urls, urls.values()))
            opened = list({file.path: (file, schema) for file, schema in footers}.values())
    except StorageBusy:
        raise
    except StorageError as error:  # nothing was written yet, so the request itself is wrong
        raise InputError(f"the input cannot be read: {error}") from None
    kept = _checked(*opened[0], section)
    for file, schema in opened[1:]:
        kept = _agreed(opened[0][0].path, kept, file.path, _checked(file, schema, section))
    output_schema(kept, opened[0][0].path)
    languages = find_language_columns(section.columns, [schema for _, schema in opened])
    names = [schema.names for _, schema in opened]
    common = tuple(name for name in names[0] if all(name in other for other in names))
    return InputSet([file for file, _ in opened], kept, languages, common)


def check_apart(section: Input, output: str) -> None:
    """Refuse an output whose parts the next run would read as records.

    Raises:
        OutputError: the output is an input folder, is inside one, or matches an input glob.
    """
    for path in section.paths:
        folder, pattern = _split_glob(path)
        below = os.path.relpath(_real(output), _real(folder))
        # `..` is outside the input; other names that start with a dot are not read as data.
        hidden = any(part.startswith(("_", ".")) for part in below.split("/") if part != ".")
        part = os.path.normpath(f"{below}/part-0.parquet")
        if not hidden and (pattern is None or pattern.fullmatch(part)):
            raise OutputError(
                f"output.path {output} is inside the input {path}, so the next run would read its "
                "parts as records; choose a folder outside the input"
            )


def _real(path: str) -> str:
    return split_query(path)[0] if "://" in path else os.path.realpath(path)


def _split_glob(path: str) -> tuple[str, re.Pattern[str] | None]:
    """The folder to list, and the pattern for names below it (None without wildcards).

    `*` and `?` match within one folder, `**` across folders. A local path that exists is taken
    literally. A URL's query is dropped.
    """
    path, _ = split_query(path)
    wildcard = _WILDCARD.search(path)
    if wildcard is None or os.path.exists(path):
        return path, None
    folder = path[: wildcard.start()].rpartition("/")[0] or ("/" if path[0] == "/" else ".")
    below = re.escape(path.removeprefix(folder).lstrip("/"))
    for glob, regex in ((r"\*\*/", "(.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
        below = below.replace(glob, regex)
    return folder, re.compile(below)


def _find(path: str) -> dict[str, datetime | None]:
    """Modification time of each input file under a path, by URL."""
    folder, pattern = _split_glob(path)
    query = split_query(path)[1]
    location = Location.of(folder + query)
    info = location.info()
    if info.type is fs.FileType.NotFound:
        raise InputError(f"{path}: no such {location.missing()}")
    if info.type is fs.FileType.File and pattern is None:
        return {path: info.mtime}
    if location.is_local:
        _refuse_dangling(location, pattern)
    found = {
        _url(folder, location, file.path, query): file.mtime
        for file in _parquet_files(location)
        if pattern is None or pattern.fullmatch(_below(location, file))
    }
    if not found:
        names = (_below(location, info) for info in location.list(recursive=True))
        others = [name for name in names if not _is_hidden(name)]
        raise InputError(
            f"{path}: no Parquet files found (looked for *.parquet){json_hint(others)}"
        )
    return found


def _below(location: Location, info: fs.FileInfo) -> str:
    return str(info.path).removeprefix(location.path).strip("/")


def _refuse_dangling(location: Location, pattern: re.Pattern[str] | None) -> None:
    """Refuse dangling symlinks: Arrow does not list them, so rows would be missing silently."""
    for folder, _, names in os.walk(location.path):
        for name in names:
            path = os.path.join(folder, name)
            below = os.path.relpath(path, location.path)
            is_data = name.endswith(".parquet") and not _is_hidden(below)
            if (
                is_data
                and (pattern is None or pattern.fullmatch(below))
                and not os.path.exists(path)
            ):
                raise InputError(f"{path}: dangling symlink; restore its target, or remove it")


def _is_hidden(below: str) -> bool:
    return any(part.startswith(("_", ".")) for part in below.split("/"))


def _parquet_files(location: Location) -> Iterator[fs.FileInfo]:
    """The data files below a folder.

    As usual for Parquet datasets, names that start with `_` or `.` are not data. Neither are the
    parts of a job whose output is below the folder.
    """
    infos = location.list(recursive=True)
    outputs = {_below(location, info)[: -len("/_batchfim")] for info in infos if _is_ledger(info)}
    for info in infos:
        folder, _, name = _below(location, info).rpartition("/")
        hidden = _is_hidden(f"{folder}/{name}")
        is_part = folder in outputs and folder != "" and name.startswith("part-")
        if info.type is fs.FileType.File and name.endswith(".parquet") and not hidden | is_part:
            yield info


def _is_ledger(info: fs.FileInfo) -> bool:
    return bool(info.base_name == "_batchfim" and info.type is fs.FileType.Directory)


def _url(base: str, location: Location, path: str, query: str) -> str:
    """What opens a listed file: its path if it is local, else its URL."""
    if location.is_local:
        return path
    url = base.rstrip("/") + path.removeprefix(location.path.rstrip("/"))
    if split_query(url)[1]:
        raise InputError(
            f"{url}: the name looks like a URL with an option; rename the file, leaving out the `?`"
        )
    return url + query


def _opened(url: str, written_at: datetime | None) -> tuple[InputFile, pa.Schema] | InputError:
    try:
        return _open(url, written_at)
    except InputError as error:
        return error


def _all(opened: Iterable[T | InputError]) -> list[T]:
    """The opened files, or an error that lists the first five that could not be opened."""
    found, faults = [], []
    for one in opened:
        if isinstance(one, InputError):
            faults.append(one)
        else:
            found.append(one)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        more = "; …" if len(faults) > _NAMED else ""
        named = "; ".join(map(str, faults[:_NAMED]))
        raise InputError(f"{len(faults)} input files cannot be read: {named}{more}")
    return found


def _open(url: str, written_at: datetime | None) -> tuple[InputFile, pa.Schema]:
    location = Location.of(url)
    footer = read_footer(location)
    try:
        metadata = pq.read_metadata(pa.BufferReader(MAGIC + footer.data))
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{url}: the Parquet footer is damaged: {error}") from None
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    if sum(group.num_rows for group in groups) != metadata.num_rows:
        raise InputError(
            f"{url}: the Parquet footer is damaged: it says {metadata.num_rows} rows, but its row "
            "groups add up to a different number"
        )
    row_bytes = sum(group.total_byte_size for group in groups) / max(metadata.num_rows, 1)
    starts = array("q", accumulate((group.num_rows for group in groups[:-1]), initial=0))
    path = location.path if location.is_local else url
    num_rows = metadata.num_rows
    return InputFile(path, footer.content, num_rows, row_bytes, starts, written_at), schema


def _checked(file: InputFile, schema: pa.Schema, section: Input) -> pa.Schema:
    return check_columns(file.path, schema, section, has_rows=file.num_rows > 0)


def check_columns(
    source: str, schema: pa.Schema, section: Input, *, has_rows: bool = True
) -> pa.Schema:
    """Check the columns that the config names, and return the schema of those to keep.

    Args:
        source: name of the rows in errors.
        schema: schema of the rows.
        section: which columns are read, and which are kept.
        has_rows: whether there are rows; without any, writers such as pandas do not know the types.

    Raises:
        InputError: a column is missing, appears twice, or has the wrong type.
    """
    wanted = {
        **{f"input.columns.{key}": name for key, name in section.columns.names.items()},
        **{f"input.keep[{i}]": name for i, name in enumerate(section.keep or ())},
    }
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise InputError(f"{source}: two columns are named {name!r}; rename one")
    for key, name in wanted.items():
        if name not in schema.names:
            raise InputError(
                f"{source}: no column {name!r}; it has {', '.join(schema.names)}; set {key}"
            )
    for key, name in section.columns.names.items():
        holds, expected = is_text, "text"
        if key == "context":
            holds, expected = is_context, "a list of {path, text}"
        data_type = schema.field(name).type
        may_be_null = not has_rows or key not in ("prefix", "suffix", "context")
        if not holds(data_type) and not (may_be_null and pa.types.is_null(data_type)):
            raise InputError(
                f"{source}: column {name!r} holds {data_type}, expected {expected}; set "
                f"input.columns.{key} to another column, or convert this one"
            )
    keep: Sequence[str] = schema.names if section.keep is None else section.keep
    return pa.schema([(name, kept_type(schema.field(name).type)) for name in keep])


def check_languages(infill: Infill, found: LanguageColumns) -> None:
    """Refuse a trim rule that needs each record's language if no column gives it.

    Raises:
        InputError: there is no such column.
    """
    if "syntax" in infill.trim and not found.names:
        raise InputError(
            "infill.trim: syntax needs each record's language, but the input has no column "
            "`language` or `path`; set input.columns.language or input.columns.path, or leave "
            "syntax out"
        )


def languages_to_read(infill: Infill, found: LanguageColumns) -> LanguageColumns:
    """The columns that give a row's language, if a trim rule needs it."""
    return found if "syntax" in infill.trim else NO_LANGUAGE


def find_language_columns(columns: Columns, schemas: Sequence[pa.Schema]) -> LanguageColumns:
    """The language and path columns: those configured, or text columns so named in all files.

    In some of them, but not in all, the column may be null throughout.
    """

    def found(name: str) -> str | None:
        if not all(name in schema.names for schema in schemas):
            return None
        types = [schema.field(name).type for schema in schemas]
        filled = [data_type for data_type in types if not pa.types.is_null(data_type)]
        return name if filled and all(map(is_text, filled)) else None

    return LanguageColumns(
        columns.language or found("language"),
        columns.path or found("path"),
    )


def _agreed(first_path: str, kept: pa.Schema, path: str, schema: pa.Schema) -> pa.Schema:
    """The columns to keep of the files so far and of one more."""
    if (both := unified(kept, schema)) is not None:
        return both
    raise InputError(
        f"{path}: its columns differ from those of {first_path} "
        f"({'; '.join(differences(kept, schema))}), so the output would not be one table; rewrite "
        "the files with the same columns, run them as two jobs, or choose common columns with "
        "input.keep"
    )
