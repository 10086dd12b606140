"""What `prepare code` takes as a source, what it leaves out, and what it says of bad ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.errors import InputError
from batchfim.formats.languages import EXTENSIONS, find_language
from batchfim.prepare import prepare_code
from batchfim.prepare.texts import LANGUAGES


def read(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def parquet(file: Path, **columns: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    (root / "b").mkdir(parents=True)
    (root / "b" / "z.go").write_text("package z\n\nfunc F() {\n\treturn\n}\n")
    (root / "a.py").write_text("x = 1\n")
    (root / "B.RS").write_text("fn f() {\n    g(1);\n}\n")
    return root


def test_what_is_no_source_is_skipped_and_counted(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("secret = 1\n")
    (folder / "file.py").symlink_to(outside / "secret.py")
    (folder / "folder").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "hook.py").write_text("hook = 1\n")
    (folder / "binary.py").write_bytes(b"a = 1\0\n")
    (folder / "latin.py").write_bytes("é = 1\n".encode("latin-1"))
    (folder / "empty.py").touch()
    (folder / "large.py").write_text("x = 1\n" * 100)
    (folder / "comments.py").write_text("# only\n\n")
    (folder / "README.md").write_text("text\n")
    os.mkfifo(folder / "pipe.py")
    (folder / os.fsdecode(b"\xff.py")).write_text("x = 1\n")
    parquet(folder / "data.parquet", code=["x = 1\n"])
    report = prepare_code(folder, tmp_path / "out", max_bytes=200)
    assert report.skipped == {
        "link": 3,
        "hidden folder": 1,
        "binary": 1,
        "not UTF-8": 1,
        "empty": 1,
        "over --max-bytes": 1,
        "no place for a hole": 1,
        "not source code": 1,
        "not a regular file": 1,
        "file name not UTF-8": 1,
        "Parquet, no --code-column": 1,
    }
    assert {row["path"] for row in read(tmp_path / "out")} == {"a.py", "b/z.go", "B.RS"}


def test_a_rarer_extension_is_read_as_its_language(tmp_path: Path) -> None:
    names = {"a.pyw": "python", "b.c++": "cpp", "c.CSX": "csharp", "d.tsx": "typescript"}
    (tmp_path / "src").mkdir()
    for name in names:
        (tmp_path / "src" / name).write_text("x = 1;\n")
    prepare_code(tmp_path / "src", tmp_path / "out", kinds=["line"])
    assert {row["path"]: row["language"] for row in read(tmp_path / "out")} == names


def test_a_source_has_the_grammar_that_its_path_tells() -> None:
    assert LANGUAGES.keys() == EXTENSIONS.keys()
    for extension, language in LANGUAGES.items():
        path = f"a{extension}"
        assert find_language(language, path) == find_language(None, path)


def test_max_bytes_counts_bytes_and_takes_the_exact_size(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("é = 1\n")
    assert prepare_code(tmp_path / "src", tmp_path / "out", max_bytes=7).num_files == 1
    with pytest.raises(InputError, match="over --max-bytes 1"):
        prepare_code(tmp_path / "src", tmp_path / "out2", max_bytes=6)


def test_language_filter_reads_only_those(folder: Path, tmp_path: Path) -> None:
    report = prepare_code(folder, tmp_path / "out", languages=["Python", "go"])
    assert {row["language"] for row in read(tmp_path / "out")} == {"python", "go"}
    assert report.skipped == {"other language": 1}


def test_parquet_folder_uses_path_and_language_where_present(tmp_path: Path) -> None:
    root = tmp_path / "data"
    parquet(root / "b" / "2.parquet", code=["x = 1\n", None, "y = 2\n"])
    parquet(
        root / "a.parquet",
        code=pa.array(["int x;\n", "z = 3\n"]).dictionary_encode(),
        path=["src/x.h", "src/z.py"],
        language=[None, "Python"],
    )
    parquet(root / "_batchfim" / "own.parquet", other=[1])
    report = prepare_code(root, tmp_path / "out", kinds=["line"])
    assert [(row["id"], row["path"], row["language"]) for row in read(tmp_path / "out")] == [
        ("a.parquet#0:0-6:line", "src/x.h", "c"),
        ("a.parquet#1:0-5:line", "src/z.py", "Python"),
        ("b/2.parquet#0:0-5:line", None, None),
        ("b/2.parquet#2:0-5:line", None, None),
    ]
    assert (report.num_files, report.skipped) == (4, {"null": 1})


def test_the_stacks_columns_are_known_and_a_language_has_many_names(tmp_path: Path) -> None:
    parquet(
        tmp_path / "data" / "0.parquet",
        content=["int x;\n", "y = 1\n"],
        max_stars_repo_path=["src/x.cc", "y.py"],
        lang=["C++", "Python"],
    )
    prepare_code(
        *(tmp_path / "data", tmp_path / "out"),
        kinds=["line"],
        code_column="content",
        languages=["cpp"],
    )
    (row,) = read(tmp_path / "out")
    assert (row["path"], row["language"]) == ("src/x.cc", "C++")


def test_equal_paths_in_parquet_still_give_unique_ids(tmp_path: Path) -> None:
    table = parquet(tmp_path / "t.parquet", code=["x = 1\n"] * 200, path=["setup.py"] * 200)
    prepare_code(table, tmp_path / "out", kinds=["line"])
    assert len({row["id"] for row in read(tmp_path / "out")}) == 200


def test_a_named_code_column_reads_a_mixed_folder_as_parquet(folder: Path, tmp_path: Path) -> None:
    parquet(folder / "data.parquet", content=["x = 1\n"])
    prepare_code(folder, tmp_path / "out", code_column="content", kinds=["line"])
    assert [row["id"] for row in read(tmp_path / "out")] == ["data.parquet#0:0-5:line"]


def test_a_parquet_text_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    raw = pa.array([b"\xff = 1\n", b"x = 1\n"])
    text = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    table = parquet(tmp_path / "t.parquet", code=text)
    report = prepare_code(table, tmp_path / "out", kinds=["line"])
    assert (report.num_rows, report.skipped) == (1, {"not UTF-8": 1})


def test_parquet_may_have_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "src" / os.fsdecode(b"a\xff.parquet")
    file.parent.mkdir()
    parquet(tmp_path / "t.parquet", code=["x = 1\n"]).rename(file)
    for source in (file, file.parent):
        prepare_code(source, tmp_path / "out", kinds=["line"], overwrite=True)
        assert [row["id"] for row in read(tmp_path / "out")] == [r"a\xff.parquet#0:0-5:line"]


def test_wrong_sources_are_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("x")
    zero = tmp_path / "zero.parquet"
    zero.touch()
    cut_short = parquet(tmp_path / "cut.parquet", code=["x = 1\n" * 1000])
    cut_short.write_bytes(cut_short.read_bytes()[:-20])
    other = parquet(tmp_path / "other.parquet", text=["a"], number=[1])
    no_rows = parquet(tmp_path / "none.parquet", code=pa.array([], pa.string()))
    for source, column, message in [
        (tmp_path / "gone", None, r"gone: no such file or folder"),
        (empty, None, r"empty: no source files in this folder; .*\.py"),
        (zero, None, r"zero.parquet: empty"),
        (
            cut_short,
            None,
            r"cut.parquet: cannot read the Parquet file after 0 good rows: .*copy it again",
        ),
        (other, None, r"other.parquet: no column 'code' \(the file has 'text', 'number'\)"),
        (other, "number", r"other.parquet: column 'number': expected text, found int64"),
        (no_rows, None, r"none.parquet: no record could be made \(it has no rows\)"),
    ]:
        with pytest.raises(InputError, match=message):
            prepare_code(source, tmp_path / "out", code_column=column)
    assert not (tmp_path / "out").exists()


def test_parquet_damaged_in_its_pages_leaves_nothing_behind(tmp_path: Path) -> None:
    lines = [f"x{n} = {n * 7919}\n" for n in range(2000)]
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"code": lines}), table, row_group_size=500, compression="zstd")
    content = bytearray(table.read_bytes())
    third = pq.ParquetFile(table).metadata.row_group(2).column(0)
    page = third.dictionary_page_offset or third.data_page_offset
    content[page : page + third.total_compressed_size] = b"\xff" * third.total_compressed_size
    table.write_bytes(content)
    with pytest.raises(
        InputError, match=r"t.parquet: cannot read the Parquet file after 9\d\d good rows"
    ):
        prepare_code(table, tmp_path / "out", kinds=["line"])
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
