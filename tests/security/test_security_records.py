"""Records are hostile text: no path in them becomes one on disk, none of it steers a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tests.e2e.conftest import LOCAL
from tests.fuzz.small_jobs import run_here
from tests.security.conftest import batchfim

PATHS = ["../../etc/passwd", "/etc/passwd", "a\0b", "..\\..\\x", "~/x", "file:///etc/passwd", ""]


def tree(folder: Path) -> dict[str, int]:
    """Every file and folder below, with its size."""
    return {str(path): path.lstat().st_size for path in sorted(folder.rglob("*"))}


def test_paths_in_records_never_become_paths_on_disk(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    path = inside / "records.parquet"
    columns = dict.fromkeys(("id", "path", "repo", "language"), PATHS)
    pq.write_table(pa.table(columns | {"prefix": PATHS, "suffix": PATHS}), path)
    before = tree(tmp_path)
    columns_set = tuple(f"input.columns.{name}={name}" for name in ("path", "repo", "language"))

    outcome = run_here(path, inside / "out", (*columns_set, "infill.trim=[syntax]"))

    assert not outcome.traceback
    assert sorted(outcome.column("path")) == sorted(PATHS)
    after = tree(tmp_path)
    new = {name for name in after if not name.startswith(str(inside / "out"))}
    assert new == set(before)
    names = {path.name for path in (inside / "out").rglob("*")}
    assert not any(text and text in name for name in names for text in PATHS)


def test_hostile_names_reach_the_terminal_as_printable_text(tmp_path: Path) -> None:
    name = "\x1b[2J\nerror: all is well\x07\u202e"
    folder = tmp_path / "records"
    folder.mkdir()
    pq.write_table(pa.table({name: ["x"], "suffix": ["y"]}), folder / "a.parquet")

    done = batchfim("run", "--input", folder, "--output", tmp_path / "out", "--model=demo", *LOCAL)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert r"\x1b[2J\nerror: all is well\x07\u202e" in done.stderr
    assert not set("\x1b\x07\u202e") & set(done.stderr)


def test_a_hostile_file_name_is_printable_in_log_and_error(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\nworker-9: all is well.parquet"
    text = "x" * 1000
    pq.write_table(pa.table({"prefix": [text], "suffix": [text]}), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:60] = os.urandom(1) * 56
    path.write_bytes(content)

    done = batchfim("run", "--input", path, "--output", tmp_path / "out", "--model=demo", *LOCAL)

    assert done.returncode == 1
    assert r"a\x1b[31m\nworker-9: all is well.parquet" in done.stderr
    assert "\x1b" not in done.stderr
    assert not any(line.startswith("worker-9") for line in done.stderr.splitlines())


def test_prompts_of_hostile_records_stay_in_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    pq.write_table(pa.table({"prefix": ["\x1b[2Jx"], "suffix": ["\x1b]0;y\x07"]}), path)
    done = batchfim("run", "--input", path, "--output", tmp_path / "out", "--model=demo", *LOCAL)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert ds.dataset(tmp_path / "out").to_table()["prefix"].to_pylist() == ["\x1b[2Jx"]
