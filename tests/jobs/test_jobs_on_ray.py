"""Jobs through the Ray Jobs API of a real head."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.dataset as ds

from tests.jobs.conftest import Head, Submit, ended, environment

SLOW = (
    "--set",
    "engine.simulated.decode_tokens_per_s=40",
    "--set",
    "engine.simulated.max_num_seqs=4",
)


def ids(output: Path) -> list[str]:
    return sorted(ds.dataset(output).to_table(columns=["id"])["id"].to_pylist())


def wait_for_parts(output: Path, process: subprocess.Popen[str], num: int) -> None:
    while len(list(output.glob("part-*.parquet"))) < num:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def test_a_job_is_submitted_followed_and_the_second_time_has_nothing_to_do(
    submit: Submit, tmp_path: Path
) -> None:
    out, err = ended(submit())
    assert "200 records in 10 shards: 200 ok" in out
    assert "submitted batchfim-infill-" in err
    assert ids(tmp_path / "out") == sorted(f"r{row}" for row in range(200))

    out, err = ended(submit())
    assert "nothing was left to do" in out
    assert "-2 at http" in err


def test_a_job_that_runs_is_followed_and_one_that_was_stopped_is_resumed(
    submit: Submit, tmp_path: Path, head: Head
) -> None:
    first = submit(*SLOW)
    wait_for_parts(tmp_path / "out", first, 2)
    first.kill()  # who follows may go: the job does not
    second = submit(*SLOW)
    assert second.stderr is not None
    said = second.stderr.readline()
    while not said.startswith("following "):
        said = second.stderr.readline()
    job_id = said.split()[1]
    stop = ["ray", "job", "stop", job_id, "--address", head.jobs]
    subprocess.run(stop, env=environment(RAY_AUTH_MODE="disabled"), check=True)
    ended(second, 143)
    summary = json.loads((tmp_path / "out" / "_batchfim" / "summary.json").read_text())
    assert 0 < summary["rows"]["ok"] < 200

    ended(submit(*SLOW))
    summary = json.loads((tmp_path / "out" / "_batchfim" / "summary.json").read_text())
    assert ids(tmp_path / "out") == sorted(f"r{row}" for row in range(200))
    assert sum(run["records"] for run in summary["runs"]) == 200  # nothing was done twice


def test_a_benchmark_is_submitted_like_a_job(submit: Submit, tmp_path: Path) -> None:
    out, err = ended(submit("--entry", "bench"))
    assert "submitted batchfim-bench-" in err
    assert out.count('"records_per_s"') == 3
    assert not (tmp_path / "out").exists()


def test_failed_rows_are_retried_like_a_job(submit: Submit, tmp_path: Path) -> None:
    ended(submit("--set", "engine.simulated.fail_if_contains=f17"), 3)
    out, err = ended(submit("--entry", "retry"))
    assert "submitted batchfim-retry-" in err
    assert "200 ok, 0 rejected, 0 failed" in out


def test_the_exit_code_is_the_jobs(submit: Submit) -> None:
    out, _ = ended(submit("--set", "input.paths=nowhere.parquet"), 2)
    assert "nowhere.parquet" in out


def test_an_address_where_nobody_answers(submit: Submit) -> None:
    _, err = ended(submit(address="http://127.0.0.1:1"), 2)
    assert "error: no Ray Jobs API at http://127.0.0.1:1: " in err


def test_a_dry_run_prints_what_would_be_submitted(submit: Submit, tmp_path: Path) -> None:
    out, _ = ended(submit("--dry-run", address="http://127.0.0.1:1"))
    shown = json.loads(out)
    assert shown["entrypoint"] == "python -m jobs.infill --job-file job.yaml"
    assert shown["job"]["output"]["path"] == str(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cluster_of_another_version_is_refused_before_anything_is_sent(submit: Submit) -> None:
    asked = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            data = b'{"version": "4", "ray_version": "2.9.3", "ray_commit": "x"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, err = ended(submit(address=f"http://127.0.0.1:{server.server_port}"), 2)
        server.shutdown()
    assert ": version 2.9.3, but " in err
    assert set(asked) == {"/api/version"}
