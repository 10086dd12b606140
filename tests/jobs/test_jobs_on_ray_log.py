"""The log of a job that is followed, from a Jobs API whose streams break."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from aiohttp import web

from jobs import on_ray

PIECES = ("line 1\nli", "ne 2\n", "line 3\n")
JOB = {"type": "SUBMISSION", "status": "SUCCEEDED", "entrypoint": "python -m jobs.infill"}


class Api:
    """Answers as Ray's Jobs API does; stream `n` breaks off after `n` pieces of the log."""

    def __init__(self) -> None:
        self.num_streams = 0
        self.app = web.Application()
        self.app.router.add_get("/api/version", self._version)
        self.app.router.add_get("/api/jobs/night", self._job)
        self.app.router.add_get("/api/jobs/night/logs/tail", self._tail)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"version": "4", "ray_version": ray.__version__, "ray_commit": "x"}
        )

    async def _job(self, _: web.Request) -> web.Response:
        return web.json_response(JOB)

    async def _tail(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        self.num_streams += 1
        for piece in PIECES[: self.num_streams]:
            await stream.send_str(piece)
        if self.num_streams <= len(PIECES):
            assert request.transport is not None
            request.transport.close()  # without the closing words of a WebSocket
        return stream


@contextmanager
def served(app: web.Application) -> Iterator[str]:
    """The address at which a thread serves it."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app)

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_what_was_printed_before_a_stream_broke_is_not_printed_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_ray, "_AGAIN_S", 0.01)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")  # put back, as the client sets it
    api = Api()
    with served(api.app) as address:
        assert on_ray.RayJobs(address).follow("night") == 0
    assert api.num_streams == len(PIECES) + 1
    assert capsys.readouterr().out == "".join(PIECES)
