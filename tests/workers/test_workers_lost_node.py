"""A machine that is gone does not answer; what is wrong with this one says nothing of it."""

from __future__ import annotations

import socket
import time

import pytest
from ray.exceptions import RayError

from batchfim.workers import ray_nodes
from batchfim.workers.ray_nodes import NodesSeen, NodeWatch, _listens


def test_who_listens_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert _listens({"NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port})
    assert not _listens({"NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port})


def test_who_cannot_be_reached_is_gone() -> None:
    unreachable = "192.0.2.1"  # RFC 5737: nobody has it
    assert not _listens({"NodeManagerAddress": unreachable, "NodeManagerPort": 9})


def test_a_worker_over_two_nodes_lacks_the_one_that_is_gone() -> None:
    seen = NodesSeen(drained={"b"}, alive={"a", "b"})
    assert not seen.lacks_any({"a", "b"})
    assert seen.lacks_any({"a", "c"})
    assert (seen.drains_any({"a", "b"}), seen.drains_any({"a"})) == (True, False)


def test_a_worker_that_is_not_up_has_no_node_to_lose() -> None:
    seen = NodesSeen(drained={"a"}, alive=set())
    assert not seen.lacks_any(set())
    assert not seen.drains_any(set())


def test_without_a_look_for_lost_nodes_none_is_gone() -> None:
    assert not NodesSeen(drained=set(), alive=None).lacks_any({"a"})


@pytest.mark.parametrize("answers", [True, False])
def test_nodes_are_looked_at_once_a_second_whether_or_not_the_head_answers(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    looks = 0

    def drained() -> set[str]:
        nonlocal looks
        looks += 1
        if not answers:
            raise RayError("of the test's")
        return {"a"}

    monkeypatch.setattr(ray_nodes, "_drained_nodes", drained)
    watch, seen = NodeWatch(for_lost=False), NodesSeen({"a"}, None) if answers else None
    assert [watch.look(), watch.look()] == [seen, None]
    assert looks == 1
    watch._looked_s = time.monotonic() - 1.01
    assert watch.look() == seen
    assert looks == 2
