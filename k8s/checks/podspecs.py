"""Check pod specs: minimal privileges, explicit resources, pinned images, existing volumes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubernetes.utils.quantity import parse_quantity

from k8s.checks.objects import Object, Objects, Pod, environment, pods

_QUANTITY = re.compile(r"\d+(\.\d+)?([KMGTPE]i|[mkMGTPE])?")
_ASKED = ("cpu", "memory", "ephemeral-storage")
_ON_HOST = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
_SECRET = re.compile(r"(SECRET|TOKEN|PASSWORD|_KEY)$")
_GPU = "nvidia.com/gpu"
_SHM, _LEAST_SHM = "/dev/shm", "2Gi"  # noqa: S108 - vLLM's processes exchange data there
_PINNED = re.compile(r"[^@]+(:(?!latest)[\w][\w.-]*|@sha256:[0-9a-f]{64})")


def check_security(objects: Objects) -> Iterator[str]:
    """Pods meet Kubernetes' `restricted` standard, and only pods that need a token have one."""
    for pod in pods(objects):
        context = pod.spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{pod.where}: does not set runAsNonRoot and runAsUser"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{pod.where}: seccompProfile is not RuntimeDefault"
        yield from (f"{pod.where}: {key} is true" for key in _ON_HOST if pod.spec.get(key))
        for volume in pod.volumes:
            if kinds := volume.keys() - {"name"} - _VOLUMES:
                yield f"{pod.where}: volume {volume['name']}: {', '.join(kinds)} is not allowed"
        for container in pod.containers:
            if (problem := _loose(container)) is not None:
                yield f"{pod.where}: {container['name']}: {problem}"
        if pod.role == "worker" and pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.where}: automountServiceAccountToken is not false"


def _loose(container: Object) -> str | None:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        return "allowPrivilegeEscalation is not false"
    if "ALL" not in context.get("capabilities", {}).get("drop", []):
        return "does not drop all capabilities"
    if context.get("privileged") or context.get("capabilities", {}).get("add"):
        return "is privileged, or adds capabilities"
    if context.get("runAsUser", 1) == 0 or context.get("runAsNonRoot") is False:
        return "runs as root"
    shown = [name for name in environment(container) if _SECRET.search(name)]
    return f"{shown[0]} can be read by everybody; use a secret" if shown else None


def check_resources(objects: Objects) -> Iterator[str]:
    """Containers have requests (Kueue counts them), with equal limits for memory, disk and GPUs."""
    for pod in pods(objects):
        for container in pod.containers:
            resources = container.get("resources", {})
            for problem in _unequal(resources):
                yield f"{pod.where}: {container['name']}: {problem}"
            if pod.role != "worker" and _GPU in resources.get("requests", {}):
                yield f"{pod.where}: {container['name']}: requests a GPU but does not use it"


def _unequal(resources: Object) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name, value in [*requests.items(), *limits.items()]:
        if not _QUANTITY.fullmatch(str(value)):
            yield f"{name} {value!r} is not a quantity such as 500m or 8Gi"
    yield from (f"does not request {name}" for name in _ASKED if name not in requests)
    for name in {*requests, *limits} - {"cpu"}:
        if requests.get(name) != limits.get(name):
            yield f"{name}: request {requests.get(name)} and limit {limits.get(name)} differ"


def check_images(objects: Objects) -> Iterator[str]:
    """All pods that talk to each other have one image, pinned by a tag or digest."""
    images = {}
    for pod in pods(objects):
        for container in pod.containers:
            image = str(container.get("image"))
            images[image] = f"{pod.where}: {container['name']}"
            if not _PINNED.fullmatch(image):
                yield f"{images[image]}: image {image} has no fixed tag"
    if len(images) > 1:
        told = "; ".join(f"{where} has {image}" for image, where in sorted(images.items()))
        yield f"images of head, workers and submitter differ: {told}"


def check_volumes(objects: Objects) -> Iterator[str]:
    """Every mount has a volume, and every volume a mount."""
    for pod in pods(objects):
        yield from (f"{pod.where}: {problem}" for problem in _loose_ends(pod))


def _loose_ends(pod: Pod) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod.volumes}
    mounts = {
        mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])
    }
    yield from (f"mounts {name}, which is not a volume" for name in sorted(mounts - volumes))
    yield from (f"volume {name} is not mounted" for name in sorted(volumes - mounts))
    for container in pod.containers:
        folders = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
        read_only = container.get("securityContext", {}).get("readOnlyRootFilesystem")
        if read_only and "/tmp" not in folders:  # noqa: S108
            yield f"{container['name']}: readOnlyRootFilesystem, but no volume at /tmp"
        if _SHM in folders and not _is_shared_memory(pod, folders[_SHM]):
            yield (
                f"{container['name']}: {_SHM} is not an emptyDir in Memory of at least {_LEAST_SHM}"
            )


def _is_shared_memory(pod: Pod, name: str) -> bool:
    """Whether a volume is shared memory; if none is given at /dev/shm, KubeRay adds one."""
    volume = next((one for one in pod.volumes if one["name"] == name), {})
    folder = volume.get("emptyDir", {})
    size = parse_quantity(folder.get("sizeLimit", _LEAST_SHM))
    return bool(folder.get("medium") == "Memory" and size >= parse_quantity(_LEAST_SHM))
