"""Check the CronJob: schedule, concurrency, lengths of names, and limits of its Jobs."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

from jobs.rayjob import LONGEST_CRONJOB, LONGEST_NAME, NAME
from k8s.checks.objects import Object, Objects, named, of_kind

_LONGEST = {"RayJob": LONGEST_NAME, "CronJob": LONGEST_CRONJOB}


def check_names(objects: Objects) -> Iterator[str]:
    """Find names that KubeRay refuses: a RayJob's becomes part of names of up to 63 characters."""
    for thing in of_kind(objects, *_LONGEST):
        name, longest = thing["metadata"]["name"], _LONGEST[thing["kind"]]
        if len(name) > longest:
            yield f"{named(thing)}: the name has {len(name)} characters, at most {longest} allowed"
        if not NAME.fullmatch(name):
            yield f"{named(thing)}: the name is not DNS-1035: {NAME.pattern}"


def check_cron(objects: Objects) -> Iterator[str]:
    """Find problems of a CronJob that no schema covers."""
    for thing in of_kind(objects, "CronJob"):
        for problem in [*_start(thing["spec"]), *_work(thing["spec"]["jobTemplate"]["spec"])]:
            yield f"{named(thing)}: {problem}"


def _start(spec: Object) -> Iterator[str]:
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone", "")
    if len(str(schedule).split()) != 5 or not croniter.is_valid(schedule):
        yield f"schedule {schedule!r} is not five fields of cron"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"timeZone {zone!r} is not a time zone"
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy not in ("Forbid", "Replace"):
        yield f"concurrencyPolicy {policy} is not Forbid or Replace, so nights would overlap"
    for key in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if key not in spec:
            yield f"{key} is not set"


def _work(job: Object) -> Iterator[str]:
    for key in ("activeDeadlineSeconds", "backoffLimit"):
        if key not in job:
            yield f"{key} of its Job is not set"
    policy = job.get("template", {}).get("spec", {}).get("restartPolicy")
    if policy != "Never":
        yield f"restartPolicy {policy} of its pod is not Never, which podFailurePolicy needs"
