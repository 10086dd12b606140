"""A RayJob of KubeRay: as it is created, and how its status ends. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchfim.errors import ConfigError
from batchfim.plain_yaml import parse_yaml
from batchfim.shards import identity

OUTPUT_LABEL = "batchfim.io/output"
NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
LONGEST_NAME = 47  # KubeRay makes longer ones of it, for objects that may have 63
# A CronJob's Job is `<CronJob>-<minutes since 1970>`, and the RayJob is called as the Job.
LONGEST_CRONJOB = LONGEST_NAME - len("-00000000")
_ENDS = ("Complete", "Failed", "ValidationFailed")
# Annotations about the template itself: what applied it, and what watches it.
_ABOUT_IT = ("kubectl.kubernetes.io/", "argocd.argoproj.io/")
_EXIT_CODE = re.compile(r"exit code (\d{1,3})\b")


@dataclass(frozen=True)
class Owner:
    """The Job that asks: what ends it or cleans it up takes the RayJob along."""

    name: str
    uid: str


def read_manifest(file: Path) -> dict[str, Any]:
    """A RayJob from its manifest.

    Raises:
        ConfigError: there is none, or it is something else.
    """
    where = str(file)
    try:
        tree = parse_yaml(file.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if not isinstance(tree, dict) or tree.get("kind") != "RayJob":
        kind = tree.get("kind") if isinstance(tree, dict) else type(tree).__name__
        raise ConfigError(f"{where}: expected one object of kind RayJob, got {kind}")
    if tree.get("apiVersion") != "ray.io/v1" or not isinstance(tree.get("spec"), dict):
        raise ConfigError(f"{where}: expected apiVersion ray.io/v1 and a spec")
    return tree


def check_entrypoint(rayjob: dict[str, Any], job_files: Sequence[Path], where: str) -> None:
    """The RayJob must run the job file that was checked here.

    Raises:
        ConfigError: it runs another, or none.
    """
    named = _given(rayjob, "--job-file")
    if named != [str(path) for path in job_files]:
        raise ConfigError(
            f"{where}: its entrypoint runs --job-file {', '.join(named) or 'nothing'}, and "
            f"{', '.join(map(str, job_files))} was given here: both must be the same, in the "
            "same place"
        )


def settings(rayjob: dict[str, Any]) -> list[str]:
    """What its entrypoint sets beside the job file, as `SECTION.KEY=VALUE`."""
    return _given(rayjob, "--set")


def as_benchmark(rayjob: dict[str, Any], name: str, num_machines: int) -> dict[str, Any]:
    """The RayJob with `jobs.bench` on the same job, for one worker.

    It is tried once: what it does is not in a ledger, and would begin anew.

    Args:
        rayjob: one that `check_entrypoint` has nothing against.
        name: of the run, under which `jobs.bench` keeps what it measures.
        num_machines: those that the worker may lie on.
    """
    tree = deepcopy(rayjob)
    spec = tree["spec"]
    words = ["python", "-m", "jobs.bench"]
    for option in ("--job-file", "--set"):
        words += [word for value in _given(rayjob, option) for word in (option, value)]
    spec |= {"entrypoint": shlex.join([*words, "--keep-as", name]), "backoffLimit": 0}
    for group in spec.get("rayClusterSpec", {}).get("workerGroupSpecs", []):
        # All of them at once: a benchmark's one worker is refused where there is no machine yet.
        num = min(group.get("maxReplicas", num_machines), num_machines)
        group |= {"replicas": num, "minReplicas": num, "maxReplicas": num}
    return tree


def read_labels(texts: Sequence[str]) -> dict[str, str]:
    """Labels of `KEY=VALUE` texts.

    Raises:
        ConfigError: one is something else.
    """
    pairs = [text.partition("=") for text in texts]
    for key, separator, value in pairs:
        if not (key and separator and value):
            raise ConfigError(f"--label {key}{separator}{value}: expected KEY=VALUE")
    return {key: value for key, _, value in pairs}


def as_run(
    rayjob: dict[str, Any],
    output: str,
    *,
    name: str | None = None,
    owner: Owner | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The RayJob of one run: a copy of another, awake.

    Args:
        rayjob: its manifest, or a RayJob of the cluster that is its template.
        output: what it writes, the job's output path; others that do are found by it.
        name: of the run; None: the manifest's own.
        owner: the Job it is for.
        labels: of the run, beside those it has.

    Raises:
        ConfigError: the name is none that KubeRay takes.
    """
    tree = deepcopy({key: rayjob[key] for key in ("apiVersion", "kind", "spec")})
    tree["spec"].pop("suspend", None)  # what is applied with an overlay is a template
    metadata = tree["metadata"] = _kept(rayjob.get("metadata") or {})
    metadata["name"] = _checked(name or str(metadata.get("name", "")))
    metadata["labels"] = {
        "app.kubernetes.io/name": "batchfim",
        **metadata.get("labels", {}),
        **labels,
        OUTPUT_LABEL: identity(output),
    }
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": owner.name,
                "uid": owner.uid,
                "blockOwnerDeletion": False,
            }
        ]
    return tree


def exit_code(rayjob: dict[str, Any]) -> int | None:
    """Of a RayJob that has ended: its driver's where the status tells it; None: not yet."""
    status = rayjob.get("status") or {}
    state = status.get("jobDeploymentStatus")
    if state not in _ENDS:
        return None
    if state == "Complete" and status.get("jobStatus", "SUCCEEDED") == "SUCCEEDED":
        return 0
    told = _EXIT_CODE.search(str(status.get("message", "")))
    code = int(told[1]) if told else 1
    return code if 0 < code < 256 else 1


def state_text(rayjob: dict[str, Any]) -> str:
    """How it stands, in one line."""
    status = rayjob.get("status") or {}
    told = [status.get(key) for key in ("jobDeploymentStatus", "jobStatus", "reason")]
    return f"{rayjob['metadata']['name']}: {', '.join(filter(None, told)) or 'New'}"


def _given(rayjob: dict[str, Any], option: str) -> list[str]:
    """What the entrypoint gives an option, as `OPTION VALUE` or `OPTION=VALUE`."""
    entrypoint = str(rayjob["spec"].get("entrypoint", ""))
    try:
        words = shlex.split(entrypoint)
    except ValueError as error:
        raise ConfigError(f"the RayJob's entrypoint {entrypoint!r}: {error}") from None
    return [
        after if word == option else word.removeprefix(f"{option}=")
        for word, after in pairwise([*words, ""])
        if word == option or word.startswith(f"{option}=")
    ]


def _kept(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a copy takes over: no uid, no version, nothing about the other object."""
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    annotations = metadata.get("annotations") or {}
    about_both = {key: v for key, v in annotations.items() if not key.startswith(_ABOUT_IT)}
    return deepcopy(kept | ({"annotations": about_both} if about_both else {}))


def _checked(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ConfigError(
            f"RayJob name {name!r} has {len(name)} characters, and KubeRay takes "
            f"{LONGEST_NAME}; a CronJob's name may have {LONGEST_CRONJOB}, as Kubernetes adds the "
            "minute to it"
        )
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"RayJob name {name!r}: expected small letters, digits and -, a letter first"
        )
    return name
