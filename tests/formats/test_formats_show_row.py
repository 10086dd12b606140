"""`batchfim prompt --row`: a row of the input, read as a worker reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from batchfim.api import show_prompt, show_row
from batchfim.cli import app
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError, InputError
from batchfim.surroundings import ContextFile, Surroundings

LAYOUT = """
infill:
  format:
    layouts:
      own: ["{context}", {text: "{repo}/{path} ({language_name})\\n"}, "{prefix}", "{suffix}"]
    context_file: [{text: "{path}: {text}\\n"}]
    order: own
    stops: [<|endoftext|>]
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    files = [[], [{"path": "b.py", "text": "B = 2"}], None, []]
    texts = {"before": ["p0", "p1", "p2", None], "after": ["s0", "s1", "s2", "s3"]}
    places = {"file": ["a.py"] * 4, "name": ["lib"] * 4, "lang": ["cpp"] * 4, "others": files}
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(texts | places), tmp_path / "in" / "a.parquet", row_group_size=2)
    pq.write_table(pa.table(texts | places), tmp_path / "in" / "b.parquet")
    columns = "prefix: before, suffix: after, path: file, repo: name, language: lang"
    path = tmp_path / "job.yaml"
    path.write_text(
        f"input: {{paths: [{tmp_path}/in], columns: {{{columns}, context: others}}}}\n"
        f"output: {{path: {tmp_path}/out}}\nmodel: {{path: demo}}\n{LAYOUT}"
    )
    return path


def config(job: Path, *sets: str) -> JobConfig:
    return load_config(job, sets=sets)


def test_a_row_has_its_own_columns(job: Path) -> None:
    shown = show_row(config(job), 1)
    context = (ContextFile("b.py", "B = 2"),)
    around = Surroundings(path="a.py", repo="lib", language="cpp", context=context)
    place = {"source": f"{job.parent}/in/a.parquet", "row": 1}
    assert shown == show_prompt(config(job), "p1", "s1", around=around) | place
    texts = [piece["text"] for piece in shown["pieces"]]
    assert texts == ["b.py: B = 2\n", "lib/a.py (C++)\n", "p1", "s1"]
    assert not (job.parent / "out").exists()


def test_rows_of_every_row_group_are_there(job: Path) -> None:
    for row in range(3):
        assert f"p{row}" in [piece["text"] for piece in show_row(config(job), row)["pieces"]]


def test_a_row_that_is_no_record_says_why(job: Path) -> None:
    with pytest.raises(InputError, match=r"a\.parquet, row 3: column 'before' is null, .* rejects"):
        show_row(config(job), 3)
    with pytest.raises(InputError, match=r"a\.parquet: no row 4; it has 4, counted from 0"):
        show_row(config(job), 4)


def test_the_command(job: Path) -> None:
    shown = CliRunner().invoke(app, ["prompt", str(job), "--row", "0"], catch_exceptions=False)
    assert shown.output.startswith(f"{job.parent}/in/a.parquet, row 0\ncustom, order own")
    more = ["--input", f"{job.parent}/in/b.parquet", "--row", "2", "--json"]
    told = CliRunner().invoke(app, ["prompt", str(job), *more], catch_exceptions=False)
    assert json.loads(told.output)["source"].endswith("b.parquet")
    flags = ["--model", "demo", "--set", "input.columns={prefix: before, suffix: after}"]
    told = CliRunner().invoke(app, ["prompt", *flags, *more], catch_exceptions=False)
    assert json.loads(told.output)["family"] == "starcoder2"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--prefix", "p"],
        ["--row", "0", "--prefix", "p"],
        ["--row", "0", "--prefix", "p", "--suffix", "s"],
        ["--row", "0", "--path", "a.py"],
    ],
)
def test_texts_or_a_row_and_not_both(job: Path, options: list[str]) -> None:
    with pytest.raises(ConfigError, match="give --prefix and --suffix, or --row, whose texts"):
        CliRunner().invoke(app, ["prompt", str(job), *options], catch_exceptions=False)


def test_a_row_needs_an_input() -> None:
    with pytest.raises(ConfigError, match=r"required, but not given \(--input\)"):
        CliRunner().invoke(app, ["prompt", "--model", "demo", "--row", "0"], catch_exceptions=False)
