"""A model's own Python code is not run unless the job says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from batchfim.models.files import demo_model_path
from tests.fuzz.small_jobs import SETTINGS
from tests.security.conftest import batchfim

CODE = "import pathlib\npathlib.Path({marker!r}).touch()\nclass Mine: pass\n"
AUTO_MAP = {
    "AutoConfig": "mine.Mine",
    "AutoModelForCausalLM": "mine.Mine",
    "AutoTokenizer": ["mine.Mine", "mine.Mine"],
}


@pytest.fixture(params=["with tokenizer.json", "with a Python tokenizer"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the demo model whose config points to code that leaves a file `executed`."""
    folder = tmp_path / "starcoder2-mine"
    shutil.copytree(demo_model_path(), folder)
    (folder / "mine.py").write_text(CODE.format(marker=str(tmp_path / "executed")))
    (folder / "tokenization_mine.py").write_text(CODE.format(marker=str(tmp_path / "executed")))
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        tree = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(tree | {"auto_map": AUTO_MAP, "tokenizer_class": "Mine"}))
    if "Python" in request.param:
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.json").write_text("{}")
    return folder


@pytest.mark.parametrize("command", ["families", "prompt", "run"])
def test_code_in_a_model_folder_is_not_executed(
    model: Path, records: Path, tmp_path: Path, command: str
) -> None:
    sets = [part for setting in SETTINGS for part in ("--set", setting)]
    args = {
        "families": [model],
        "prompt": ["--model", model, "--prefix", "a", "--suffix", "b"],
        "run": ["--input", records, "--output", tmp_path / "out", "--model", model, *sets],
    }[command]
    done = batchfim(command, *args)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.fixture
def records(tmp_path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "records.parquet"
    pq.write_table(pa.table({"prefix": ["a"], "suffix": ["b"]}), path)
    return path
