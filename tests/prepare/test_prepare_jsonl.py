"""`prepare jsonl`: any fields, gzip or not, and what is said of a bad line."""

from __future__ import annotations

import gzip
import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from batchfim.errors import ConfigError, InputError, OutputError
from batchfim.prepare import PrepareReport, prepare_jsonl
from batchfim.prepare.cli import prepare_app

GOOD = {"before": "a = ", "after": "\r\n", "gold": "1é", "key": "k1", "stars": 3}


def lines(file: Path, *objects: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return file


def prepare(file: Path, **options: Any) -> PrepareReport:
    mapped = {"prefix": "before", "suffix": "after", **options}
    return prepare_jsonl([file], file.parent / "out", **mapped)


def test_fields_are_mapped_and_others_ride_along(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", GOOD, {**GOOD, "key": 7, "stars": None, "x": [1]})
    report = prepare(file, middle="gold", id_field="key", keep=["stars", "before", "stars"])
    table = pq.read_table(tmp_path / "out")
    assert table.schema == pa.schema(
        [(name, pa.string()) for name in ("id", "prefix", "suffix", "middle_reference")]
        + [("stars", pa.int64()), ("before", pa.string())]
    )
    row = {"prefix": "a = ", "suffix": "\r\n", "middle_reference": "1é", "before": "a = "}
    assert table.to_pylist() == [{"id": "k1", "stars": 3, **row}, {"id": "7", "stars": None, **row}]
    assert (report.num_rows, report.num_files, report.skipped) == (2, 1, {})


def test_parquet_is_taken_too_and_a_suffix_may_be_absent(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([GOOD, GOOD | {"key": "k2"}]), file)
    prepare(file, suffix=None, id_field="key")
    found = pq.read_table(tmp_path / "out").to_pylist()
    assert found == [{"id": key, "prefix": "a = ", "suffix": ""} for key in ("k1", "k2")]


def test_without_id_the_place_is_the_id(tmp_path: Path) -> None:
    first = lines(tmp_path / "a" / "x.jsonl", GOOD)
    second = tmp_path / "b" / "x.jsonl"
    second.parent.mkdir()
    second.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\n" + json.dumps(GOOD).encode()
    )
    prepare_jsonl([first, second], tmp_path / "out", prefix="before", suffix="after")
    table = pq.read_table(tmp_path / "out")
    assert table.column_names == ["id", "prefix", "suffix"]
    assert table["id"].to_pylist() == ["a/x.jsonl:1", "b/x.jsonl:1", "b/x.jsonl:3"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_file_may_have_a_name_that_is_not_utf8(tmp_path: Path, form: str) -> None:
    file, plain = tmp_path / os.fsdecode(b"\xc3\xa9\xff"), tmp_path / "plain"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([GOOD]), plain)
    else:
        lines(plain, GOOD)
    plain.rename(file)
    prepare(file)
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == [r"é\xff:1"]
    prepare(file, id_field="key", overwrite=True)
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == ["k1"]


def test_a_duplicate_id_names_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    file = lines(tmp_path / os.fsdecode(b"a\xff"), GOOD, GOOD)
    with pytest.raises(InputError, match=r"a\\xff:2: .*'k1', first used at .*a\\xff:1; remove"):
        prepare(file, id_field="key")


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, None, 2.5], pa.float64(), [1.0, None, 2.5]),
        ([0.5, 2**60, -(2**63)], pa.float64(), [0.5, 2.0**60, -(2.0**63)]),
        ([None, 2**63 - 1], pa.int64(), [None, 2**63 - 1]),
        ([None, "é"], pa.string(), [None, "é"]),
        ([None, None], pa.string(), [None, None]),
    ],
)
def test_a_kept_column_has_the_narrowest_type(
    tmp_path: Path, values: list[Any], kind: pa.DataType, kept: list[Any]
) -> None:
    prepare(lines(tmp_path / "a.jsonl", *({**GOOD, "v": value} for value in values)), keep=["v"])
    column = pq.read_table(tmp_path / "out")["v"]
    assert column.type == kind
    assert column.to_pylist() == kept


@pytest.mark.parametrize("values", [[2**53 + 1, 0.5], [0.5, 2**53 + 1]])
def test_a_kept_number_is_never_rounded(tmp_path: Path, values: list[float]) -> None:
    file = lines(tmp_path / "a.jsonl", *({**GOOD, "v": value} for value in values))
    place = rf"a.jsonl:{values.index(2**53 + 1) + 1}: field 'v': found 9007199254740993, "
    with pytest.raises(InputError, match=place + ".*; write .* as text in all lines, or leave it"):
        prepare(file, keep=["v"])
    assert prepare(file, keep=["v"], skip_bad=True).skipped == {"bad lines": 1}
    assert pq.read_table(tmp_path / "out")["v"].to_pylist() == [0.5]


