"""Create a RayJob on Kubernetes, or follow an existing one, and wait for its exit code."""

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
    raise ConfigError(f"{error}; install batchfim with its k8s extra: batchfim[k8s]") from None

_GROUP, _VERSION, _PLURAL = "ray.io", "v1", "rayjobs"
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_POLL_S = 10.0
_AWAY_S = 600.0  # longer than an API server is away during an upgrade
_CONFLICT, _NOT_FOUND = 409, 404
_REFUSALS = {
    401: "the credentials are not accepted",
    403: "not permitted; see the Role in k8s/base",
    404: "RayJobs are unknown: KubeRay is not installed, or the namespace does not exist",
    422: "the object is invalid",
}


def run_on_k8s(rayjob: dict[str, Any], api: ApiServer, *, poll_s: float = _POLL_S) -> int:
    """Run a RayJob to its end and return its job's exit code.

    Raises:
        JobHeld: another RayJob writes the same output; nothing was created.
        ConfigError: the API server refuses it, or another job has its name.
        JobFailed: it was deleted, or the API server stopped answering.
    """
    name, labels = rayjob["metadata"]["name"], rayjob["metadata"]["labels"]
    for other in api.list(f"{OUTPUT_LABEL}={labels[OUTPUT_LABEL]}"):
        if other["metadata"]["name"] != name and exit_code(other) is None:
            raise JobHeld(
                f"RayJob {state_text(other)}: it writes the same output; nothing was created, wait "
                "for it or delete it"
            )
    created = api.create(rayjob)
    _say(f"{'created' if created else 'following'} RayJob {name}")
    if not created and _label(api.get(name) or rayjob) != labels[OUTPUT_LABEL]:
        raise ConfigError(f"RayJob {name}: exists and is another job's; choose another --name")
    return _wait(name, api, poll_s)


def read_template(name: str, api: ApiServer) -> dict[str, Any]:
    """Get the cluster's RayJob of this name, to be copied.

    Raises:
        ConfigError: it does not exist.
    """
    if (found := api.get(name)) is None:
        raise ConfigError(f"there is no RayJob {name} to copy; apply an overlay of k8s/ first")
    return found


def _wait(name: str, api: ApiServer, poll_s: float) -> int:
    told = ""
    while True:
        if (rayjob := api.get(name)) is None:
            raise JobFailed(f"RayJob {name} was deleted while this command waited for it")
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
    """The API server of the kubeconfig's cluster, or of the cluster this pod runs in.

    Only the verbs that the Role in k8s/ grants are used.
    """

    def __init__(self, namespace: str | None, *, away_s: float = _AWAY_S) -> None:
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config()
            else:
                config.load_kube_config(os.environ.get("KUBECONFIG"))
        except (config.ConfigException, FileNotFoundError) as error:
            raise ConfigError(f"no Kubernetes found: {error}; set KUBECONFIG") from None
        self._namespace = namespace or _own_namespace()
        self._away_s = away_s
        self._objects = client.CustomObjectsApi()

    def create(self, rayjob: dict[str, Any]) -> bool:
        """Create a RayJob; False if one of this name exists."""
        done = self._ask("create", self._objects.create_namespaced_custom_object, body=rayjob)
        return done is not None

    def get(self, name: str) -> dict[str, Any] | None:
        """The RayJob of this name with its status; None if it does not exist."""
        found = self._ask("get", self._objects.get_namespaced_custom_object, name=name)
        return None if found is None else dict(found)

    def list(self, label: str) -> list[dict[str, Any]]:
        """The RayJobs with a label `key=value`."""
        call = self._objects.list_namespaced_custom_object
        return list(self._ask("list", call, label_selector=label)["items"])

    def _ask(self, verb: str, call: Any, **arguments: Any) -> Any:
        """Send one request, repeated while the server does not answer.

        None if the object to create already exists, or the object to get does not.
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
                    "RayJob may still run: run the same command again to follow it"
                )
            time.sleep(min(_POLL_S, self._away_s / 10))

    def _refusal(self, verb: str, error: client.ApiException) -> ConfigError:
        why = _REFUSALS.get(error.status, "refused")
        return ConfigError(
            f"Kubernetes, {verb} rayjobs in {self._namespace}: {error.status} {error.reason}: "
            f"{why}: {error.body}"
        )


def _may_pass(status: int) -> bool:
    return status >= 500 or status == 429  # a server error, or too many requests


def _own_namespace() -> str:
    """The pod's own namespace, or the kubeconfig's current one."""
    if _NAMESPACE.exists():
        return _NAMESPACE.read_text(encoding="utf8").strip()
    _, current = config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))
    return str(current["context"].get("namespace") or "default")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
