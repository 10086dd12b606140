"""A RayJob on Kubernetes: create it, or adopt it where it is there; wait; the job's exit code."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import urllib3

from batchfim.errors import ConfigError, JobFailed, JobHeld
from jobs.rayjob import OUTPUT_LABEL, exit_code, state_text

try:
    from kubernetes import client, config
except ImportError as error:
    raise ConfigError(f"{error}; install batchfim with its k8s extra") from None

_GROUP, _VERSION, _PLURAL = "ray.io", "v1", "rayjobs"
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_POLL_S = 10.0
_AWAY_S = 600.0  # an API server that does not answer for so long is not upgraded but gone
_CONFLICT, _NOT_FOUND = 409, 404
_REFUSALS = {
    401: "its credentials are not taken",
    403: "it may not do that: see the Role in k8s/base",
    404: "it knows no RayJobs: KubeRay is not installed, or there is no such namespace",
    422: "it refuses the object",
}


def run_on_k8s(rayjob: dict[str, Any], api: ApiServer, *, poll_s: float = _POLL_S) -> int:
    """Run a RayJob to its end; its job's exit code.

    Raises:
        JobHeld: another RayJob works the same output; nothing was created.
        ConfigError: the API server refuses it, or the name is another job's.
        JobFailed: it was deleted, or the API server was lost sight of.
    """
    name, labels = rayjob["metadata"]["name"], rayjob["metadata"]["labels"]
    for other in api.list(f"{OUTPUT_LABEL}={labels[OUTPUT_LABEL]}"):
        if other["metadata"]["name"] != name and exit_code(other) is None:
            raise JobHeld(f"RayJob {state_text(other)}: it works the same output; nothing was done")
    created = api.create(rayjob)
    _say(f"{'created' if created else 'following'} RayJob {name}")
    if not created and _label(api.get(name) or rayjob) != labels[OUTPUT_LABEL]:
        raise ConfigError(f"a RayJob {name} is there, and it is another job's")
    return _wait(name, api, poll_s)


def read_template(name: str, api: ApiServer) -> dict[str, Any]:
    """A RayJob of the cluster, to be copied.

    Raises:
        ConfigError: there is none.
    """
    if (found := api.get(name)) is None:
        raise ConfigError(f"there is no RayJob {name} to copy; apply an overlay of k8s/ first")
    return found


def _wait(name: str, api: ApiServer, poll_s: float) -> int:
    told = ""
    while True:
        if (rayjob := api.get(name)) is None:
            raise JobFailed(f"RayJob {name} was deleted while it was waited for")
        if (state := state_text(rayjob)) != told:
            told = state
            _say(state)
        if (code := exit_code(rayjob)) is not None:
            if code:
                _say(str(rayjob["status"].get("message", "")))
            return code
        time.sleep(poll_s)


def _label(rayjob: dict[str, Any]) -> str | None:
    labels: dict[str, str] = rayjob["metadata"].get("labels") or {}
    return labels.get(OUTPUT_LABEL)


class ApiServer:
    """The cluster of the kubeconfig, or the one this pod is in.

    Its verbs are those that the Role in k8s/ grants, and no others.
    """

    def __init__(self, namespace: str | None, *, away_s: float = _AWAY_S) -> None:
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config()
            else:
                config.load_kube_config(os.environ.get("KUBECONFIG"))
        except (config.ConfigException, FileNotFoundError) as error:
            raise ConfigError(f"no Kubernetes to talk to: {error}") from None
        self._namespace = namespace or _own_namespace()
        self._away_s = away_s
        self._objects = client.CustomObjectsApi()

    def create(self, rayjob: dict[str, Any]) -> bool:
        """Create it; False where one of this name is there."""
        done = self._ask("create", self._objects.create_namespaced_custom_object, body=rayjob)
        return done is not None

    def get(self, name: str) -> dict[str, Any] | None:
        """The object with its status; None where there is none."""
        found = self._ask("get", self._objects.get_namespaced_custom_object, name=name)
        return None if found is None else dict(found)

    def list(self, label: str) -> list[dict[str, Any]]:
        """Those with a label `key=value`."""
        call = self._objects.list_namespaced_custom_object
        return list(self._ask("list", call, label_selector=label)["items"])

    def _ask(self, verb: str, call: Any, **arguments: Any) -> Any:
        """One request, repeated while the server does not answer.

        None where what is to be created is there, or what is looked at is not.
        """
        asked_s = time.monotonic()
        while True:
            try:
                return call(_GROUP, _VERSION, self._namespace, _PLURAL, **arguments)
            except client.ApiException as error:
                if error.status == (_NOT_FOUND if "name" in arguments else _CONFLICT):
                    return None
                if not _may_pass(error.status):
                    raise self._refusal(verb, error) from None
                trouble = f"{error.status} {error.reason}"
            except urllib3.exceptions.HTTPError as error:
                trouble = str(error)
            if time.monotonic() - asked_s > self._away_s:
                raise JobFailed(
                    f"the API server has not answered for {self._away_s:.0f} s: {trouble}; the "
                    "RayJob may go on: the same command follows it"
                )
            time.sleep(min(_POLL_S, self._away_s / 10))

    def _refusal(self, verb: str, error: client.ApiException) -> ConfigError:
        why = _REFUSALS.get(error.status, "it refuses")
        return ConfigError(
            f"Kubernetes, {verb} rayjobs in {self._namespace}: {error.status} {error.reason}: "
            f"{why}: {error.body}"
        )


def _may_pass(status: int) -> bool:
    return status >= 500 or status == 429  # a server's own trouble; too many requests


def _own_namespace() -> str:
    """The pod's own, or the kubeconfig's current one."""
    if _NAMESPACE.exists():
        return _NAMESPACE.read_text(encoding="utf8").strip()
    _, current = config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))
    return str(current["context"].get("namespace") or "default")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