def test_compression_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    file, text = tmp_path / "a.jsonl", json.dumps(GOOD).encode() + b"\n"
    for packed in (gzip.compress(text), pa.compress(text, "zstd", asbytes=True)):
        file.write_bytes(packed + packed)
        assert prepare(file, overwrite=True).num_rows == 2


BAD = {
    "not JSON": '{"before": ',
    "no object": "[1]",
    "a null": '{"before": null, "after": "", "stars": 1}',
    "no field": '{"before": "a", "stars": 1}',
    "a kept list": '{"before": "a", "after": "", "stars": [1]}',
    "a kept text among numbers": '{"before": "a", "after": "", "stars": "many"}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("first", [True, False])
def test_bad_lines_can_be_left_out_and_are_counted(tmp_path: Path, bad: str, first: bool) -> None:
    file, good = tmp_path / "a.jsonl", [json.dumps(GOOD | {"stars": stars}) for stars in (1, 0.5)]
    # A kept field's first value decides whether its column is of text or of numbers.
    first = first and "many" not in bad
    file.write_text("\n".join([bad, *good] if first else [good[0], bad, good[1]]))
    with pytest.raises(InputError, match=r"a.jsonl:\d: .*; or leave out all .* with --skip-bad$"):
        prepare(file, keep=["stars"])
    report = prepare(file, keep=["stars"], skip_bad=True)
    assert (report.num_rows, report.skipped) == (2, {"bad lines": 1})
    found = pq.read_table(tmp_path / "out")
    assert found["stars"].to_pylist() == [1.0, 0.5]
    assert found["id"].to_pylist() == [f"a.jsonl:{n}" for n in ((2, 3) if first else (1, 3))]


@pytest.mark.parametrize("keep", [[], ["stars"]])
def test_parquet_without_rows_is_refused_as_json_lines_are(tmp_path: Path, keep: list[str]) -> None:
    good, file = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.Table.from_pylist([GOOD]), good)
    prepare(good)
    pq.write_table(pa.Table.from_pylist([GOOD]).slice(1), file)
    for files in ([file], [good, file]):
        with pytest.raises(InputError, match=r"b.parquet: empty, expected at least one row; check"):
            prepare_jsonl(files, tmp_path / "out", prefix="before", keep=keep, overwrite=True)
    assert pq.read_table(tmp_path / "out").num_rows == 1


def test_rows_of_parquet_can_be_left_out_too(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([GOOD, GOOD | {"before": None}]), file)
    assert prepare(file, skip_bad=True).num_rows == 1


@pytest.mark.parametrize(
    ("value", "name"),
    [(date(1970, 1, 1), "date"), (b"a", "bytes"), (Decimal("0.5"), "Decimal"), (2.5, "the number")],
)
def test_a_value_that_only_parquet_has_is_named_by_its_type(
    tmp_path: Path, value: object, name: str
) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([GOOD | {"before": value}]), file)
    with pytest.raises(InputError, match=f"a.parquet:1: .*expected text, found {name}"):
        prepare(file)


