"""Whole plans with the simulated engine: what is foretold of tokens, and what is said of the rest.

No test looks at a time that was foretold: that is measured by hand, as the README says.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from batchfim.accounts.summary_text import summary_text
from batchfim.api import plan_job
from batchfim.cli import app
from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError, InputError, OutputError
from batchfim.forecast.estimate import Estimate
from batchfim.forecast.speed import speed_of
from batchfim.forecast.text import forecast_text
from tests.jobs_in_process import SETTINGS, Job
from tests.models.test_models_adapters import adapter

ROWS = 400


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """400 records of 80 files, each with five holes; each twentieth row has no suffix."""
    new = Job(tmp_path / "records", tmp_path / "out")
    files = [f"# file {row // 5}\n" + "x = 1\n" * (row // 5 % 40) for row in range(ROWS)]
    new.write(
        "a.parquet",
        range(ROWS),
        prefix=[f"{text}def f{row % 5}(x):\n    return " for row, text in enumerate(files)],
        suffix=[f"\n\nprint(f{row}(1))\n" if row % 20 else None for row in range(ROWS)],
        middle_reference=[f"x + {row}" for row in range(ROWS)],
    )
    return new


def config(job: Job, *sets: str) -> JobConfig:
    flags = {
        "input.paths": [str(job.records)],
        "output.path": str(job.output),
        "model.path": "demo",
    }
    return load_config(None, flags, (*SETTINGS, "schedule.shard_rows=20", *sets))


def elsewhere(job: Job) -> Job:
    """The same records, with an output in which nothing is done."""
    return replace(job, output=job.output.with_name("out-2"))


def holds(interval: dict[str, float], value: float) -> bool:
    return interval["low"] <= value <= interval["high"]


def test_tokens_are_foretold_from_a_sample_and_compared_after_the_run(job: Job) -> None:
    told = plan_job(config(job), sample_rows=200, calibration_rows=200)
    assert told["sample"] == {"rows": 200, "of": ROWS, "blocks": 10, "seed": 0}
    assert (told["rows"], told["shards"]) == (ROWS, 20)
    summary = job.run("schedule.shard_rows=20").summary
    for name in ("prompt", "computed", "completion"):
        assert told["tokens"][name]["value"] == pytest.approx(summary["tokens"][name], rel=0.15)
    assert holds(told["tokens"]["prompt"], summary["tokens"]["prompt"])
    assert holds(told["tokens"]["completion"], summary["tokens"]["completion"])
    lines = {line["label"]: line for line in summary["forecast"]}
    assert lines["prompt tokens"]["predicted"] == told["tokens"]["prompt"]["value"]
    assert lines["prompt tokens"]["actual"] == summary["tokens"]["prompt"]
    assert "wall clock" in lines
    text = summary_text(summary, str(job.output))
    assert f"prompt tokens {lines['prompt tokens']['predicted']:,.0f} vs." in text


def test_of_all_rows_and_an_earlier_runs_lengths_tokens_are_exact(job: Job) -> None:
    earlier = job.run("schedule.shard_rows=20").summary
    told = plan_job(config(elsewhere(job)), speed_from=str(job.output))
    for name in ("prompt", "computed", "completion"):
        assert told["tokens"][name]["value"] == pytest.approx(earlier["tokens"][name])
    assert told["prompt_tokens"] == pytest.approx(earlier["sizes"]["prompt_tokens"])
    assert told["shares"]["refused"]["value"] == 0.05
    assert told["shares"]["truncated"] == {"value": 0, "low": 0, "high": 0}


def test_what_no_sampled_row_is_may_still_be_some_of_the_others(job: Job) -> None:
    job.write("a.parquet", range(2000))
    told = plan_job(config(elsewhere(job)), sample_rows=100)
    assert told["shares"]["truncated"]["value"] == 0
    assert told["shares"]["truncated"]["high"] == pytest.approx(0.03, rel=0.4)
    assert all(share["high"] <= 1 for share in told["shares"].values())


def sharing(job: Job, *sets: str) -> dict[str, dict[str, Any]]:
    return {way["way"]: way for way in plan_job(config(job, *sets))["sharing"]}


def test_orders_are_told_apart_by_what_their_prompts_share(job: Job) -> None:
    ways = sharing(job, "engine.max_model_len=200")
    own, other = ways["as set"], ways["infill.order: spm_v2"]
    assert own["distinct_over_total"] < other["distinct_over_total"] - 0.1
    assert ways["infill.order: auto"]["distinct_over_total"] <= own["distinct_over_total"]


def test_aligned_cuts_are_told_of_where_the_context_has_room_for_them(job: Job) -> None:
    job.write("a.parquet", range(20), prefix=["x = 1\n" * rows for rows in range(40, 100, 3)])
    ways = sharing(job, "engine.max_model_len=420", "infill.truncation.prefix_share=1")
    own, aligned = ways["as set"], ways["infill.truncation.align: 256"]
    assert aligned["cut_tokens_per_row"] > own["cut_tokens_per_row"] > 0
    assert "infill.truncation.align: 256" not in sharing(job, "engine.max_model_len=420")


def test_copies_are_foretold(tmp_path: Path) -> None:
    job = Job(tmp_path / "records", tmp_path / "out")
    same = {"prefix": ["a = "] * 40, "suffix": ["\n"] * 40, "middle_reference": ["x + 1"] * 40}
    job.write("a.parquet", range(40), **same)
    told = plan_job(config(job, "sampling.max_tokens=1"))
    assert told["shares"]["copied"]["value"] == 38 / 40
    assert told["tokens"]["completion"]["value"] == 2
    assert (
        told["tokens"]["computed"]["value"]
        == job.run("schedule.shard_rows=20").summary["tokens"]["computed"]
    )


def test_rows_that_other_rules_would_stop_elsewhere_are_no_copies(tmp_path: Path) -> None:
    """The hole's line is cut off the prompt, and `block` goes by its indentation."""
    job, line = Job(tmp_path / "records", tmp_path / "out"), "x = [1, 2, 3], " * 50
    indented = [f"    {line}" if row % 2 else line for row in range(20)]
    job.write("a.parquet", range(20), prefix=indented, suffix=["\n"] * 20)
    sets = ("engine.max_model_len=80", "sampling.max_tokens=20", "infill.stop=[eot,block]")
    told = plan_job(config(job, *sets))
    summary = job.run("schedule.shard_rows=20", *sets).summary
    assert told["shares"]["copied"]["value"] == summary["rows"]["copied"] / 20 == 18 / 20
    assert told["tokens"]["computed"]["value"] == summary["tokens"]["computed"]


