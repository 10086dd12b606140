"""Which files a path, a folder or a pattern means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batchfim.config import Input
from batchfim.errors import InputError
from batchfim.storage.inputs import open_inputs

Write = Callable[..., Path]
TREE = [
    "a.parquet",
    "b1.parquet",
    "b2.parquet",
    "sub/c.parquet",
    "sub/deep/d.parquet",
    "e.parquet.bak",
    "notes.txt",
    "_f.parquet",
    ".g.parquet",
    "_batchfim/h.parquet",
    ".cache/deep/i.parquet",
]


@pytest.fixture
def tree(write: Write, tmp_path: Path) -> Path:
    for name in TREE:
        write(name)
    return tmp_path


def found(*paths: str) -> list[str]:
    return [file.path for file in open_inputs(Input(paths=paths)).files]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["a", "b1", "b2", "sub/c", "sub/deep/d"]),
        ("/", ["a", "b1", "b2", "sub/c", "sub/deep/d"]),
        ("/sub", ["sub/c", "sub/deep/d"]),
        ("/a.parquet", ["a"]),
        ("/*.parquet", ["a", "b1", "b2"]),
        ("/b?.parquet", ["b1", "b2"]),
        ("/*/*.parquet", ["sub/c"]),
        ("/**/*.parquet", ["a", "b1", "b2", "sub/c", "sub/deep/d"]),
        ("/sub/**/d.parquet", ["sub/deep/d"]),
        ("/s*b/**/*.parquet", ["sub/c", "sub/deep/d"]),
        ("/sub/**", ["sub/c", "sub/deep/d"]),
        ("/*", ["a", "b1", "b2"]),
        ("/?.p*t", ["a"]),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_patterns(tree: Path, scheme: str, pattern: str, names: list[str]) -> None:
    assert found(f"{scheme}{tree}{pattern}") == [f"{tree}/{name}.parquet" for name in names]


def test_a_hidden_file_named_outright_is_meant(tree: Path) -> None:
    assert found(f"{tree}/_f.parquet") == [f"{tree}/_f.parquet"]


def test_several_paths_keep_their_order_and_count_a_file_once(tree: Path) -> None:
    other_name = tree / "link.parquet"
    other_name.symlink_to(tree / "a.parquet")
    paths = [f"{tree}/b2.parquet", f"{tree}/?.parquet", f"{tree}/sub/../b2.parquet"]
    assert found(*paths, str(other_name)) == [f"{tree}/b2.parquet", f"{tree}/a.parquet"]


def test_relative_paths(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert found("sub/c.parquet", "*.parquet") == [
        f"{tree}/{name}.parquet" for name in ("sub/c", "a", "b1", "b2")
    ]
    assert found(".") == found(str(tree))


@pytest.mark.parametrize("path", ["none", "none/*.parquet", "z*.parquet", "empty"])
def test_a_path_without_parquet_is_named(tree: Path, path: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match=r"no such file|no Parquet files") as caught:
        found(f"{tree}/{path}")
    assert str(caught.value).startswith(f"{tree}/{path}: ")


def test_characters_of_other_pattern_languages_are_plain(write: Write, tmp_path: Path) -> None:
    name = "x[1]{a,b}+(c)^$.parquet"
    write(name)
    write("x1.parquet")
    assert found(f"{tmp_path}/x[1]*.parquet") == [f"{tmp_path}/{name}"]
    assert found(f"{tmp_path}/{name}") == [f"{tmp_path}/{name}"]


@pytest.mark.parametrize("name", ["a%41", "c#1", "what?", "x?y=1", "a b"])
def test_what_a_url_of_a_folder_lists_is_what_is_opened(
    write: Write, tmp_path: Path, name: str
) -> None:
    path = write(f"in/{name}/{name}.parquet")
    folder = (tmp_path / "in").as_uri()
    assert found(folder) == found(f"{folder}/**/*.parquet") == [str(path)]


def test_a_link_to_nothing_is_named_and_not_left_out(tree: Path) -> None:
    (tree / "sub" / "gone.parquet").symlink_to(tree / "no-such-file")
    (tree / "_gone.parquet").symlink_to(tree / "no-such-file")
    for path in (f"{tree}", f"{tree}/**/*.parquet", f"{tree}/sub/g*"):
        with pytest.raises(InputError, match=r"sub/gone\.parquet: dangling symlink"):
            found(path)
    assert len(found(f"{tree}/*.parquet")) == 3


def test_a_name_with_a_wildcard_in_it_is_a_name_where_it_is_there(write: Write) -> None:
    path = write("q?m*/a.parquet")
    write("qum/b.parquet")
    assert found(str(path.parent)) == found(str(path)) == [str(path)]


def test_the_output_of_a_job_can_be_the_input_of_another(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write("out/part-0.parquet")
    (tmp_path / "out" / "_batchfim").mkdir()
    files = open_inputs(Input(paths=(str(tmp_path / "out"),))).files
    assert [file.num_rows for file in files] == [3]


def test_a_rows_bytes_are_those_of_one_row(write: Callable[..., Path], tmp_path: Path) -> None:
    texts = [f"{row:0200}" for row in range(500)]
    write(num_rows=500, prefix=texts)
    (file,) = open_inputs(Input(paths=(str(tmp_path),))).files
    assert 200 < file.row_bytes < 300
