"""The README's commands for Ray jobs, on the head that the first of them starts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.jobs.conftest import ROOT, Head, environment

README = (ROOT / "README.md").read_text(encoding="utf8")


def test_a_job_is_submitted_watched_and_seen_by_the_readmes_commands(
    head: Head, job_file: Path
) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    start, *commands = block.strip().splitlines()
    assert start == "ray start --head --metrics-export-port=8080"  # the fixture, on free ports
    address = {"RAY_AUTH_MODE": "disabled", "RAY_API_SERVER_ADDRESS": head.jobs}
    shown = []
    for command in commands:
        here = command.replace("http://127.0.0.1:8080/metrics", head.metrics)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", here],
            cwd=job_file.parent,
            env=environment(**address),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{here}\n{done.stdout}\n{done.stderr}"
        shown.append(done.stdout)
    assert "200 records in 10 shards: 200 ok" in shown[0]
    assert "out-ray/: complete" in shown[1]
    assert "ray_batchfim_rows_total{" in shown[2]
