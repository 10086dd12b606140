"""Check paths in the pods: the job's input and output and fetched models are on shared volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from batchfim.config import JobConfig
from k8s.checks.commands import config_of
from k8s.checks.objects import Object, Objects, Pod, environment, named, of_kind, pods, ray_pods

_CACHES = ("HF_HOME", "XDG_CACHE_HOME")
_BY_MANY = {"ReadWriteMany", "ReadOnlyMany"}


def check_places(objects: Objects) -> Iterator[str]:
    """A local input or output is on one claim that all of Ray's pods mount at the same path."""
    for rayjob in of_kind(objects, "RayJob"):
        if (config := config_of(rayjob, objects)) is None:
            continue
        for setting, path in _local_paths(config):
            claims = {claim_of(path, pod) for pod in ray_pods(rayjob)}
            if None in claims or len(claims) > 1:
                yield (
                    f"{named(rayjob)}: {setting} {path} is not on one claim that all of Ray's pods "
                    "mount there; mount one, or use a URL"
                )


def check_models(objects: Objects) -> Iterator[str]:
    """The models that `prefetch` downloads are where Ray's pods look for them."""
    for pod in pods(objects):
        for container in pod.containers:
            if "jobs.prefetch" not in container.get("command", []):
                continue
            if "HF_HUB_OFFLINE" in environment(container):
                yield f"{pod.where}: {container['name']}: HF_HUB_OFFLINE keeps it from fetching"
            for rayjob in of_kind(objects, "RayJob"):
                for other in ray_pods(rayjob):
                    yield from _other_caches(pod, environment(container), other)


def _other_caches(fetching: Pod, filled: Mapping[str, str], pod: Pod) -> Iterator[str]:
    looked_at = environment(pod.containers[0])
    for name in _CACHES:
        path = filled.get(name, "")
        claim = claim_of(path, fetching)
        if looked_at.get(name) != path:
            yield f"{pod.where}: {name} is {looked_at.get(name)}, but prefetch fills {path}"
        elif claim is None or claim_of(path, pod) != claim:
            yield f"{pod.where}: {name} {path} is not on a claim that prefetch fills"


def check_claims(objects: Objects) -> Iterator[str]:
    """A claim that several workers mount allows mounting by several machines."""
    modes = {
        claim["metadata"]["name"]: set(claim["spec"]["accessModes"])
        for claim in of_kind(objects, "PersistentVolumeClaim")
    }
    for rayjob in of_kind(objects, "RayJob"):
        groups = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        if sum(group["maxReplicas"] for group in groups) < 2:
            continue
        for pod in ray_pods(rayjob):
            for claim in filter(None, map(_claim, pod.volumes)):
                if claim in modes and not modes[claim] & _BY_MANY:
                    told = ", ".join(modes[claim])
                    yield f"{pod.where}: claim {claim} is {told}, but workers are on many machines"


def claim_of(path: str, pod: Pod) -> str | None:
    """The claim that an absolute path in the pod is on."""
    volumes = {volume["name"]: volume for volume in pod.volumes}
    folders = {path, *map(str, PurePosixPath(path).parents)}
    mounts = [
        mount
        for container in pod.containers
        for mount in container.get("volumeMounts", [])
        if mount["mountPath"].rstrip("/") in folders
    ]
    nearest = max(mounts, key=lambda mount: len(mount["mountPath"]), default=None)
    return None if nearest is None else _claim(volumes.get(nearest["name"], {}))


def _claim(volume: Object) -> str | None:
    name: str | None = volume.get("persistentVolumeClaim", {}).get("claimName")
    return name


def _local_paths(config: JobConfig) -> list[tuple[str, str]]:
    inputs = [("input.paths", path) for path in config.input.paths]
    paths = [*inputs, ("output.path", config.output.path)]
    return [(setting, path) for setting, path in paths if "://" not in path]
