"""A cluster that asks for its user's token, as `ray start` does where there is one."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.jobs.conftest import ROOT, free_port


@contextmanager
def started_ray(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Its address; it asks for the token that its user has at home."""
    port, log = free_port(), folder / "log"
    ray = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command = [*ray, "--include-dashboard=false", f"--port={port}", f"--temp-dir={folder}"]
    with (
        log.open("w") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process,
    ):
        try:
            while "will now block" not in log.read_text() and process.poll() is None:
                time.sleep(0.2)
            assert "Token authentication is enabled" in log.read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_cluster_that_asks_for_a_token_is_told_of_and_gets_it(
    job_file: Path, tmp_path: Path
) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "batchfim", "run", str(job_file), "--set", "schedule.pool=ray"]
    with tempfile.TemporaryDirectory(prefix="bf-") as folder, started_ray(Path(folder), own) as at:
        own["RAY_ADDRESS"] = at
        without = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, env=own)
        own["RAY_AUTH_MODE"] = "token"
        with_it = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, env=own)
    assert without.returncode == 2
    assert "set RAY_AUTH_MODE=token" in without.stderr
    assert with_it.returncode == 0, with_it.stderr
