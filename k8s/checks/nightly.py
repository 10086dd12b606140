"""The CronJob: when it starts, how often at once, and how long names and work may become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

from k8s.checks.objects import Object, Objects, named, of_kind

# A CronJob's Job is `<CronJob>-<minutes since 1970>`, and the RayJob is called as the Job.
_MINUTES = "-00000000"
_LONGEST = {"RayJob": 47, "CronJob": 47 - len(_MINUTES)}
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def check_names(objects: Objects) -> Iterator[str]:
    """Names that KubeRay refuses: a RayJob's becomes part of others that have 63 letters."""
    for thing in of_kind(objects, *_LONGEST):
        name, longest = thing["metadata"]["name"], _LONGEST[thing["kind"]]
        if len(name) > longest:
            yield f"{named(thing)}: the name has {len(name)} letters, at most {longest} may be"
        if not _DNS_1035.fullmatch(name):
            yield f"{named(thing)}: the name is not DNS-1035: {_DNS_1035.pattern}"


def check_cron(objects: Objects) -> Iterator[str]:
    """What no schema tells of a CronJob."""
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
        yield f"concurrencyPolicy {policy} is not Forbid or Replace: nights would overlap"
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
