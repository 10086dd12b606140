"""Check what the pods run: commands exist and accept their flags, and job files load."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

from batchfim.config import JobConfig
from batchfim.config.files import check_config
from batchfim.config.plain_yaml import parse_yaml
from batchfim.errors import ConfigError
from k8s.checks.objects import Object, Objects, Pod, job_files, named, of_kind, pods, ray_pods
from k8s.checks.rendering import K8S

_JOB_FILE = re.compile(r"--job-file[= ](\S+)")
_MODULE = re.compile(r"batchfim|jobs\.\w+")
Command = tuple[str, tuple[str, ...], Pod]


def commands(objects: Objects) -> Iterator[Command]:
    """Location of each command, its words, and the pod that runs it."""
    for rayjob in of_kind(objects, "RayJob"):
        words = tuple(shlex.split(rayjob["spec"]["entrypoint"]))
        yield f"{named(rayjob)} entrypoint", words, next(ray_pods(rayjob))
    for pod in pods(objects):
        for container in pod.containers:
            words = (*container.get("command", []), *container.get("args", []))
            if words:
                yield f"{pod.where}: {container['name']}", words, pod


def check_entrypoints(objects: Objects) -> Iterator[str]:
    """Run each command with `--help`: its module exists and knows every given flag."""
    for where, words, _ in commands(objects):
        if (problem := _problem(words)) is not None:
            yield f"{where}: {problem}"


def check_job_files(objects: Objects) -> Iterator[str]:
    """Every job file loads, and each command's is mounted where the command expects it."""
    files = job_files(objects)
    for name, text in files.items():
        try:
            config = check_config(parse_yaml(text), name)
        except ConfigError as error:
            yield str(error)
        else:
            yield from (f"{name}: {problem}" for problem in _out_of_place(config))
    for where, words, pod in commands(objects):
        paths = _JOB_FILE.findall(" ".join(words))
        if not paths and "jobs." in " ".join(words):
            yield f"{where}: no --job-file"
        for path in paths:
            if _mounted(path, pod) not in files:
                yield f"{where}: no ConfigMap of the set is mounted as {path}"


def config_of(rayjob: Object, objects: Objects) -> JobConfig | None:
    """The job of a RayJob's entrypoint; None if `check_job_files` reports a problem with it."""
    files = job_files(objects)
    path = _JOB_FILE.search(rayjob["spec"]["entrypoint"])
    name = _mounted(path[1], next(ray_pods(rayjob))) if path else None
    try:
        return check_config(parse_yaml(files[name]), name) if name in files else None
    except ConfigError:
        return None


def _mounted(path: str, pod: Pod) -> str:
    """Source of a path in a pod: `<ConfigMap>/<key>`, or empty."""
    folder, _, key = path.rpartition("/")
    volumes = {volume["name"]: volume.get("configMap", {}) for volume in pod.volumes}
    for container in pod.containers:
        for mount in container.get("volumeMounts", []):
            if mount["mountPath"] == folder:
                return f"{volumes.get(mount['name'], {}).get('name')}/{key}"
    return ""


def _out_of_place(config: JobConfig) -> Iterator[str]:
    """Settings that may be right elsewhere but not in a ConfigMap for a RayJob's own cluster."""
    if config.resources.ray_address:
        yield "resources.ray_address points away from the RayJob's own cluster; leave it unset"
    if config.schedule.pool != "ray":
        yield f"schedule.pool {config.schedule.pool} runs on the head while workers idle; set ray"
    if config.public_dump() != config.model_dump(mode="json"):
        yield "engine.args contains a secret that everybody can read; use batchfim-credentials"


@cache
def _problem(words: tuple[str, ...]) -> str | None:
    if words[:1] == ("batchfim",):
        words = ("python", "-m", *words)
    if words[:2] != ("python", "-m") or not _MODULE.fullmatch("".join(words[2:3])):
        return f"{shlex.join(words)} is not a command of batchfim or jobs"
    done = subprocess.run(
        [sys.executable, *words[1:], "--help"],
        cwd=K8S.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{shlex.join(words)}: {_last_line(done.stderr)}" if done.returncode else None


def _last_line(text: str) -> str:
    lines = [line.strip(" │╭╰─╮╯") for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "it failed")
