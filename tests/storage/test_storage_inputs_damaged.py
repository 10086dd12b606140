"""Files that are no Parquet, or no longer, are named at the start of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchfim.config import Input
from batchfim.errors import InputError
from batchfim.storage.inputs import InputSet, open_inputs

Write = Callable[..., Path]


def opened(*paths: Path, **section: Any) -> InputSet:
    return open_inputs(Input(paths=tuple(map(str, paths)), **section))


@pytest.mark.parametrize("length", [1, 4, 7, 8, 11, -1, -4, -9])
def test_a_file_cut_short_is_said_to_be(write: Write, length: int) -> None:
    path = write()
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=f"{path}: .*(cut short|longer than the file)"):
        opened(path)


def test_an_empty_file_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    with pytest.raises(InputError, match=r"a\.parquet: the file is empty"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"prefix,suffix\n", b"x" * 10_000, b"PAR1"[::-1] * 4])
def test_what_is_not_parquet_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: not a Parquet file"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1PAR1", b"\0\0\0\0PAR1", b"PAR1\xff\0\0\0PAR1"])
def test_a_tail_that_lies_is_noticed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: the Parquet footer is damaged|cut short"):
        opened(tmp_path)


def test_a_footer_of_garbage_is_noticed(write: Write) -> None:
    path = write()
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[-8:-4], "little")
    content[-8 - length : -8] = b"\xff" * length
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{path}: the Parquet footer is damaged"):
        opened(path)


def test_a_column_name_that_is_no_text_is_noticed(write: Write) -> None:
    path = write(name_to_break=["x"] * 3)
    path.write_bytes(path.read_bytes().replace(b"name_to_break", b"\xe5ame_to_break"))
    with pytest.raises(InputError, match=rf"{path}: the Parquet footer is damaged: 'utf-8'"):
        opened(path)


def test_a_footer_whose_rows_do_not_add_up_is_noticed(write: Write) -> None:
    path = write(num_rows=33)
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    num_rows = content.index(b"\x16\x42", len(content) - 8 - length)  # zigzag of 33, as an i64
    path.write_bytes(content[: num_rows + 1] + b"\x40" + content[num_rows + 2 :])
    with pytest.raises(InputError, match="it says 32 rows, but its row groups add up"):
        opened(path)


def test_all_that_are_damaged_are_told_of_at_once(write: Write, tmp_path: Path) -> None:
    write("whole.parquet")
    for number in range(7):
        (tmp_path / f"{number}.parquet").touch()
    with pytest.raises(InputError, match=r"^7 input files cannot be read: ") as caught:
        opened(tmp_path)
    told = str(caught.value)
    assert [f"{number}.parquet: the file is empty" in told for number in range(7)] == [
        *([True] * 5),
        *([False] * 2),
    ]


def test_a_long_footer_is_read_whole(write: Write) -> None:
    columns = {f"{number:0200}": [1, 2, 3] for number in range(400)}
    path = write(**columns)
    assert int.from_bytes(path.read_bytes()[-8:-4], "little") > 1 << 16
    assert opened(path).kept.names == ["prefix", "suffix", *columns]