def test_where_every_line_is_bad_the_first_is_named(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", GOOD, GOOD)
    with pytest.raises(InputError, match=r"no line can become a record; .*a.jsonl:1: no field 'x'"):
        prepare(file, prefix="x", keep=["stars"], skip_bad=True)
    assert not (tmp_path / "out").exists()


def test_a_duplicate_id_is_no_bad_line(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", GOOD, GOOD)
    with pytest.raises(InputError, match="duplicate id 'k1'"):
        prepare(file, id_field="key", skip_bad=True)


def test_fields_that_are_left_out_are_named(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", GOOD, {**GOOD, "n\x1b": 1})
    report = prepare(file, keep=["stars"])
    assert report.left_out == ("gold", "key", "n\x1b")
    assert r"left out, as no --keep names them: gold, key, n\x1b: " in str(report)
    many = lines(tmp_path / "b.jsonl", GOOD | {f"f{n}": n for n in range(100)})
    assert "key, f0, f1, f2, f3, f4, f5, …: " in str(prepare(many, keep=["stars"], overwrite=True))


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        ('{"before": ', {}, r"a.jsonl:2: not valid JSON: .*repair"),
        ("[" * 100_000, {}, r"a.jsonl:2: not valid JSON"),
        ('["before"]', {}, r"a.jsonl:2: expected a JSON object, found a list"),
        ('{"before": "a", "x": 1}', {}, r"a.jsonl:2: no field 'after' .* 'before', 'x'"),
        ("{}", {}, r"a.jsonl:2: no field 'before' \(this line has no fields\)"),
        ('{"before": 1, "after": ""}', {}, r"a.jsonl:2: field 'before': expected text, .* 1;"),
        ('{"before": null, "after": ""}', {}, r"field 'before': expected text, found null"),
        (r'{"before": "\ud800", "after": ""}', {}, r"a.jsonl:2: field 'before': character 0"),
        ('{"before": "", "after": ""}', {"middle": "gold"}, r"a.jsonl:2: no field 'gold'"),
        ('{"before": "", "after": ""}', {"keep": ["key"]}, r"a.jsonl:2: no field 'key'"),
        ('{"before": "", "after": ""}', {"id_field": "key"}, r"a.jsonl:2: no field 'key'"),
        (
            json.dumps(GOOD),
            {"id_field": "key"},
            r"a.jsonl:2: .*duplicate id 'k1', first used at .*:1",
        ),
        ('{"key": true}', {"id_field": "key"}, r"field 'key': expected text, found true or false"),
        ('{"stars": "3"}', {"keep": ["stars"]}, r"a.jsonl:2: field 'stars': found text, .*numbers"),
        ('{"key": 3}', {"keep": ["key"]}, r"field 'key': found the number 3, .*hold text"),
        ('{"key": [1]}', {"keep": ["key"]}, r"field 'key': expected .*, found a list"),
        ('{"key": false}', {"keep": ["key"]}, r"field 'key': expected .*, found true or false"),
        (r'{"key": "\udc00"}', {"keep": ["key"]}, r"field 'key': character 0 is half"),
        ('{"stars": 9223372036854775808}', {"keep": ["stars"]}, r"a.jsonl:2: .*64-bit number"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    tmp_path: Path, second: str, options: dict[str, Any], message: str
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{second}\n")
    with pytest.raises(InputError, match=message):
        prepare(file, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(
        b"".join(json.dumps({**GOOD, "key": n}).encode() + b"\n" for n in range(999))
    )
    zstd = pa.compress(gzip.decompress(packed), "zstd", asbytes=True)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    latin = json.dumps(GOOD, ensure_ascii=False).encode("latin-1")
    for content, message in [
        (b"", r"a.jsonl: empty"),
        (b"\n \n", r"a.jsonl: empty"),
        (gzip.compress(b""), r"a.jsonl: empty"),
        (packed[: len(packed) // 2], r"a.jsonl: the compressed data is trunc.* after line \d"),
        (packed[:-4], r"a.jsonl: the compressed data is truncated"),
        (bytes(damaged), r"a.jsonl"),
        (packed + b"tail", r"a.jsonl: the compressed data"),
        (zstd[: len(zstd) // 2], r"a.jsonl: the compressed data is truncated .*after line \d"),
        (latin, r"a.jsonl:1: not valid JSON: .*utf-8"),
    ]:
        (tmp_path / "a.jsonl").write_bytes(content)
        with pytest.raises(InputError, match=message):
            prepare(tmp_path / "a.jsonl")
    for missing in (tmp_path / "gone.jsonl", tmp_path):
        with pytest.raises(InputError, match=r"cannot read: (No such file|Is a directory)"):
            prepare_jsonl([missing], tmp_path / "out", prefix="a", suffix="b")
    assert not (tmp_path / "out").exists()


def test_wrong_options_are_named(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", {**GOOD, "prefix": "x"})
    with pytest.raises(ConfigError, match="--keep prefix: the records already have a column"):
        prepare(file, keep=["prefix"])
    with pytest.raises(ConfigError, match="given twice"):
        prepare_jsonl([file, file], tmp_path / "out", prefix="before", suffix="after")
    with pytest.raises(ConfigError, match="no input files given"):
        prepare_jsonl([], tmp_path / "out", prefix="before", suffix="after")


def test_output_is_refused_before_the_input_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.parquet").touch()
    with pytest.raises(OutputError, match="--overwrite"):
        prepare(tmp_path / "gone.jsonl", keep=["stars"])


def test_command_takes_every_option(tmp_path: Path) -> None:
    file, out = lines(tmp_path / "a.jsonl", GOOD), tmp_path / "out"
    arguments = ["jsonl", str(file), "-o", str(out), "--prefix", "before", "--suffix", "after"]
    arguments += ["--middle", "gold", "--id", "key", "--keep", "stars", "--keep", "gold"]
    arguments += ["--skip-bad"]
    for extra in ([], ["--overwrite"]):
        result = CliRunner().invoke(prepare_app, arguments + extra, catch_exceptions=False)
        assert result.output == f"1 records from 1 files, 0 skipped: {out}\n"
    assert pq.read_table(out).to_pylist() == [
        {"id": "k1", "prefix": "a = ", "suffix": "\r\n", "middle_reference": "1é", "stars": 3}
        | {"gold": "1é"}
    ]
