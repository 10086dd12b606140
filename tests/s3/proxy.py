"""An HTTP proxy before a server that does, on command, what storage does on a bad day."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Fault(Enum):
    """What happens to a request."""

    BUSY = "503 SlowDown, and nothing was done"
    ERROR = "500, and nothing was done"
    RESET = "the connection is reset, and nothing was done"
    LOST = "the request is done, but the connection is reset before the answer"
    CUT = "the request is done, but the answer breaks off in its middle"
    LATE = "the answer comes late"
    DENIED = "403 AccessDenied"


@dataclass(frozen=True)
class Plan:
    """`share` of the requests meet one of `faults`, at most `times` of them."""

    faults: tuple[Fault, ...]
    share: float
    times: float
    matching: str


class Proxy:
    """Passes requests on to a port of this machine, from `with` to its end."""

    def __init__(self, target_port: int, *, seed: int = 0, late_s: float = 0.3) -> None:
        self.requests: list[str] = []  # `METHOD /path`
        self.num_faults = 0
        self.late_s = late_s
        self._target_port = target_port
        self._random = random.Random(seed)
        self._plan: Plan | None = None
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fail(
        self, *faults: Fault, share: float = 1.0, times: float = float("inf"), matching: str = ""
    ) -> None:
        """From now on requests fail; `matching` is a part of `METHOD /path` (`PUT /b/done/`)."""
        with self._lock:
            self._plan = Plan(faults, share, times, matching)
            self.num_faults = 0

    def heal(self) -> None:
        """From now on every request passes."""
        with self._lock:
            self._plan = None

    def draw(self, request: str) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            self.requests.append(request)
            plan = self._plan
            if plan is None or plan.matching not in request or self.num_faults >= plan.times:
                return None
            if self._random.random() >= plan.share:
                return None
            self.num_faults += 1
            return self._random.choice(plan.faults)

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Ask the server behind."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target_port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            got = connection.getresponse()
            length = got.getheader("Content-Length") if method == "HEAD" else None
            return Answer(got.status, got.getheaders(), got.read(), length)
        finally:
            connection.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Answer:
    """`length`: what the answer to a HEAD says of the body it does not have."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    length: str | None = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        body = self._body()
        fault = self.server.proxy.draw(f"{self.command} {self.path}")
        if fault is Fault.RESET:
            self._reset()
        elif fault in _REFUSALS:
            self._answer(_REFUSALS[fault])
        else:
            if fault is Fault.LATE:
                time.sleep(self.server.proxy.late_s)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            answer = self.server.proxy.forward(self.command, self.path, headers, body)
            if fault is Fault.LOST:
                self._reset()
            else:
                self._answer(answer, cut=fault is Fault.CUT)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, answer: Answer, *, cut: bool = False) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.length or str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        if cut:
            self._reset()

    def _reset(self) -> None:
        """End the connection as a crashed peer does: RST, not FIN."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


_XML = [("Content-Type", "application/xml")]
_REFUSALS = {
    Fault.BUSY: Answer(503, _XML, _BUSY),
    Fault.ERROR: Answer(500, _XML, b""),
    Fault.DENIED: Answer(403, _XML, _DENIED),
}
