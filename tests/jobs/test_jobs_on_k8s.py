"""RayJobs through the client's real HTTP, against a server that answers as the API does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from batchfim.errors import BatchfimError, ConfigError, JobFailed, JobHeld
from batchfim.shards import short_digest
from jobs.on_k8s import ApiServer, read_template, run_on_k8s
from jobs.rayjob import OUTPUT_LABEL, Owner, as_retry, as_run, read_manifest
from k8s.checks.rendering import overlays, renderer
from tests.jobs.api_server import Cluster, serving
from tests.jobs.conftest import ended, start_module

NEW: dict[str, Any] = {}
RUNNING = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
COMPLETE = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
FAILED = {
    "jobDeploymentStatus": "Failed",
    "jobStatus": "FAILED",
    "reason": "AppFailed",
    "message": "Job entrypoint command failed with exit code 3, last available logs: …",
}
RAYJOB = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "infill", "namespace": "night"},
    "spec": {"entrypoint": "python -m jobs.infill --job-file job.yaml"},
}
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job"}}


@pytest.fixture(autouse=True)
def _no_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def run(
    cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "night-1"
) -> int:
    """One run against a cluster."""
    with serving(cluster, folder) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        rayjob = as_run(RAYJOB, "s3://bucket/out", name=name, owner=Owner("night-1", "uid-7"))
        return run_on_k8s(rayjob, ApiServer(None, away_s=1.0), poll_s=0.01)


@pytest.mark.parametrize(("last", "code"), [(COMPLETE, 0), (FAILED, 3)])
def test_it_is_created_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: dict[str, Any], code: int
) -> None:
    cluster = Cluster([NEW, RUNNING, RUNNING, last])
    assert run(cluster, tmp_path, monkeypatch) == code
    assert cluster.requests == ["GET", "POST", "GET", "GET", "GET", "GET"]
    metadata = cluster.rayjobs["night-1"]["metadata"]
    assert metadata["ownerReferences"][0]["uid"] == "uid-7"
    assert cluster.rayjobs["night-1"]["spec"] == RAYJOB["spec"]


def test_one_that_is_there_is_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster([RUNNING, COMPLETE])
    cluster.rayjobs["night-1"] = as_run(RAYJOB, "s3://bucket/out", name="night-1")
    assert run(cluster, tmp_path, monkeypatch) == 0
    assert len(cluster.rayjobs) == 1


def test_while_another_works_the_same_output_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster([COMPLETE])
    by_hand = as_run(RAYJOB, "s3://bucket/out", name="by-hand") | {"status": RUNNING}
    cluster.rayjobs["by-hand"] = by_hand
    with pytest.raises(JobHeld, match=r"RayJob by-hand: Running, RUNNING: it writes the same"):
        run(cluster, tmp_path, monkeypatch)
    assert list(cluster.rayjobs) == ["by-hand"]

    by_hand["status"] = COMPLETE
    assert run(cluster, tmp_path, monkeypatch) == 0


def test_a_name_that_is_another_jobs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster([RUNNING])
    cluster.rayjobs["night-1"] = as_run(RAYJOB, "s3://bucket/other", name="night-1")
    with pytest.raises(ConfigError, match="is another job's"):
        run(cluster, tmp_path, monkeypatch)


def test_a_server_that_is_away_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster([COMPLETE])
    cluster.failures_left = 2
    assert run(cluster, tmp_path, monkeypatch) == 0


@pytest.mark.parametrize(
    ("refusal", "kind", "told"),
    [
        (403, ConfigError, "list rayjobs in night: 403 .*: not permitted"),
        (404, ConfigError, "KubeRay is not installed"),
        (503, JobFailed, "has not answered for 1 s: 503"),
    ],
)
def test_what_the_server_refuses_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusal: int,
    kind: type[BatchfimError],
    told: str,
) -> None:
    with pytest.raises(kind, match=told):
        run(Cluster([COMPLETE], refusal=refusal), tmp_path, monkeypatch)


def test_a_template_of_the_cluster_is_copied_awake_and_labelled(
    job_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster([COMPLETE])
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kueue/elastic": "1"}
    metadata = {"name": "infill", "uid": "u", "resourceVersion": "7", "annotations": annotations}
    spec = RAYJOB["spec"] | {"suspend": True, "backoffLimit": 2}
    cluster.rayjobs["infill"] = RAYJOB | {"metadata": metadata, "spec": spec}
    options = ("--job-file", job_file.name, "--rayjob", "infill", "--label", "queue=night")
    with serving(cluster, tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        run = ("--backend", "k8s", "--name", "night-1", *options)
        ended(start_module("jobs.submit", *run, folder=tmp_path), 0)
    night = cluster.rayjobs["night-1"]
    assert night["spec"] == RAYJOB["spec"] | {"backoffLimit": 2}
    assert night["metadata"]["labels"]["queue"] == "night"
    assert night["metadata"]["annotations"] == {"kueue/elastic": "1"}
    assert not {"uid", "resourceVersion"} & night["metadata"].keys()


def test_a_template_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Cluster([COMPLETE]), tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        with pytest.raises(ConfigError, match="no RayJob infill to copy; apply an overlay"):
            read_template("infill", ApiServer(None))


def test_a_run_that_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deleting(Cluster):
        def answer(self, verb: str, url: str, body: Any) -> tuple[int, Any]:
            told = super().answer(verb, url, body)
            if verb == "POST":
                self.rayjobs.clear()
            return told

    with pytest.raises(JobFailed, match="RayJob night-1 was deleted while this command waited"):
        run(Deleting([NEW]), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "told"),
    [("n" * 48, "has 48 characters, but KubeRay allows 47"), ("Night_1", "use lowercase letters")],
)
def test_a_name_that_kuberay_does_not_take(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        as_run(RAYJOB, "out", name=name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: Job", "expected one object of kind RayJob, found Job"),
        ("kind: RayJob", "expected a RayJob of apiVersion ray.io/v1 with a spec"),
        ("a: [", r"invalid YAML: .*; if the file is part of an overlay, give what `kubectl kust"),
        (
            "a: &x 1\nb: *x",
            r"alias \*x is not supported.*; if .* `kubectl kustomize OVERLAY` prints",
        ),
        (yaml.safe_dump_all([RAYJOB, OTHER, RAYJOB]), "found RayJob, ConfigMap, RayJob"),
        ("", "found nothing"),
        ("- 1", "found list"),
    ],
)
def test_a_manifest_of_something_else(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "rayjob.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_manifest(file)


def test_the_command_creates_and_ends_with_the_jobs_exit_code(
    job_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rayjob.yaml").write_text(yaml.safe_dump(RAYJOB))
    options = ("--backend", "k8s", "--job-file", job_file.name, "--rayjob", "rayjob.yaml")
    with serving(Cluster([FAILED]), tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        _, err = ended(start_module("jobs.submit", *options, folder=tmp_path), 3)
    assert "created RayJob infill" in err
    assert "failed with exit code 3" in err


def test_a_benchmark_has_the_settings_that_the_entrypoint_gives(
    job_file: Path, tmp_path: Path
) -> None:
    given = "--set=output.path=here --set 'infill.stop=[eot, line]'"
    spec = {
        "entrypoint": f"{RAYJOB['spec']['entrypoint']} {given} --accept-failed-rows",
        "rayClusterSpec": {"workerGroupSpecs": [{"groupName": "workers"}]},
    }
    (tmp_path / "rayjob.yaml").write_text(yaml.safe_dump(RAYJOB | {"spec": spec}))
    options = ("--backend", "k8s", "--rayjob", "rayjob.yaml", "--job-file", job_file.name)
    dry = (*options, "--entry", "bench", "--dry-run")
    out, _ = ended(start_module("jobs.submit", *dry, folder=tmp_path))
    run = yaml.safe_load(out)
    assert run["spec"]["entrypoint"] == (
        "python -m jobs.bench --job-file job.yaml --set output.path=here "
        "--set 'infill.stop=[eot, line]' --keep-as infill"
    )
    (group,) = run["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["maxReplicas"] == 1
    assert run["metadata"]["labels"][OUTPUT_LABEL] == short_digest("here.bench")


def test_a_retry_is_the_night_with_another_module(job_file: Path, tmp_path: Path) -> None:
    more = "--set 'infill.stop=[eot, line]' --accept-failed-rows"
    spec = {"entrypoint": f"{RAYJOB['spec']['entrypoint']} {more}", "backoffLimit": 2}
    (tmp_path / "rayjob.yaml").write_text(yaml.safe_dump(RAYJOB | {"spec": spec}))
    options = ("--backend", "k8s", "--rayjob", "rayjob.yaml", "--job-file", job_file.name)
    retry = ("--entry", "retry", "--dry-run")

    def submitted(*more: str) -> dict[str, Any]:
        out, _ = ended(start_module("jobs.submit", *options, *more, folder=tmp_path))
        return dict(yaml.safe_load(out))

    night, run = submitted("--dry-run"), submitted(*retry)
    entrypoint = f"python -m jobs.retry --job-file job.yaml {more}"
    assert run["spec"] == spec | {"entrypoint": entrypoint}
    assert run["metadata"]["name"] == "infill-retry"
    assert run["metadata"]["labels"] == night["metadata"]["labels"]  # both write one output
    assert submitted(*retry, "--name", "again")["metadata"]["name"] == "again"


def test_what_runs_no_job_is_not_retried() -> None:
    with pytest.raises(ConfigError, match=r"'python -m jobs\.bench' does not run jobs\.infill"):
        as_retry(RAYJOB | {"spec": {"entrypoint": "python -m jobs.bench"}})


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump_all([OTHER, RAYJOB, OTHER]),
        f"---\n---\n{yaml.safe_dump(RAYJOB)}---\n",
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [OTHER, RAYJOB]}),
    ],
)
def test_the_only_rayjob_of_a_file_is_taken(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rendered.yaml"
    file.write_text(text)
    assert read_manifest(file) == RAYJOB


@pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize here")
@pytest.mark.parametrize("overlay", overlays(), ids=lambda path: path.name)
def test_what_kustomize_prints_is_taken(tmp_path: Path, overlay: Path) -> None:
    file = tmp_path / "rendered.yaml"
    command = [*(renderer() or []), overlay]
    file.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    assert read_manifest(file)["metadata"]["name"] == "batchfim-infill"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--job-file", "gone.yaml"), "gone.yaml: no such job file"),
        (("--job-file", "other.yaml"), "its entrypoint has --job-file job.yaml, but other.yaml"),
        (("--job-file", "job.yaml", "--name", "n" * 50), "has 50 characters"),
        (("--job-file", "job.yaml", "--label", "queue"), "--label queue: expected KEY=VALUE"),
        (("--job-file", "job.yaml", "--entry", "prefetch"), "--entry prefetch is only for"),
    ],
)
def test_what_is_wrong_is_told_before_the_server_is_asked(
    job_file: Path, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    (tmp_path / "other.yaml").write_text(job_file.read_text())
    (tmp_path / "rayjob.yaml").write_text(yaml.safe_dump(RAYJOB))
    more = ("--backend", "k8s", "--rayjob", "rayjob.yaml", *options)
    _, err = ended(start_module("jobs.submit", *more, folder=tmp_path), 2)
    assert told in err
