"""A machine that is gone does not answer; what is wrong with this one says nothing of it."""

from __future__ import annotations

import socket

from batchfim.workers.ray import _listens


def test_who_listens_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert _listens({"NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port})
    assert not _listens({"NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port})


def test_who_cannot_be_reached_is_gone() -> None:
    unreachable = "192.0.2.1"  # RFC 5737: nobody has it
    assert not _listens({"NodeManagerAddress": unreachable, "NodeManagerPort": 9})
