"""Whether a machine has room for a worker. Pure."""

from __future__ import annotations

from batchfim.workers.room import find_no_room

HEAD = {"CPU": 4.0, "memory": 1e9}
SMALL = {"CPU": 8.0, "GPU": 4.0, "accelerator_type:L4": 1.0}


def test_one_machine_has_to_have_all_of_it() -> None:
    assert find_no_room({"CPU": 1, "GPU": 4}, [HEAD, SMALL]) is None
    assert find_no_room({"CPU": 1, "GPU": 0}, [HEAD]) is None
    assert find_no_room({"CPU": 8, "GPU": 8}, [HEAD, SMALL, SMALL]) == (
        "a worker wants 8 CPU, 8 GPU on one machine, and Ray's have: 4 CPU, 0 GPU; 8 CPU, 4 GPU; "
        "8 CPU, 4 GPU"
    )


def test_a_kind_of_gpu_is_asked_for_by_its_name() -> None:
    assert find_no_room({"GPU": 1, "accelerator_type:L4": 0.001}, [SMALL]) is None
    problem = find_no_room({"GPU": 1, "accelerator_type:H100": 0.001}, [SMALL])
    assert problem is not None
    assert "0 H100" in problem


def test_without_machines_there_is_no_room() -> None:
    problem = find_no_room({"CPU": 1}, [])
    assert problem == "a worker wants 1 CPU on one machine, and Ray's have: nothing"
