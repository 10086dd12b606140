"""Check access to Ray's ports: by its own pods, KubeRay, and Prometheus for metrics, only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8s.checks.objects import Object, Objects, Pod, named, of_kind, pods

Labels = Mapping[str, str]
_OPERATOR = {"app.kubernetes.io/name": "kuberay-operator"}
_JOBS_API = 8265
# Names and numbers that KubeRay gives metrics ports; all but the first are the head's.
_METRICS = {"metrics": 8080, "as-metrics": 44217, "dash-metrics": 44227}


def check_network(objects: Objects) -> Iterator[str]:
    """Every pod has a policy, no policy lets everybody in, and Ray's own traffic passes."""
    policies = of_kind(objects, "NetworkPolicy")
    for pod in pods(objects):
        own = [policy for policy in policies if _selects(policy, pod)]
        if not own:
            yield f"{pod.where}: no NetworkPolicy closes its ports"
        elif pod.role != "job":
            yield from (f"{pod.where}: {problem}" for problem in _shut_out(own, _labels(pod)))
    for policy in policies:
        for rule in policy["spec"].get("ingress", []):
            if not rule.get("from"):
                yield f"{named(policy)}: lets everybody in"


def check_scraping(objects: Objects) -> Iterator[str]:
    """The pods and ports that Prometheus scrapes exist, and a policy opens them."""
    policies = of_kind(objects, "NetworkPolicy")
    opened = {number for policy in policies for number in _numbers(policy)}
    for monitor in of_kind(objects, "PodMonitor"):
        wanted = monitor["spec"]["selector"].get("matchLabels", {})
        if not any(wanted.items() <= _labels(pod).items() for pod in pods(objects)):
            yield f"{named(monitor)}: selects no pod of the set"
        for port in (endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]):
            if port not in _METRICS:
                yield f"{named(monitor)}: port {port} is not one of {', '.join(_METRICS)}"
            elif _METRICS[port] not in opened:
                yield f"{named(monitor)}: no NetworkPolicy opens port {port}, {_METRICS[port]}"


def _shut_out(policies: list[Object], own: Labels) -> Iterator[str]:
    """Find required access to a Ray pod that its policies do not grant."""
    rules = [rule for policy in policies for rule in policy["spec"].get("ingress", [])]
    if not any(_lets_in(rule, own) and "ports" not in rule for rule in rules):
        yield "its NetworkPolicy keeps out the cluster's other pods"
    if not any(_lets_in(rule, _OPERATOR) and _JOBS_API in _ports(rule) for rule in rules):
        yield f"its NetworkPolicy keeps KubeRay's operator from port {_JOBS_API}, so no job starts"


def _lets_in(rule: Object, labels: Labels) -> bool:
    wanted = [peer.get("podSelector", {}).get("matchLabels", {}) for peer in rule.get("from", [])]
    return any(one and one.items() <= labels.items() for one in wanted)


def _numbers(policy: Object) -> list[int]:
    return [number for rule in policy["spec"].get("ingress", []) for number in _ports(rule)]


def _ports(rule: Object) -> list[int]:
    return [port["port"] for port in rule.get("ports", [])]


def _selects(policy: Object, pod: Pod) -> bool:
    wanted = policy["spec"]["podSelector"].get("matchLabels", {})
    closes = "Ingress" in policy["spec"]["policyTypes"]
    return bool(closes and wanted.items() <= _labels(pod).items())


def _labels(pod: Pod) -> dict[str, str]:
    labels: dict[str, str] = pod.template.get("metadata", {}).get("labels", {})
    return labels
