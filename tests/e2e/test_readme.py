"""Every command of README.md, then of the others, runs, in its order, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import shared_data

ROOT = Path(__file__).parents[2]
NAMES = ("README.md", "GUIDE.md", "GUARANTEES.md", "benchmarks/RESULTS.md")
DOCS = "".join((ROOT / name).read_text(encoding="utf8") for name in NAMES)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


def run(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_two_commands() -> None:
    """`make test` is what runs this; `make demo` runs in the checkout, where its Makefile is."""
    assert blocks("sh")[0].split("\n") == ["make demo", "make test", ""]
    shown = run("make demo", ROOT)
    assert shown.count("original") >= 3
    assert " 0 rejected, 0 failed" in shown
    assert "demo-out/out/_batchfim/summary.json" in shown.replace("\n", "")


def test_use_and_config(tmp_path: Path) -> None:
    data = shared_data("humaneval-infilling/HumanEval-SingleLineInfilling.jsonl.gz")
    (tmp_path / data.name).symlink_to(data)
    project = tmp_path / "my-project"
    project.mkdir()
    (project / "adding.py").write_text("def add(a, b):\n    total = a + b\n    return total\n")
    (tmp_path / "job.yaml").write_text(blocks("yaml")[0])

    for block in blocks("sh")[1:]:
        for command in block.strip().splitlines():
            run(command, tmp_path)

    assert list((tmp_path / "out").glob("part-*.parquet"))
    assert (tmp_path / "out-2" / "_batchfim" / "_SUCCESS").exists()


def test_python(tmp_path: Path, records: Path) -> None:
    """With the simulated engine: the commands above are what runs the real one."""
    script = tmp_path / "script.py"
    model, simulated = '"model": {"path": "demo"},', '"engine": {"backend": "simulated"},'
    shown = []
    for block in blocks("python"):
        assert model in block
        script.write_text(block.replace(model, f"{model} {simulated}"))
        shown.append(run("python script.py", tmp_path))
    assert "0 {'rows': 200, 'ok': 200," in shown[0]
    assert (tmp_path / "out-python" / "_batchfim" / "report.html").exists()
    assert shown[1].splitlines()[-1] == "200"


def test_stop_and_trim_rules(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(blocks("yaml")[0] + blocks("yaml")[1])
    assert "suffix_start" in run("batchfim config job.yaml", tmp_path)


def test_a_format_of_ones_own(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(blocks("yaml")[0] + blocks("yaml")[2])
    assert "<PRE>" in run("batchfim config job.yaml", tmp_path)


@pytest.mark.parametrize("path", re.findall(r"`((?:tests|benchmarks)/[\w/.]*)`", DOCS))
def test_what_it_points_to_exists(path: str) -> None:
    assert (ROOT / path).exists()
