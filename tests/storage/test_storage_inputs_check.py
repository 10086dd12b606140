"""Complaints about input files name the file and what to do; odd but good files pass."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.config import Columns, Infill, Input
from batchfim.config.files import load_config
from batchfim.errors import InputError
from batchfim.records import CONTEXT_TYPE, LanguageColumns
from batchfim.storage.inputs import InputSet, languages_to_read, open_inputs
from batchfim.storage.rows import columns_to_read
from tests.parquet import content_of

Write = Callable[..., Path]


def opened(*paths: Path, **section: Any) -> InputSet:
    return open_inputs(Input(paths=tuple(map(str, paths)), **section))


def test_a_missing_column_lists_those_there_are(write: Write) -> None:
    path = write(language=["py"] * 3)
    with pytest.raises(InputError, match=r"no column 'before'; it has prefix, suffix, language"):
        opened(path, columns=Columns(prefix="before"))
    with pytest.raises(InputError, match=r"no column 'lang'.*set input\.keep\[0\]"):
        opened(path, keep=("lang",))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst", "a.ndjson.gz", "a.json"])
def test_json_lines_are_pointed_to_what_makes_records_of_them(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    file, way_out = folder / name, f"if {name} holds JSON lines, .* `batchfim prepare jsonl`$"
    file.write_text("{}\n")
    with pytest.raises(InputError, match=rf"{file}: not a Parquet file.*; {way_out}"):
        opened(file)
    for path in (folder, folder / "*.parquet"):
        with pytest.raises(InputError, match=rf"no Parquet files found .*; {way_out}"):
            opened(path)


def test_the_files_of_a_ledger_are_no_json_lines(tmp_path: Path) -> None:
    (tmp_path / "_batchfim").mkdir()
    (tmp_path / "_batchfim" / "job.json").write_text("{}")
    with pytest.raises(InputError, match=r"no Parquet files found \(looked for \*\.parquet\)$"):
        opened(tmp_path)


def test_a_column_that_is_not_text_is_named_with_its_type(write: Write) -> None:
    path = write(suffix=[1, 2, 3])
    told = rf"{path}: column 'suffix' holds int64, expected text; set input\.columns\.suffix to "
    with pytest.raises(InputError, match=told):
        opened(path)


def test_columns_around_the_hole_are_checked_too(write: Write) -> None:
    path = write(files=["no list"] * 3, file=[1, 2, 3])
    with pytest.raises(InputError, match=r"'files' holds string, expected a list of \{path, text"):
        opened(path, columns=Columns(context="files"))
    with pytest.raises(InputError, match="column 'file' holds int64, expected text"):
        opened(path, columns=Columns(path="file"))
    with pytest.raises(InputError, match=r"no column 'name'.*set input\.columns\.repo"):
        opened(path, columns=Columns(repo="name"))


def test_files_that_differ_are_both_named_with_the_columns(write: Write) -> None:
    write("a.parquet", language=["py"] * 3)
    path = write("b.parquet", language=[1, 2, 3])
    with pytest.raises(InputError, match=r"b\.parquet: its columns differ from .*a\.parquet") as e:
        opened(path.parent)
    assert "language: int64; language: string" in str(e.value)
    assert opened(path.parent, keep=()).kept.names == []


def test_a_file_with_another_column_is_refused_by_that_column(write: Write) -> None:
    write("a.parquet", language=["py"] * 3)
    path = write("b.parquet", language=["py"] * 3, status=["new"] * 3)
    with pytest.raises(InputError, match=r"a\.parquet \(status: string\), so the output"):
        opened(path.parent)
    assert opened(path.parent, keep=("prefix", "suffix", "language")).num_rows == 6


def test_files_may_differ_in_order_and_in_how_their_writers_saw_a_column(
    tmp_path: Path, write: Write
) -> None:
    write("a.parquet", language=["py"] * 3, stars=[1] * 3)
    fields = [
        pa.field("stars", pa.int32(), nullable=False),
        pa.field("language", pa.null()),
        pa.field("suffix", pa.large_string()),
        pa.field("prefix", pa.dictionary(pa.int8(), pa.string())),
    ]
    columns = [[1], [None], ["s"], ["p"]]
    pq.write_table(pa.table(columns, pa.schema(fields)), tmp_path / "b.parquet")
    text = pa.string()
    expected = [("prefix", text), ("suffix", text), ("language", text), ("stars", pa.int64())]
    assert opened(tmp_path).kept == pa.schema(expected)


def test_a_column_around_the_hole_may_be_null_throughout_a_file(write: Write) -> None:
    write("a.parquet", file=["a.py"] * 3, language=["py"] * 3)
    path = write("b.parquet", file=pa.nulls(3), language=pa.nulls(3))
    found = opened(path.parent, columns=Columns(path="file"))
    assert found.language_columns == LanguageColumns("language", "file")
    assert opened(path).language_columns.names == []
    with pytest.raises(InputError, match="'suffix' holds null, expected text"):
        opened(write("c.parquet", suffix=pa.nulls(3)))


def test_two_columns_with_one_name_are_refused(tmp_path: Path) -> None:
    columns = [pa.array(["x"])] * 3
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays(columns, ["prefix", "suffix", "prefix"]), path)
    with pytest.raises(InputError, match=rf"{path}: two columns are named 'prefix'; rename one"):
        opened(path)


def test_a_column_called_like_one_of_the_outputs_is_refused(write: Write) -> None:
    path = write(middle=["m"] * 3, status=["?"] * 3, language=["py"] * 3)
    with pytest.raises(InputError, match="'middle', 'status' would be overwritten") as caught:
        opened(path)
    assert """--set 'input.keep=["prefix", "suffix", "language"]'""" in str(caught.value)
    assert opened(path, keep=("language",)).kept.names == ["language"]
    with pytest.raises(InputError, match="'status'"):
        opened(path, keep=("status",))


def test_the_suggested_setting_can_be_pasted_whatever_a_column_is_called(write: Write) -> None:
    odd = ["the rest", "it's", 'a "b"', "$HOME", "é", "a: #b", "tab\t", "a\\n"]
    path = write(middle=["m"] * 3, **{name: ["x"] * 3 for name in odd})
    with pytest.raises(InputError) as caught:
        opened(path)
    command = str(caught.value).partition("the columns to keep: ")[2]
    shell = ["bash", "-c", f"printf '%s\\0' {command}"]
    option, text, _ = subprocess.run(shell, capture_output=True, text=True).stdout.split("\0")
    flags = {"input.paths": [str(path)], "output.path": "out", "model.path": "demo"}
    kept = open_inputs(load_config(None, flags, [text]).input).kept.names
    assert (option, kept) == ("--set", ["prefix", "suffix", *odd])


def test_the_languages_columns_are_found_by_name_or_named(write: Write) -> None:
    path = write(language=["py"] * 3, file=["a.py"] * 3, kind=[1] * 3)
    assert opened(path).language_columns == LanguageColumns("language")
    named = opened(path, keep=("prefix",), columns=Columns(path="file")).language_columns
    assert named == LanguageColumns("language", "file")
    assert named.names == ["language", "file"]
    with pytest.raises(InputError, match=r"no column 'lang'; .*set input\.columns\.language"):
        opened(path, columns=Columns(language="lang"))
    with pytest.raises(InputError, match=r"column 'kind' holds int64, expected text"):
        opened(path, columns=Columns(path="kind"))


def test_languages_are_read_where_a_rule_asks_for_them() -> None:
    found = LanguageColumns("language", "path")
    assert languages_to_read(Infill(trim=("line", "syntax")), found) == found
    assert languages_to_read(Infill(trim=("line",)), found).names == []


def test_a_languages_column_that_some_file_lacks_is_none(write: Write) -> None:
    one = write("a.parquet", language=["py"] * 3, path=["a.py"] * 3)
    other = write("b.parquet", language=[7] * 3)
    assert opened(one, keep=("prefix",)).language_columns.names == ["language", "path"]
    assert opened(one, other, keep=("prefix",)).language_columns.names == []


def test_the_text_columns_may_have_any_name_and_need_not_ride_along(write: Write) -> None:
    path = write(before=["b"] * 3, after=["a"] * 3)
    columns = Columns(prefix="before", suffix="after")
    kept = opened(path, columns=columns, keep=("suffix", "before")).kept
    assert columns_to_read(columns, kept.names) == ["suffix", "before", "after"]


@pytest.mark.parametrize(
    "data_type",
    [
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.string_view(),
    ],
    ids=str,
)
def test_every_kind_of_text_column_is_text(write: Write, data_type: pa.DataType) -> None:
    texts = pa.array(["x", None, "é"], pa.string()).cast(data_type)
    found = opened(write(prefix=texts))
    assert found.num_rows == 3
    assert found.kept.names == ["prefix", "suffix"]


def test_files_without_rows_are_files(write: Write) -> None:
    path = write("a.parquet", prefix=pa.array([], pa.string()), suffix=pa.array([], pa.string()))
    write("b.parquet")
    files = opened(path.parent).files
    assert [file.num_rows for file in files] == [0, 3]


@pytest.mark.parametrize("name", ["a.parquet", "c.parquet"])  # before and after one with rows
def test_a_file_without_rows_need_not_know_its_types(write: Write, name: str) -> None:
    """As pandas writes it."""
    nothing = pa.nulls(0)
    path = write(name, prefix=nothing, suffix=nothing, stars=nothing, files=nothing)
    files = pa.array([[]] * 3, CONTEXT_TYPE)
    write("b.parquet", stars=[1] * 3, files=files)
    found = opened(path.parent, columns=Columns(context="files"))
    types = [pa.string(), pa.string(), pa.int64(), CONTEXT_TYPE]
    assert (found.num_rows, found.kept.types) == (3, types)
    assert opened(path, columns=Columns(context="files")).num_rows == 0
    with pytest.raises(InputError, match="'stars' holds int64, expected text"):
        opened(path.parent, columns=Columns(suffix="stars"))


def test_a_file_is_known_by_its_content(write: Write) -> None:
    path = write()
    (before,) = opened(path).files
    assert opened(path).files == [before]
    write(prefix=["p0", "p1", "pX"])
    (after,) = opened(path).files
    assert after.content != before.content
    assert after.id != before.id
    moved = path.rename(path.with_name("moved.parquet"))
    (there,) = opened(moved).files
    assert there.content == after.content == content_of(moved)
    assert there.id != after.id
