"""The demo writes into a folder of its own only."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfim.demo.demo import run_demo
from batchfim.errors import OutputError


@pytest.mark.parametrize("name", ["thesis.tex", "records/a.parquet", ".hidden"])
def test_a_folder_with_other_files_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=rf"{tmp_path}: contains other files; .*--output"):
        run_demo(tmp_path, workers=1)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / name).read_text() == "mine"
    assert capsys.readouterr().out == ""  # and nothing was begun
