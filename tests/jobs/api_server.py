"""A small HTTP server that answers for RayJobs as the Kubernetes API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

PATH = "/apis/ray.io/v1/namespaces/night/rayjobs"


class Cluster:
    """RayJobs by name; each look at one takes its status a step on."""

    def __init__(self, statuses: list[dict[str, Any]], *, refusal: int | None = None) -> None:
        self.rayjobs: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.failures_left = 0
        self.refusal = refusal
        self._statuses = statuses
        self._seen: dict[str, int] = {}

    def answer(self, verb: str, url: str, body: Any) -> tuple[int, Any]:
        """Status code and object."""
        self.requests.append(verb)
        if self.failures_left:
            self.failures_left -= 1
            return 503, {"message": "the server is being upgraded"}
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if self.refusal or not path.startswith(PATH):
            return self.refusal or 404, {"message": "no"}
        if verb == "POST":
            return self._create(body)
        name = path.removeprefix(PATH).strip("/")
        return self._get(name) if name else (200, {"items": self._list(query)})

    def _create(self, rayjob: dict[str, Any]) -> tuple[int, Any]:
        name = rayjob["metadata"]["name"]
        if name in self.rayjobs:
            return 409, {"reason": "AlreadyExists"}
        self.rayjobs[name] = rayjob
        return 201, rayjob

    def _get(self, name: str) -> tuple[int, Any]:
        if name not in self.rayjobs:
            return 404, {"reason": "NotFound"}
        step = self._seen.get(name, 0)
        self._seen[name] = step + 1
        status = self._statuses[min(step, len(self._statuses) - 1)]
        return 200, self.rayjobs[name] | {"status": status}

    def _list(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        (selector,) = query["labelSelector"]
        key, _, value = selector.partition("=")
        labels = {name: job["metadata"].get("labels", {}) for name, job in self.rayjobs.items()}
        return [self.rayjobs[name] for name, has in labels.items() if has.get(key) == value]


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """The cluster behind a port of this machine; a kubeconfig that leads there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._answer("POST", json.loads(self.rfile.read(length)))

        def _answer(self, verb: str, body: Any) -> None:
            code, content = cluster.answer(verb, self.path, body)
            data = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(server.server_port)))
    try:
        yield kubeconfig
    finally:
        server.shutdown()
        server.server_close()


def _kubeconfig(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "night"}}],
        "current-context": "x",
    }
