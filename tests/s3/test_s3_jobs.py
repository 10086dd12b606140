"""Whole jobs on a real S3 server that fails: every row once, or a clear end and a later run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchfim.api import run_job
from batchfim.config import Input
from batchfim.config.files import load_config
from batchfim.errors import InputError
from batchfim.models.files import demo_model_path
from batchfim.storage.inputs import open_inputs
from tests.e2e.conftest import LOCAL, Cli, cli  # noqa: F401 - a fixture
from tests.s3.proxy import Fault
from tests.s3.server import S3

NUM_ROWS = 120
Job = Callable[..., str]


@pytest.fixture
def job(s3: S3, bucket: str, tmp_path: Path, cli: Cli) -> Job:  # noqa: F811
    """Run a job from bucket to bucket to an exit code; returns what it said on stderr."""
    folder = tmp_path / "records"
    folder.mkdir()
    for start in range(0, NUM_ROWS, 60):
        rows = range(start, start + 60)
        texts = [f"def f{row}():" for row in rows]
        table = pa.table({"id": list(rows), "prefix": texts, "suffix": ["\n"] * 60})
        pq.write_table(table, folder / f"{start}.parquet", row_group_size=20)
    s3.upload(folder, f"{bucket}/in")

    def run(*more: object, code: int = 0, model: str = "demo") -> str:
        places = ("--input", f"{bucket}/in", "--output", f"{bucket}/out", "--model", model)
        done = cli("run", *places, *LOCAL, "--set", "schedule.shard_rows=20", *more, code=code)
        assert "Traceback" not in done.stderr
        assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in done.stderr + done.stdout
        return done.stderr

    return run


def ids(s3: S3, bucket: str) -> list[int]:
    table = s3.table(f"{bucket}/out")
    assert set(table["status"].to_pylist()) == {"ok"}
    return sorted(table["id"].to_pylist())


@pytest.mark.parametrize(
    "fault", [Fault.BUSY, Fault.ERROR, Fault.RESET, Fault.LOST, Fault.CUT, Fault.LATE]
)
def test_every_row_is_there_once_where_a_tenth_of_the_requests_fails(
    s3: S3, bucket: str, job: Job, fault: Fault
) -> None:
    s3.proxy.fail(fault, share=0.1)
    job()
    assert s3.proxy.num_faults > 5
    assert ids(s3, bucket) == list(range(NUM_ROWS))
    names = s3.names(f"{bucket}/out")
    assert "_batchfim/_SUCCESS" in names
    assert not [name for name in names if name.endswith(".tmp") or "/staging/" in name]


ODD = ["a%41", "c#1", "what?", "d e+f&g", "é;h"]


def test_keys_may_hold_characters_that_mean_something_in_urls(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    for number, name in enumerate(ODD):
        table = pa.table({"id": [number], "prefix": ["def f():"], "suffix": ["\n"]})
        path = tmp_path / "in" / name / f"{name}.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
    s3.upload(tmp_path / "in", f"{bucket}/in")
    places = {"input.paths": [f"{bucket}/in"], "model.path": "demo"}
    settings = ("engine.backend=simulated", "schedule.pool=local", "output.source=true")
    for output in (f"{bucket}/exp#1/", f"{bucket}/exp#2/?scheme=http"):
        run_job(load_config(None, {**places, "output.path": output}, settings))
    for output in ("exp#1", "exp#2"):
        rows = s3.table(f"{bucket}/{output}").sort_by("id")
        assert rows["source_file"].to_pylist() == [f"{bucket}/in/{n}/{n}.parquet" for n in ODD]
    assert {name.partition("/")[0] for name in s3.names(bucket)} == {"in", "exp#1", "exp#2"}


def test_a_key_that_looks_like_a_url_with_an_option_is_named(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"prefix": ["a"], "suffix": ["b"]}), tmp_path / "a?x=1.parquet")
    s3.upload(tmp_path, f"{bucket}/in")
    told = rf"^{bucket}/in/a\?x=1\.parquet: .* rename the file, leaving out the `\?`$"
    for query in ("", "?region=us-east-1"):
        with pytest.raises(InputError, match=told):
            open_inputs(Input(paths=(f"{bucket}/in{query}",)))


def test_a_storage_that_is_gone_for_good_ends_the_run_and_the_next_completes_it(
    s3: S3, bucket: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHFIM_STORAGE_RETRY_S", "2")
    s3.proxy.fail(Fault.RESET, matching=f"PUT /{bucket[5:]}/out/part-")
    said = job(code=1)
    assert re.search(rf"{bucket}/out/part-\w+\.parquet: .*run the same command again", said), said
    s3.proxy.heal()
    monkeypatch.delenv("BATCHFIM_STORAGE_RETRY_S")
    job()
    assert ids(s3, bucket) == list(range(NUM_ROWS))


def test_a_sort_of_the_input_outlives_a_storage_that_fails_for_a_while(
    s3: S3, bucket: str, job: Job
) -> None:
    s3.proxy.fail(Fault.ERROR, times=8, matching=f"PUT /{bucket[5:]}/out/_batchfim/regrouped/")
    job("--set", "planning.regroup=content", "--set", "schedule.pool=ray")
    assert s3.proxy.num_faults == 8
    assert ids(s3, bucket) == list(range(NUM_ROWS))


def test_a_model_at_a_url_is_copied_once(
    s3: S3, bucket: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    s3.upload(demo_model_path(), f"{bucket}/starcoder2-demo")
    for _ in range(2):
        job("--set", "schedule.workers=2", model=f"{bucket}/starcoder2-demo/")
    assert ids(s3, bucket) == list(range(NUM_ROWS))
    weights = f"/{bucket[5:]}/starcoder2-demo/model.safetensors"
    assert len([request for request in s3.proxy.requests if request == f"GET {weights}"]) == 1


def test_secrets_of_the_environment_are_not_in_the_ledger(s3: S3, bucket: str, job: Job) -> None:
    job()
    for name in s3.names(f"{bucket}/out/_batchfim"):
        with s3.direct.open_input_file(f"{bucket[5:]}/out/_batchfim/{name}") as file:
            content = file.read()
        assert s3.environment["AWS_SECRET_ACCESS_KEY"].encode() not in content
        assert s3.environment["AWS_ACCESS_KEY_ID"].encode() not in content


def test_status_verify_and_retry_work_there_too(
    s3: S3,
    bucket: str,
    job: Job,
    cli: Cli,  # noqa: F811
) -> None:
    job("--set", "engine.simulated.fail_if_contains=f7()", code=3)
    status = json.loads(cli("status", f"{bucket}/out", "--json").stdout)
    assert status["state"] == "complete with failed rows"
    assert (status["rows"]["done"], status["rows"]["failed"]) == (NUM_ROWS - 1, 1)
    s3.proxy.fail(Fault.BUSY, Fault.LOST, share=0.1)
    cli("retry", f"{bucket}/out", "--set", "engine.simulated.fail_if_contains=null")
    s3.proxy.heal()
    assert ids(s3, bucket) == list(range(NUM_ROWS))
    cli("verify", f"{bucket}/out")
    cli("report", f"{bucket}/out")
    place = f"{bucket.removeprefix('s3://')}/out/_batchfim/report.html"
    with s3.direct.open_input_stream(place) as page:
        assert page.metadata()["Content-Type"].startswith(b"text/html")
        assert b'data-figure="rows.ok" data-value="120"' in page.read()
    assert json.loads(cli("status", f"{bucket}/out", "--json").stdout)["state"] == "complete"


def test_an_output_on_s3_is_evaluated_there(s3: S3, bucket: str, job: Job, cli: Cli) -> None:  # noqa: F811
    job()
    first, again = (cli("evaluate", f"{bucket}/out", "--json").stdout for _ in range(2))
    assert json.loads(first)["overall"]["rows"] == NUM_ROWS
    assert first == again
    scores = s3.table(f"{bucket}/out/_batchfim/evaluation")
    assert scores.num_rows == NUM_ROWS
