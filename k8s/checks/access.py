"""Check access to the API server: the submitter may call it by its role, and nothing else may."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.checks.objects import Object, Objects, Pod, named, of_kind, pods

# What `jobs.submit` calls.
_CALLS = {("ray.io", "rayjobs", verb) for verb in ("create", "get", "list")}


def check_rbac(objects: Objects) -> Iterator[str]:
    """The submitter's role grants exactly its calls, and no other role grants anything."""
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


def check_accounts(objects: Objects) -> Iterator[str]:
    """The submitter has the role and a token; Ray's pods, which run models, have no role."""
    bound = {
        subject["name"]
        for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
    }
    accounts = {one["metadata"]["name"]: one for one in of_kind(objects, "ServiceAccount")}
    for pod in pods(objects):
        account = pod.spec.get("serviceAccountName", "default")
        if pod.role != "job":
            if account in bound:
                yield f"{pod.where}: its ServiceAccount {account} has a role; a model needs none"
        elif account not in bound:
            yield f"{pod.where}: no RoleBinding gives its ServiceAccount {account} the role"
        elif not _has_token(pod, accounts.get(account, {})):
            yield f"{pod.where}: automountServiceAccountToken is false, but it calls the API server"


def _has_token(pod: Pod, account: Object) -> bool:
    """Whether a token is mounted; the pod's setting overrides its account's."""
    key = "automountServiceAccountToken"
    return bool(pod.spec.get(key, account.get(key, True)))
