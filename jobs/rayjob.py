"""KubeRay's RayJob: build its manifest and read its status; pure functions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchfim.config.plain_yaml import parse_documents
from batchfim.errors import ConfigError
from batchfim.shards import short_digest

OUTPUT_LABEL = "batchfim.io/output"
NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
LONGEST_NAME = 47  # KubeRay appends to it to name objects, which may have 63 characters
# A CronJob's Job is named `<CronJob>-<minutes since 1970>`, and the RayJob has the Job's name.
LONGEST_CRONJOB = LONGEST_NAME - len("-00000000")
_ENDS = ("Complete", "Failed", "ValidationFailed")
# Annotations about the template itself: the tools that applied or watch it.
_ABOUT_IT = ("kubectl.kubernetes.io/", "argocd.argoproj.io/")
_EXIT_CODE = re.compile(r"exit code (\d{1,3})\b")


@dataclass(frozen=True)
class Owner:
    """The Job that submits: when it is deleted, Kubernetes deletes its RayJob too."""

    name: str
    uid: str


def read_manifest(file: Path) -> dict[str, Any]:
    """Read the only RayJob of a file, such as what `kubectl kustomize` prints.

    Raises:
        ConfigError: the file cannot be read, or does not hold one RayJob.
    """
    where = str(file)
    try:
        objects = list(_objects(parse_documents(file.read_text(encoding="utf8"))))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {error}") from None
    except ConfigError as error:
        raise ConfigError(
            f"{where}: {error}; if the file is part of an overlay, give what `kubectl kustomize "
            "OVERLAY` prints"
        ) from None
    kinds = [one.get("kind") if isinstance(one, dict) else type(one).__name__ for one in objects]
    if kinds.count("RayJob") != 1:
        found = ", ".join(map(str, kinds)) or "nothing"
        raise ConfigError(f"{where}: expected one object of kind RayJob, found {found}")
    tree: dict[str, Any] = objects[kinds.index("RayJob")]
    if tree.get("apiVersion") != "ray.io/v1" or not isinstance(tree.get("spec"), dict):
        raise ConfigError(f"{where}: expected a RayJob of apiVersion ray.io/v1 with a spec")
    return tree


def _objects(documents: Iterable[Any]) -> Iterator[Any]:
    """The documents that are not empty, with lists such as kubectl's replaced by their items."""
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from document.get("items") or ()
        elif document is not None:
            yield document


def check_entrypoint(rayjob: dict[str, Any], job_files: Sequence[Path], where: str) -> None:
    """Check that the RayJob runs the job file that was given here.

    Raises:
        ConfigError: it runs another, or none.
    """
    named = _given(rayjob, "--job-file")
    if named != [str(path) for path in job_files]:
        raise ConfigError(
            f"{where}: its entrypoint has --job-file {', '.join(named) or '(none)'}, but "
            f"{', '.join(map(str, job_files))} was given here; give the same files under the same "
            "paths"
        )


def settings(rayjob: dict[str, Any]) -> list[str]:
    """Settings that the entrypoint overrides, as `SECTION.KEY=VALUE`."""
    return _given(rayjob, "--set")


def as_retry(rayjob: dict[str, Any]) -> dict[str, Any]:
    """A copy of the RayJob that runs `jobs.retry` on the same job, with the same options.

    Unless it is renamed, its name ends with `-retry`: under the night's own it would be taken for
    the night.

    Raises:
        ConfigError: its entrypoint does not run `jobs.infill`.
    """
    tree = deepcopy(rayjob)
    words = shlex.split(tree["spec"]["entrypoint"])
    if "jobs.infill" not in words:
        raise ConfigError(
            f"--entry retry: the RayJob's entrypoint {tree['spec']['entrypoint']!r} does not run "
            "jobs.infill, whose place jobs.retry takes; give the RayJob of a night"
        )
    retried = ["jobs.retry" if word == "jobs.infill" else word for word in words]
    tree["spec"]["entrypoint"] = shlex.join(retried)
    metadata = tree.get("metadata") or {}
    return tree | {"metadata": metadata | {"name": f"{metadata.get('name', '')}-retry"}}


def as_benchmark(rayjob: dict[str, Any], name: str, num_machines: int) -> dict[str, Any]:
    """A copy of the RayJob that runs `jobs.bench` on the same job, with one worker.

    It is not retried: a benchmark has no ledger and would start over.

    Args:
        rayjob: one that passes `check_entrypoint`.
        name: name of the run, under which `jobs.bench` keeps its measurements.
        num_machines: number of machines that the worker may span.
    """
    tree = deepcopy(rayjob)
    spec = tree["spec"]
    words = ["python", "-m", "jobs.bench"]
    for option in ("--job-file", "--set"):
        words += [word for value in _given(rayjob, option) for word in (option, value)]
    spec |= {"entrypoint": shlex.join([*words, "--keep-as", name]), "backoffLimit": 0}
    for group in spec.get("rayClusterSpec", {}).get("workerGroupSpecs", []):
        # Start all machines at once: a benchmark's only worker is refused while there are none.
        num = min(group.get("maxReplicas", num_machines), num_machines)
        group |= {"replicas": num, "minReplicas": num, "maxReplicas": num}
    return tree


def read_labels(texts: Sequence[str]) -> dict[str, str]:
    """Parse labels of the form `KEY=VALUE`.

    Raises:
        ConfigError: one has another form.
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
    """The RayJob of one run: a copy of a template that is not suspended.

    Args:
        rayjob: the template: a manifest, or a RayJob of the cluster.
        output: the job's output path; other RayJobs that write it are found by it.
        name: name of the run; if None, that of the template.
        owner: the Job that submits it.
        labels: labels in addition to those of the template.

    Raises:
        ConfigError: KubeRay does not accept the name.
    """
    tree = deepcopy({key: rayjob[key] for key in ("apiVersion", "kind", "spec")})
    tree["spec"].pop("suspend", None)  # a RayJob applied with an overlay is a suspended template
    metadata = tree["metadata"] = _kept(rayjob.get("metadata") or {})
    metadata["name"] = _checked(name or str(metadata.get("name", "")))
    metadata["labels"] = {
        "app.kubernetes.io/name": "batchfim",
        **metadata.get("labels", {}),
        **labels,
        OUTPUT_LABEL: short_digest(output),
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
    """Exit code of a RayJob, its driver's if the status has it; None if it has not ended."""
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
    """Name and state of a RayJob, in one line."""
    status = rayjob.get("status") or {}
    told = [status.get(key) for key in ("jobDeploymentStatus", "jobStatus", "reason")]
    return f"{rayjob['metadata']['name']}: {', '.join(filter(None, told)) or 'New'}"


def _given(rayjob: dict[str, Any], option: str) -> list[str]:
    """Values of an option in the entrypoint, given as `OPTION VALUE` or `OPTION=VALUE`."""
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
    """The metadata that a copy keeps: no uid, no version, nothing about the original object."""
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    annotations = metadata.get("annotations") or {}
    about_both = {key: v for key, v in annotations.items() if not key.startswith(_ABOUT_IT)}
    return deepcopy(kept | ({"annotations": about_both} if about_both else {}))


def _checked(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ConfigError(
            f"RayJob name {name!r}: has {len(name)} characters, but KubeRay allows {LONGEST_NAME}; "
            f"shorten it (a CronJob's name may have {LONGEST_CRONJOB}, since Kubernetes appends "
            "the minute)"
        )
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"RayJob name {name!r}: invalid; use lowercase letters, digits and -, starting with a "
            "letter"
        )
    return name
