"""What the pods of the smoke test's night do, done on this machine in their order."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from batchfim.config.plain_yaml import parse_yaml
from k8s.checks.objects import Object, Objects, job_files, of_kind
from k8s.checks.rendering import K8S, render, render_component, renderer

pytestmark = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize here")
SIMULATED = {"engine": {"backend": "simulated"}, "schedule": {"pool": "local", "workers": 1}}


@pytest.fixture(scope="module")
def objects() -> Objects:
    return render(K8S / "overlays" / "kind-cpu")


def test_records_are_made_the_model_is_fetched_and_the_job_completes(
    objects: Objects, tmp_path: Path
) -> None:
    (text,) = job_files(objects).values()
    job = parse_yaml(in_folder(text, tmp_path)) | SIMULATED
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    pod = of_kind(objects, "CronJob")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for container in pod["initContainers"]:
        run(container["command"], tmp_path)
    run(shlex.split(of_kind(objects, "RayJob")[0]["spec"]["entrypoint"]), tmp_path)
    assert (tmp_path / "out" / "_batchfim" / "_SUCCESS").exists()


def test_the_submitted_run_is_the_template_awake_and_owned(
    objects: Objects, tmp_path: Path
) -> None:
    night = submitted(objects, tmp_path)
    (owner,) = night["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", "night", "u1")
    assert night["metadata"]["name"] == "night"
    (template,) = of_kind(objects, "RayJob")
    here = yaml.safe_load(in_folder(yaml.safe_dump(template["spec"]), tmp_path))
    assert night["spec"] | {"suspend": True} == here
    assert "suspend" not in night["spec"]


def test_a_benchmark_is_the_same_job_on_one_machine_and_its_lines_are_kept(
    tmp_path: Path,
) -> None:
    objects = render_component(K8S / "components" / "bench")
    (cronjob,) = of_kind(objects, "CronJob")
    assert cronjob["metadata"]["name"] == "batchfim-bench"
    assert cronjob["spec"]["suspend"] is True
    ((name, _),) = job_files(objects).items()
    source = {"input": {"paths": [str(tmp_path)]}, "output": {"path": str(tmp_path / "out")}}
    job = yaml.safe_dump(source | {"model": {"path": "demo"}} | SIMULATED)
    bench = submitted(with_job_file(objects, name, job), tmp_path)
    (group,) = bench["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert {group[key] for key in ("replicas", "minReplicas", "maxReplicas")} == {1}
    assert bench["spec"]["backoffLimit"] == 0
    pq.write_table(pa.table({"prefix": ["a", "b"], "suffix": ["\n"] * 2}), tmp_path / "a.parquet")
    run(shlex.split(bench["spec"]["entrypoint"]), tmp_path)
    assert len((tmp_path / "out.bench" / "night.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "out").exists()


def test_a_retry_is_the_same_job_and_retries_its_failed_rows(tmp_path: Path) -> None:
    objects = render_component(K8S / "components" / "retry")
    (cronjob,) = of_kind(objects, "CronJob")
    assert cronjob["metadata"]["name"] == "batchfim-retry"
    assert cronjob["spec"]["suspend"] is True
    ((name, _),) = job_files(objects).items()
    records, success = tmp_path / "a.parquet", tmp_path / "out" / "_batchfim" / "_SUCCESS"
    pq.write_table(pa.table({"prefix": ["a", "b"], "suffix": ["\n"] * 2}), records)
    source = {"input": {"paths": [str(records)]}, "output": {"path": str(tmp_path / "out")}}
    job = yaml.safe_dump(source | {"model": {"path": "demo"}} | SIMULATED)
    again = submitted(with_job_file(objects, name, job), tmp_path)
    assert again["spec"]["backoffLimit"] == 2
    retry = shlex.split(again["spec"]["entrypoint"])
    night = ["jobs.infill" if word == "jobs.retry" else word for word in retry]
    run([*night, "--set", "engine.simulated.fail_if_contains=b"], tmp_path)
    assert not success.exists()
    run(retry, tmp_path)
    assert success.exists()


def with_job_file(objects: Objects, name: str, text: str) -> Objects:
    """The set with another job."""
    config, key = name.split("/")
    return [
        thing | {"data": {key: text}} if thing["metadata"]["name"] == config else thing
        for thing in objects
    ]


def submitted(objects: Objects, folder: Path) -> Object:
    """What the CronJob's pod would create of the set's RayJob, for a Job called night."""
    (template,) = of_kind(objects, "RayJob")
    (text,) = job_files(objects).values()
    (folder / "job.yaml").write_text(in_folder(text, folder))
    (folder / "rayjob.yaml").write_text(in_folder(yaml.safe_dump(template), folder))
    pod = of_kind(objects, "CronJob")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    words = pod["containers"][0]["command"]
    for there, here in {
        "--rayjob=batchfim-infill": f"--rayjob={folder}/rayjob.yaml",
        "$(JOB_NAME)": "night",
        "$(JOB_UID)": "u1",
    }.items():
        words = [word.replace(there, here) for word in words]
    created: Object = yaml.safe_load(run([*words, "--dry-run"], folder))
    return created


def in_folder(text: str, folder: Path) -> str:
    """A text in which the pods' volumes are a folder here."""
    for there in ("/data", "/etc/batchfim"):
        text = text.replace(there, str(folder))
    return text.replace("/home/batchfim/app", str(K8S.parent))


def run(command: list[str], folder: Path) -> str:
    """A pod's command, with its volumes in a folder here."""
    words = [in_folder(word, folder) for word in command]
    program = [sys.executable, "-m", "batchfim"] if words[0] == "batchfim" else [sys.executable]
    caches = {"HF_HOME": str(folder / "hf"), "XDG_CACHE_HOME": str(folder)}
    done = subprocess.run(
        [*program, *words[1:]],
        cwd=K8S.parent,
        env=os.environ | caches,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout
