"""Check what must agree: times, versions, and a job's needs with the available resources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from batchfim.config import JobConfig
from k8s.checks.commands import config_of
from k8s.checks.objects import Object, Objects, Pod, named, of_kind, ray_pods
from k8s.checks.rendering import K8S

_DRAIN = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
_DEADLINES = ("preRunningDeadlineSeconds", "activeDeadlineSeconds")
_GPU = "nvidia.com/gpu"
_MOST_AT_ONCE = 32
_RAY = re.compile(r"^ray==(\S+)$", re.MULTILINE)
_QUEUE = "kueue.x-k8s.io/queue-name"
_ELASTIC = "kueue.x-k8s.io/elastic-job"


def check_versions(objects: Objects) -> Iterator[str]:
    """The cluster's Ray version is that of the images."""
    for thing in of_kind(objects, "RayJob"):
        told = thing["spec"]["rayClusterSpec"]["rayVersion"]
        for name in ("cpu.txt", "gpu.txt"):
            pin = _RAY.search((K8S.parent / "requirements" / name).read_text(encoding="utf8"))
            if pin is None or pin[1] != told:
                yield f"{named(thing)}: rayVersion {told} is not that of requirements/{name}"


def check_times(objects: Objects) -> Iterator[str]:
    """Whatever waits for something waits longer than that may take."""
    for rayjob in of_kind(objects, "RayJob"):
        config = config_of(rayjob, objects)
        for pod in ray_pods(rayjob):
            grace_s = pod.spec.get("terminationGracePeriodSeconds", 30)
            if pod.role == "worker" and grace_s <= _drain_s(pod):
                yield f"{pod.where}: killed after {grace_s} s, while Ray drains it ({_DRAIN})"
            if pod.role == "head" and config and grace_s <= config.schedule.grace_s:
                yield f"{pod.where}: killed after {grace_s} s, within the job's schedule.grace_s"
        start_s, all_s = (rayjob["spec"][key] for key in _DEADLINES)
        if all_s <= start_s:
            yield f"{named(rayjob)}: may take {all_s} s in total, but {start_s} s only to start"
        if config and (stop_s := config.schedule.stop_after_s) is not None:
            left_s = all_s - start_s - config.schedule.grace_s
            if stop_s > left_s:
                yield (
                    f"{named(rayjob)}: schedule.stop_after_s {stop_s:g} is too late: {left_s:g} s "
                    "of activeDeadlineSeconds are left after the start"
                )
        # KubeRay's clock starts again with each retry (`initRayJobStatusIfNeed`).
        needs_s = start_s + all_s * (rayjob["spec"]["backoffLimit"] + 1)
        for cronjob in of_kind(objects, "CronJob"):
            waits_s = cronjob["spec"]["jobTemplate"]["spec"].get(_DEADLINES[-1])
            if waits_s is not None and waits_s < needs_s:
                yield f"{named(cronjob)}: waits {waits_s} s for a RayJob that may take {needs_s} s"


def check_capacity(objects: Objects) -> Iterator[str]:
    """The job's engines fit into the worker groups and fill them."""
    for rayjob in of_kind(objects, "RayJob"):
        cluster = rayjob["spec"]["rayClusterSpec"]
        if (config := config_of(rayjob, objects)) is None:
            continue
        workers, groups = config.schedule.workers, cluster["workerGroupSpecs"]
        room = sum(_engines(group, config) for group in groups)
        if room != workers.max:
            yield f"{named(rayjob)}: room for {room} engines, but schedule.workers is {workers.max}"
        num_pods = sum(group["maxReplicas"] for group in groups)
        grows = cluster.get("enableInTreeAutoscaling")
        if num_pods > _MOST_AT_ONCE and not grows:
            yield (
                f"{named(rayjob)}: {num_pods} pods without autoscaling: KubeRay submits nothing "
                "until all of them run at the same time; use components/autoscaling"
            )
        if grows and not workers.may_grow:
            yield (
                f"{named(rayjob)}: autoscaling needs schedule.workers with min below max, since a "
                "fixed number is refused while there is no machine"
            )


def check_kueue(objects: Objects) -> Iterator[str]:
    """Find what Kueue would not accept; without Kueue, the annotation has no effect."""
    for rayjob in of_kind(objects, "RayJob"):
        if _QUEUE in rayjob["metadata"].get("labels", {}):
            yield f"{named(rayjob)}: label {_QUEUE} starts the template; use jobs.submit --label"
        grows = rayjob["spec"]["rayClusterSpec"].get("enableInTreeAutoscaling")
        if grows and rayjob["metadata"].get("annotations", {}).get(_ELASTIC) != "true":
            yield f"{named(rayjob)}: autoscaling under Kueue needs the annotation {_ELASTIC}"


def _engines(group: Object, config: JobConfig) -> int:
    """Number of engines that fit into a group, which has several per pod or several pods each."""
    requests = group["template"]["spec"]["containers"][0]["resources"]["requests"]
    num_pods, gpus = int(group["maxReplicas"]), int(requests.get(_GPU, 0))
    if (num_together := config.resources.nodes_per_worker) > 1:
        return num_pods // num_together * (num_together * gpus // config.engine.num_devices)
    if gpus:
        return num_pods * (gpus // config.engine.num_devices)
    return num_pods * int(float(requests["cpu"]) // config.resources.kept_cpus)


def _drain_s(pod: Pod) -> float:
    env = {entry["name"]: entry.get("value") for entry in pod.containers[0].get("env", [])}
    return float(env.get(_DRAIN) or 30)
