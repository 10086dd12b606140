"""What the pods of the smoke test's night do, done on this machine in their order."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from batchfim.plain_yaml import parse_yaml
from k8s.checks.objects import Object, Objects, job_files, of_kind
from k8s.checks.rendering import K8S, render, renderer

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
    template = yaml.safe_load(in_folder(yaml.safe_dump(of_kind(objects, "RayJob")[0]), tmp_path))
    (text,) = job_files(objects).values()
    (tmp_path / "job.yaml").write_text(text)
    (tmp_path / "rayjob.yaml").write_text(yaml.safe_dump(template))
    pod = of_kind(objects, "CronJob")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    words = pod["containers"][0]["command"]
    for there, here in {
        "--rayjob=batchfim-infill": f"--rayjob={tmp_path}/rayjob.yaml",
        "$(JOB_NAME)": "night",
        "$(JOB_UID)": "u1",
    }.items():
        words = [word.replace(there, here) for word in words]
    night: Object = yaml.safe_load(run([*words, "--dry-run"], tmp_path))
    (owner,) = night["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", "night", "u1")
    assert night["metadata"]["name"] == "night"
    assert night["spec"] | {"suspend": True} == template["spec"]
    assert "suspend" not in night["spec"]


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
