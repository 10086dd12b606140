"""All checks of a rendered set of objects, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from k8s.checks.access import check_accounts, check_rbac
from k8s.checks.builtin import check_builtin, check_ray_pods
from k8s.checks.commands import check_entrypoints, check_job_files
from k8s.checks.custom import check_custom
from k8s.checks.fitting import check_capacity, check_kueue, check_times, check_versions
from k8s.checks.network import check_network, check_scraping
from k8s.checks.nightly import check_cron, check_names
from k8s.checks.objects import Objects
from k8s.checks.places import check_claims, check_models, check_places
from k8s.checks.podspecs import check_images, check_resources, check_security, check_volumes
from k8s.checks.references import check_references
from k8s.checks.rules import check_rules
from k8s.checks.submitter import check_retries, check_submitters

Check = Callable[[Objects], Iterator[str]]

# The other checks rely on this structure, so they do not run if one of these complains.
STRUCTURE: Mapping[str, Check] = {
    "builtin": check_builtin,
    "custom": check_custom,
    "ray-pods": check_ray_pods,
}
MEANING: Mapping[str, Check] = {
    "names": check_names,
    "cron": check_cron,
    "security": check_security,
    "network": check_network,
    "scraping": check_scraping,
    "rbac": check_rbac,
    "accounts": check_accounts,
    "resources": check_resources,
    "images": check_images,
    "volumes": check_volumes,
    "claims": check_claims,
    "references": check_references,
    "entrypoints": check_entrypoints,
    "job-files": check_job_files,
    "submitters": check_submitters,
    "retries": check_retries,
    "places": check_places,
    "models": check_models,
    "versions": check_versions,
    "times": check_times,
    "capacity": check_capacity,
    "kueue": check_kueue,
    "rules": check_rules,
}


def problems(objects: Objects) -> list[tuple[str, str]]:
    """The problems of a set, as pairs of the check's name and its message."""
    for name, check in STRUCTURE.items():
        if found := list(check(objects)):
            return [(name, text) for text in found]
    return [(name, text) for name, check in MEANING.items() for text in check(objects)]
