"""Check that every referenced object is in the set or known to be created by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8s.checks.objects import Objects, Pod, named, of_kind, pods

# Created by hand, as README.md says, since secrets belong in no repository.
_BY_HAND = {("Secret", "batchfim-credentials")}
# key of the reference -> (kind, key of the name in it)
_NAMES = {
    "configMap": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
    "secretRef": ("Secret", "name"),
    "secretKeyRef": ("Secret", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}


def check_references(objects: Objects) -> Iterator[str]:
    """Find missing objects that others name, and secrets without which a pod would not start."""
    there = {(thing["kind"], thing["metadata"]["name"]) for thing in objects} | _BY_HAND
    for where, kind, name in _named(objects):
        if (kind, name) not in there:
            yield f"{where}: names {kind}/{name}, which does not exist"
    if len(spaces := _namespaces(objects)) > 1:
        yield f"more than one namespace: {', '.join(sorted(spaces))}"
    for pod in pods(objects):
        for where, reference in _walk(pod.template):
            if where in ("secretRef", "secretKeyRef") and reference.get("optional") is not True:
                yield f"{pod.where}: Secret/{reference.get('name')} is not optional"


def _namespaces(objects: Objects) -> set[str]:
    """Namespaces of the objects, and of bound accounts if given."""
    subjects = [one for binding in of_kind(objects, "RoleBinding") for one in binding["subjects"]]
    found = [thing["metadata"].get("namespace", "the current one") for thing in objects]
    return {*found, *(subject["namespace"] for subject in subjects if "namespace" in subject)}


def _named(objects: Objects) -> Iterator[tuple[str, str, str]]:
    for pod in pods(objects):
        yield from ((pod.where, kind, name) for kind, name in _of_pod(pod))
    for binding in of_kind(objects, "RoleBinding"):
        yield named(binding), binding["roleRef"]["kind"], binding["roleRef"]["name"]
        for subject in binding["subjects"]:
            yield named(binding), subject["kind"], subject["name"]


def _of_pod(pod: Pod) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", pod.spec.get("serviceAccountName", "default")
    for key, reference in _walk(pod.template):
        if key in _NAMES:
            kind, name = _NAMES[key]
            yield kind, reference[name]
    for container in pod.containers:
        for word in container.get("command", []):
            if word.startswith("--rayjob="):
                yield "RayJob", word.partition("=")[2]


def _walk(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key whose value is a mapping, with that value, recursively."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict):
                yield key, value
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)
