"""Alert rules as a Prometheus operator object, which `python -m k8s.checks.rules` writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from k8s.checks.objects import Object, Objects, named, of_kind
from k8s.checks.rendering import K8S

_ALERTS = K8S.parent / "batchfim" / "telemetry" / "alerts.yaml"


def check_rules(objects: Objects) -> Iterator[str]:
    """The rules are those that ship with the package."""
    for rule in of_kind(objects, "PrometheusRule"):
        if rule["spec"] != _alerts():
            yield f"{named(rule)}: differs from batchfim/telemetry/alerts.yaml; run `make rules`"


def prometheus_rule() -> Object:
    """The package's rules as a PrometheusRule."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "batchfim", "labels": {"release": "prometheus"}},
        "spec": _alerts(),
    }


def _alerts() -> Any:
    return yaml.safe_load(_ALERTS.read_text(encoding="utf8"))


if __name__ == "__main__":
    print("# Written by `make rules` from batchfim/telemetry/alerts.yaml.")
    print(yaml.safe_dump(prometheus_rule(), sort_keys=False, allow_unicode=True), end="")
