"""Check the CronJob's pod, so that each night is a separate run and ends well."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.checks.objects import Object, Objects, Pod, named, of_kind, pods

_JOB = "metadata.labels['batch.kubernetes.io/job-name']"
_FROM_POD = {
    "--namespace": "metadata.namespace",
    "--name": _JOB,  # with a fixed name, later nights would find the first night's finished RayJob
    "--owner-name": _JOB,
    "--owner-uid": "metadata.labels['batch.kubernetes.io/controller-uid']",
}
_ACCEPTS = {
    "--accept-failed-rows": "a job with failed rows",
    "--accept-unfinished": "one that schedule.stop_after_s ended",
}


def check_submitters(objects: Objects) -> Iterator[str]:
    """`jobs.submit` gets the night's name: the RayJob's name and owner are the Job's."""
    for pod in pods(objects):
        for container in pod.containers:
            if "jobs.submit" in container.get("command", []):
                for problem in _night(container):
                    yield f"{pod.where}: {container['name']}: {problem}"
    for cronjob in of_kind(objects, "CronJob"):
        yield from (f"{named(cronjob)}: {problem}" for problem in _policy(cronjob))


def check_retries(objects: Objects) -> Iterator[str]:
    """KubeRay does not start another cluster for a job that ended as intended."""
    for rayjob in of_kind(objects, "RayJob"):
        words = rayjob["spec"]["entrypoint"].split()
        for flag, ending in _ACCEPTS.items():
            if "jobs.infill" in words and rayjob["spec"]["backoffLimit"] and flag not in words:
                yield (
                    f"{named(rayjob)}: backoffLimit without {flag}: {ending} would be started "
                    "again, in vain"
                )


def _night(container: Object) -> Iterator[str]:
    given = dict(word.partition("=")[::2] for word in container["command"])
    told = {
        f"$({one['name']})": one["valueFrom"].get("fieldRef", {}).get("fieldPath")
        for one in container.get("env", [])
        if "valueFrom" in one
    }
    for flag, field in _FROM_POD.items():
        if told.get(given.get(flag, "")) != field:
            yield f"{flag} is {given.get(flag)}, not a variable with the pod's {field}"


def _policy(cronjob: Object) -> Iterator[str]:
    """Find containers in a podFailurePolicy that do not exist, which Kubernetes refuses."""
    job = cronjob["spec"]["jobTemplate"]["spec"]
    names = {one["name"] for one in Pod(named(cronjob), "job", job["template"]).containers}
    for rule in job.get("podFailurePolicy", {}).get("rules", []):
        name = rule.get("onExitCodes", {}).get("containerName")
        if name is not None and name not in names:
            yield f"podFailurePolicy names container {name}, which does not exist"
