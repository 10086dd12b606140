"""Whether a machine has room for a worker. Pure."""

from __future__ import annotations

from batchfim.cluster.capacity import Wanted, find_no_room
from batchfim.config.files import load_config

HEAD = {"CPU": 4.0, "memory": 1e9}
SMALL = {"CPU": 8.0, "GPU": 4.0, "accelerator_type:L4": 1.0}


def test_one_machine_has_to_have_all_of_it() -> None:
    assert find_no_room(Wanted({"CPU": 1, "GPU": 4}), [HEAD, SMALL]) is None
    assert find_no_room(Wanted({"CPU": 1, "GPU": 0}), [HEAD]) is None
    assert find_no_room(Wanted({"CPU": 8, "GPU": 8}), [HEAD, SMALL, SMALL]) == (
        "no room for a worker in the Ray cluster: needs 8 CPU, 8 GPU on one node; nodes have: "
        "4 CPU, 0 GPU; 8 CPU, 4 GPU; 8 CPU, 4 GPU"
    )


def test_a_kind_of_gpu_is_asked_for_by_its_name() -> None:
    assert find_no_room(Wanted({"GPU": 1, "accelerator_type:L4": 0.001}), [SMALL]) is None
    problem = find_no_room(Wanted({"GPU": 1, "accelerator_type:H100": 0.001}), [SMALL])
    assert problem is not None
    assert "0 H100" in problem


def test_without_machines_there_is_no_room() -> None:
    problem = find_no_room(Wanted({"CPU": 1}), [])
    assert problem == (
        "no room for a worker in the Ray cluster: needs 1 CPU on one node; nodes have: nothing"
    )


def test_parts_of_a_model_may_lie_on_several_machines_but_not_on_more_than_asked_for() -> None:
    eight = {"CPU": 1, "GPU": 1}
    assert find_no_room(Wanted(eight, num_parts=8, num_machines=2), [HEAD, SMALL, SMALL]) is None
    assert find_no_room(Wanted(eight, num_parts=8, num_machines=1), [HEAD, SMALL, SMALL])
    problem = find_no_room(Wanted(eight, num_parts=9, num_machines=2), [SMALL, SMALL, SMALL])
    assert problem == (
        "no room for a worker in the Ray cluster: needs 9 times 1 CPU, 1 GPU on at most 2 nodes; "
        "nodes have: 8 CPU, 4 GPU; 8 CPU, 4 GPU; 8 CPU, 4 GPU"
    )


def test_on_several_machines_each_part_asks_for_one_gpu() -> None:
    flags = {"input.paths": ["a"], "output.path": "b", "model.path": "demo"}
    sets = ["engine.args.pipeline_parallel_size=4", "resources.accelerator_type=L4"]
    one = load_config(None, flags, sets)
    assert Wanted.of(one, 4.0) == Wanted({"CPU": 1, "GPU": 4, "accelerator_type:L4": 0.001})
    two = load_config(None, flags, [*sets, "resources.nodes_per_worker=2"])
    assert Wanted.of(two, 4.0) == Wanted({"CPU": 1, "GPU": 1, "accelerator_type:L4": 0.001}, 4, 2)
