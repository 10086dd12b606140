"""Mistakes planted in manifests that are right."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from k8s.checks.objects import Object, Objects
from k8s.checks.rendering import K8S, render

GONE = object()
RAY = "spec.rayClusterSpec."
HEAD = f"{RAY}headGroupSpec."
GROUP = f"{RAY}workerGroupSpecs.0."
HEAD_POD = f"{HEAD}template.spec."
WORKER_POD = f"{GROUP}template.spec."
JOB = "spec.jobTemplate.spec."
JOB_POD = f"{JOB}template.spec."


@dataclass(frozen=True)
class Fault:
    """A value in one object of an overlay, and the check that must refuse it in these words."""

    target: str  # kind, or kind/name
    path: str
    value: Any
    check: str
    says: str
    overlay: str = "kind-cpu"

    def __str__(self) -> str:
        value = "gone" if self.value is GONE else self.value
        return f"{self.target} {self.path.replace(RAY, '')} {value}"[:80]


def plant(fault: Fault) -> Objects:
    """The overlay's objects with the mistake in them."""
    objects = copy.deepcopy(_rendered(fault.overlay))
    node: Any = next(thing for thing in objects if fault.target in _calls(thing))
    *way, last = fault.path.split(".")
    for step in way:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    key = int(last) if isinstance(node, list) else last.replace("~", ".")
    if fault.value is GONE:
        del node[key]
    else:
        node[key] = fault.value
    return objects


@cache
def _rendered(overlay: str) -> Objects:
    return render(K8S / "overlays" / overlay)


def _calls(thing: Object) -> tuple[str, str]:
    return thing["kind"], f"{thing['kind']}/{thing['metadata']['name']}"
