"""Check Kubernetes' own kinds, and the pods in a RayJob, against the API server's schemas."""

from __future__ import annotations

from collections.abc import Iterator

import kubernetes_validate

from k8s.checks.custom import custom_kinds
from k8s.checks.objects import Object, Objects, named, of_kind, ray_pods

# The oldest and the newest Kubernetes that the manifests are for.
VERSIONS = ("1.31", "1.37")
_PARTS = ("apiVersion", "kind", "metadata")


def check_builtin(objects: Objects) -> Iterator[str]:
    """Find what the API server would refuse: unknown keys, wrong types, missing values."""
    custom = custom_kinds()
    for thing in objects:
        missing = [part for part in _PARTS if part not in thing]
        if missing:
            yield f"{named(thing)}: {', '.join(missing)} missing"
        elif thing["kind"] not in custom:
            yield from _refusals(thing, named(thing))


def check_ray_pods(objects: Objects) -> Iterator[str]:
    """Find the same in the pods of a RayJob, which its CRD describes in less detail."""
    for rayjob in of_kind(objects, "RayJob"):
        for pod in ray_pods(rayjob):
            template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}}
            yield from _refusals(template | {"template": pod.template}, pod.where)


def _refusals(thing: Object, where: str) -> Iterator[str]:
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(map(str, error.path))
            yield f"{where}: {path}: {error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{where}: {error.message}"
