"""Who may call whom: the API server by its roles, Ray's ports by network policies."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.checks.objects import Object, Objects, Pod, named, of_kind, pods

# What `jobs.submit` calls.
_CALLS = {("ray.io", "rayjobs", verb) for verb in ("create", "get", "list")}


def check_rbac(objects: Objects) -> Iterator[str]:
    """The submitter's role grants what it calls, and nothing else grants anything."""
    roles = of_kind(objects, "Role", "ClusterRole")
    for role in roles:
        granted = {
            (group, resource, verb)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for what, calls in (("lacks", _CALLS - granted), ("also grants", granted - _CALLS)):
            if calls:
                yield f"{named(role)}: {what} {', '.join(' '.join(call) for call in sorted(calls))}"


def check_network(objects: Objects) -> Iterator[str]:
    """Every pod is behind a policy, and none opens it to everybody."""
    policies = of_kind(objects, "NetworkPolicy")
    for pod in pods(objects):
        if not any(_selects(policy, pod) for policy in policies):
            yield f"{pod.where}: no NetworkPolicy closes its ports"
    for policy in policies:
        for rule in policy["spec"].get("ingress", []):
            if not rule.get("from"):
                yield f"{named(policy)}: lets everybody in"


def _selects(policy: Object, pod: Pod) -> bool:
    labels = pod.template.get("metadata", {}).get("labels", {})
    wanted = policy["spec"]["podSelector"].get("matchLabels", {})
    return bool(wanted.items() <= labels.items()) and "Ingress" in policy["spec"]["policyTypes"]