@pytest.mark.parametrize("samples", [1, 3])
def test_what_is_drawn_is_computed_for_every_row_and_sample(tmp_path: Path, samples: int) -> None:
    job = Job(tmp_path / "records", tmp_path / "out")
    job.write("a.parquet", range(40), prefix=["a = "] * 40, suffix=["\n"] * 40)
    sets = ("sampling.temperature=1", f"sampling.n={samples}")
    told = plan_job(config(job, *sets))
    tokens = job.run("schedule.shard_rows=20", *sets).summary["tokens"]
    assert told["tokens"]["prompt"]["value"] == tokens["prompt"]
    assert told["tokens"]["computed"]["value"] == tokens["computed"] == tokens["prompt"]
    assert told["sharing"][0]["computed_over_total"] == 1


@pytest.mark.parametrize(
    ("sets", "again"), [((), 0), (("sampling.temperature=1", "sampling.n=2"), 39)]
)
@pytest.mark.parametrize("block", [1, 16, 64])
def test_a_prompt_that_comes_again_is_computed_from_its_last_block_on(
    tmp_path: Path, sets: tuple[str, ...], again: int, block: int
) -> None:
    job = Job(tmp_path / "records", tmp_path / "out")
    job.write("a.parquet", range(20), prefix=["x = 1\n" * 40] * 20, suffix=["\n"] * 20)
    vllm = ("engine.backend=vllm", f"engine.args.block_size={block}")
    told = plan_job(config(job, *vllm, *sets))
    length = told["tokens"]["prompt"]["value"] / told["rows"]
    last = (length - 1) % block + 1
    assert told["tokens"]["computed"]["value"] == length + again * last
    (own, *_) = told["sharing"]
    assert own["computed_over_total"] == (length + again * last) / (length * told["rows"])


def test_prompts_for_different_adapters_share_nothing(tmp_path: Path) -> None:
    job = Job(tmp_path / "records", tmp_path / "out")
    which = ["a", "b", None, "c", "a"] * 4
    job.write("a.parquet", range(20), prefix=["a = "] * 20, suffix=["\n"] * 20, lora=which)
    folders = {name: str(adapter(tmp_path / name)) for name in ("a", "b")}
    sets = ("input.columns.lora=lora", f"model.loras={folders}")
    told = plan_job(config(job, *sets))
    summary = job.run("schedule.shard_rows=20", *sets).summary
    assert told["refused"] == {"LoRA adapter 'c' is not in model.loras": 4}
    assert told["shares"]["copied"]["value"] == summary["rows"]["copied"] / 20 == 13 / 20
    assert told["tokens"]["computed"]["value"] == summary["tokens"]["computed"]
    (own, *_) = told["sharing"]
    assert own["distinct_over_total"] == 3 / 16


def test_rows_without_a_prompt_need_no_reference(job: Job) -> None:
    nothing = pa.array([None] * 20, pa.string())
    job.write("b.parquet", range(20), suffix=nothing, middle_reference=nothing)
    told = plan_job(config(job))
    assert told["completion_basis"] == "middle_reference"
    assert told["tokens"]["completion"]["value"] > 0


@pytest.mark.parametrize(
    ("sets", "warning"),
    [
        (("engine.max_model_len=160",), "short context: "),
        (("schedule.workers=50",), "idle workers: there are 20 shards for 50 workers"),
        ((), "refused rows: 5.0% will be rejected (column 'suffix' is null, expected text)"),
    ],
)
def test_warnings(job: Job, sets: tuple[str, ...], warning: str) -> None:
    told = plan_job(config(job, *sets))
    assert [line for line in told["warnings"] if line.startswith(warning)]
    assert warning in forecast_text(told)


