"""`prepare code`: folders and Parquet in, records out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from batchfim.errors import ConfigError
from batchfim.prepare import Kind, prepare_code
from batchfim.prepare.cli import prepare_app

PYTHON = "import os\n\n\ndef f(x):\n    return os.path.join(x, 'é')\n"
COLUMNS = ["id", "prefix", "suffix", "middle_reference", "language", "path", "kind"]
PIECES = ["a = 1", "é", "名", "😀", " ", "\t", "\n", "\r\n", "\r", "\x0c", "\u2028", "# c", "}"]
# With and without a byte order mark and a final newline.
FILES = st.builds(
    lambda mark, pieces: (mark + "a" + "".join(pieces)).encode(),
    st.sampled_from(["", "\ufeff"]),
    st.lists(st.sampled_from(PIECES), max_size=30),
)


def read(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def whole(row: dict[str, str]) -> bytes:
    return (row["prefix"] + row["middle_reference"] + row["suffix"]).encode()


def parquet(file: Path, **columns: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    (root / "b").mkdir(parents=True)
    (root / "b" / "z.go").write_text("package z\n\nfunc F() {\n\treturn\n}\n")
    (root / "a.py").write_text(PYTHON)
    (root / "B.RS").write_text("fn f() {\n    g(1);\n}\n")
    return root


def test_folder_gives_each_kind_from_each_file(folder: Path, tmp_path: Path) -> None:
    report = prepare_code(folder, tmp_path / "out", kinds=list(Kind))
    table = pq.read_table(tmp_path / "out")
    rows = table.to_pylist()
    assert table.schema == pa.schema([(name, pa.string()) for name in COLUMNS])
    assert [(row["path"], row["language"]) for row in rows[::4]] == [
        ("B.RS", "rust"),
        ("a.py", "python"),
        ("b/z.go", "go"),
    ]
    assert report.rows_by_kind == {"line": 3, "half_line": 3, "multi_line": 3, "random_span": 3}
    assert (report.num_rows, report.num_files, report.skipped) == (12, 3, {})
    for row in rows:
        start = len(row["prefix"])
        end = start + len(row["middle_reference"])
        assert row["id"] == f"{row['path']}:{start}-{end}:{row['kind']}"


@settings(deadline=None, max_examples=40)
@given(st.lists(FILES, min_size=1, max_size=6))
def test_records_make_the_files_byte_for_byte(contents: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, out = Path(name, "src"), Path(name, "out")
        root.mkdir()
        files = {f"{number}.py": content for number, content in enumerate(contents)}
        for file, content in files.items():
            (root / file).write_bytes(content)
        prepare_code(root, out, kinds=list(Kind), per_file=2)
        rows = read(out)
    assert {row["path"] for row in rows} == set(files)
    for row in rows:
        assert whole(row) == files[row["path"]]


def test_holes_do_not_depend_on_other_files_options_or_form(folder: Path, tmp_path: Path) -> None:
    prepare_code(folder, tmp_path / "all", per_file=2)
    lone = tmp_path / "lone"
    lone.mkdir()
    shutil.copy(folder / "a.py", lone)
    prepare_code(lone, tmp_path / "one", kinds=["random_span", "line"])
    table = parquet(tmp_path / "t.parquet", code=["x = 1\n", PYTHON], path=["x.py", "a.py"])
    prepare_code(table, tmp_path / "table", kinds=["random_span"])
    wanted = {row["id"]: row for row in read(tmp_path / "all") if row["path"] == "a.py"}
    for row in read(tmp_path / "one"):
        assert row == wanted[row["id"]]
    (from_table,) = (row for row in read(tmp_path / "table") if row["path"] == "a.py")
    same = {**from_table, "id": from_table["id"].replace("t.parquet#1", "a.py")}
    assert same == wanted[same["id"]]


def test_same_run_same_bytes_under_any_hash_seed(folder: Path, tmp_path: Path) -> None:
    call = "import sys; from pathlib import Path; from batchfim.prepare import prepare_code; "
    call += "prepare_code(Path(sys.argv[1]), Path(sys.argv[2]), per_file=3)"
    for seed in ("1", "2"):
        command = [sys.executable, "-c", call, str(folder), str(tmp_path / seed)]
        checkout = Path(__file__).parents[2]
        subprocess.run(
            command, check=True, cwd=checkout, env={**os.environ, "PYTHONHASHSEED": seed}
        )
    first, second = (tmp_path / seed / "records-00000.parquet" for seed in ("1", "2"))
    assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_other_holes(folder: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        prepare_code(folder, tmp_path / str(seed), kinds=["random_span"], seed=seed)
    ids = [{row["id"] for row in read(tmp_path / str(seed))} for seed in (0, 1)]
    assert ids[0] != ids[1]


def test_per_file_gives_that_many_different_holes_or_all_there_are(tmp_path: Path) -> None:
    root = tmp_path / "src"
    root.mkdir()
    (root / "long.py").write_text("".join(f"x{n} = {n}\n" for n in range(50)))
    (root / "short.py").write_text("".join(f"x{n} = {n}\n" for n in range(5)))
    report = prepare_code(root, tmp_path / "out", kinds=["line", "line"], per_file=6)
    ids = [row["id"] for row in read(tmp_path / "out")]
    assert len(ids) == len(set(ids)) == report.num_rows == 6 + 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["line", "word"]}, "unknown kind 'word'.*line, half_line, multi_line, random"),
        ({"kinds": []}, "no kind"),
        ({"per_file": 0}, "--per-file 0"),
        ({"max_bytes": 0}, "--max-bytes 0"),
        ({"languages": ["pyhton"]}, "unknown language 'pyhton'.*python"),
    ],
)
def test_wrong_options_are_named(
    folder: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare_code(folder, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_command_prints_one_line_of_counts(folder: Path, tmp_path: Path) -> None:
    (folder / "empty.py").touch()
    out = tmp_path / "out"
    arguments = ["code", str(folder), "-o", str(out), "--kind", "line", "--kind", "half_line"]
    arguments += ["--seed", "7", "--per-file", "1", "--language", "python", "--max-bytes", "999"]
    result = CliRunner().invoke(prepare_app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output == (
        f"2 records (half_line 1, line 1) from 1 files, "
        f"3 skipped (empty 1, other language 2): {out}\n"
    )


def test_command_lets_errors_through(folder: Path, tmp_path: Path) -> None:
    arguments = ["code", str(folder), "-o", str(tmp_path / "out"), "--kind", "word"]
    with pytest.raises(ConfigError, match="unknown kind 'word'"):
        CliRunner().invoke(prepare_app, arguments, catch_exceptions=False)
