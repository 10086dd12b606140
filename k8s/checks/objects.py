"""The objects of one rendered set, and the pods that they create."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Object = dict[str, Any]
Objects = Sequence[Object]


@dataclass(frozen=True)
class Pod:
    """A pod that an object of the set creates."""

    where: str
    role: Literal["head", "worker", "job"]
    template: Object

    @property
    def spec(self) -> Object:
        """The pod's spec."""
        spec: Object = self.template["spec"]
        return spec

    @property
    def containers(self) -> list[Object]:
        """The pod's containers, init containers included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def volumes(self) -> list[Object]:
        """The pod's volumes."""
        volumes: list[Object] = self.spec.get("volumes", [])
        return volumes


def named(thing: Object) -> str:
    """Kind and name of an object, for messages."""
    return f"{thing.get('kind')}/{thing.get('metadata', {}).get('name')}"


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    """The objects of these kinds."""
    return [thing for thing in objects if thing.get("kind") in kinds]


def pods(objects: Objects) -> Iterator[Pod]:
    """Every pod of RayJobs and CronJobs."""
    for rayjob in of_kind(objects, "RayJob"):
        yield from ray_pods(rayjob)
    for cronjob in of_kind(objects, "CronJob"):
        yield Pod(named(cronjob), "job", cronjob["spec"]["jobTemplate"]["spec"]["template"])


def ray_pods(rayjob: Object) -> Iterator[Pod]:
    """The head's pod, then one for each worker group."""
    cluster = rayjob["spec"]["rayClusterSpec"]
    yield Pod(f"{named(rayjob)} head", "head", cluster["headGroupSpec"]["template"])
    for group in cluster["workerGroupSpecs"]:
        yield Pod(f"{named(rayjob)} group {group['groupName']}", "worker", group["template"])


def environment(container: Object) -> dict[str, str]:
    """A container's environment variables with literal values."""
    return {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}


def job_files(objects: Objects) -> dict[str, str]:
    """Text of every job file in a ConfigMap, by `<ConfigMap>/<key>`."""
    return {
        f"{thing['metadata']['name']}/{key}": text
        for thing in of_kind(objects, "ConfigMap")
        for key, text in thing.get("data", {}).items()
        if key.endswith(".yaml")
    }