def test_without_a_speed_there_are_no_hours_and_that_is_said(job: Job) -> None:
    told = plan_job(config(job), price=2.0)
    assert told["time"] is None
    assert "the speed is not known" in forecast_text(told)
    assert told["completion_basis"] == "middle_reference"


@pytest.mark.parametrize(
    ("sets", "devices"),
    [
        ("schedule.workers=4", 4),
        ("resources.num_gpus=0.5", 0.5),
        ("engine.args.tensor_parallel_size=2", 1),
    ],
)
def test_cost_is_hours_of_all_workers_times_the_price(job: Job, sets: str, devices: float) -> None:
    job.run()
    told = plan_job(config(elsewhere(job), sets), speed_from=str(job.output), price=2.0)
    time = told["time"]
    assert time["gpu_hours"]["value"] == pytest.approx(time["wall_s"]["value"] * devices / 3600)
    assert time["cost"]["value"] == pytest.approx(2 * time["gpu_hours"]["value"])
    assert time["wall_s"]["low"] < time["wall_s"]["value"] < time["wall_s"]["high"]


def test_workers_without_a_shard_are_paid_and_make_nothing_faster(job: Job) -> None:
    job.run()
    busy, idle = (
        plan_job(config(elsewhere(job), f"schedule.workers={workers}"), speed_from=str(job.output))
        for workers in (20, 50)
    )
    assert idle["time"]["run_s"] == busy["time"]["run_s"]
    (of_idle, of_busy) = (told["time"]["gpu_hours"]["value"] for told in (idle, busy))
    assert of_idle == pytest.approx(of_busy * 50 / 20)


def test_speed_is_of_all_that_runs_did_by_the_time_their_workers_were_up(job: Job) -> None:
    """Also of what was replaced since."""
    digest = job.run().summary["model"]["digest"]
    for first in (1000, 2000):
        job.write("a.parquet", range(first, first + 100), middle_reference=["x"] * 100)
        job.run()
    path = job.ledger / "summary.json"
    summary = json.loads(path.read_text())
    for run in summary["runs"]:
        run |= {"workers": 6, "worker_s": 1000.0}
    path.write_text(json.dumps(summary))
    computed, completion = (
        Estimate(sum(run["tokens_per_s"][name] * run["run_s"] for run in summary["runs"]))
        for name in ("computed", "completion")
    )
    assert completion.value > 1.5 * summary["tokens"]["completion"]
    speed = speed_of(str(job.output), digest, "simulated")
    assert speed.worker_seconds(computed, completion).value == pytest.approx(3000.0)


def test_the_same_seed_draws_the_same(job: Job) -> None:
    first, again = (plan_job(config(job), sample_rows=100, seed=3) for _ in range(2))
    assert first == again
    assert plan_job(config(job), sample_rows=100, seed=4)["tokens"] != first["tokens"]


def test_another_jobs_forecast_is_not_compared(job: Job) -> None:
    plan_job(config(job, "sampling.max_tokens=7"))
    assert job.run("schedule.shard_rows=20").summary["forecast"] == []


def test_the_command_prints_json_and_keeps_it(job: Job, tmp_path: Path) -> None:
    args = ["plan", "--input", str(job.records), "--output", str(job.output), "--model", "demo"]
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    done = CliRunner().invoke(app, [*args, *sets, "--json"])
    assert done.exit_code == 0, done.output
    kept: dict[str, Any] = json.loads((job.ledger / "forecast.json").read_text())
    assert json.loads(done.stdout) == kept


def test_what_cannot_be_planned_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no batchfim job found"):
        plan_job(config(job), speed_from=str(tmp_path / "nothing"))
    job.run()
    with pytest.raises(
        ConfigError, match="used the simulated engine, so its speed does not apply to vl"
    ):
        plan_job(config(job, "engine.backend=vllm"), speed_from=str(job.output))
    other = job.ledger / "summary.json"
    other.write_text(other.read_text().replace('"digest": "', '"digest": "0'))
    with pytest.raises(ConfigError, match="used another model"):
        plan_job(config(job), speed_from=str(job.output))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"holds files not written by batchfim"):
        plan_job(config(job, f"output.path={theirs}"))
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]
    nothing = pa.array([], pa.string())
    job.write("a.parquet", range(0), id=nothing, prefix=nothing, suffix=nothing)
    with pytest.raises(InputError, match="no rows"):
        plan_job(config(job))


def test_what_can_be_no_speed_is_refused(job: Path) -> None:
    with pytest.raises(ConfigError, match="choose one"):
        plan_job(config(job), speed_from="out/", calibration_rows=8)
    nobody = config(job, "engine.simulated.refuse_if_contains=def")
    with pytest.raises(InputError, match="no row of the sample was completed"):
        plan_job(nobody, sample_rows=50, calibration_rows=8)
