"""The core process of a real vLLM engine is killed inside a live actor."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.e2e.conftest import Start, children_of, still_alive
from tests.e2e.test_faults import ids, run_args, wait_for_parts
from tests.e2e.test_humaneval import FAST_START
from tests.processes import engine_cores

# A row at a time, over a thousand tokens in a row: time to be hit in the middle.
SMALL = ("--set", "engine.args.max_num_seqs=1", "--set", "schedule.shard_rows=10")


def test_a_dead_core_ends_its_actor_and_another_does_the_work(
    records: Path, tmp_path: Path, start: Start
) -> None:
    output = tmp_path / "out"
    process = start(*run_args(records, output, *FAST_START, *SMALL))
    # The core is looked for while it starts: the work itself may be done before it is found.
    while not (core := engine_cores(children_of(process))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    wait_for_parts(output, process, 2)
    actors = [core[0].parent()]
    assert len(core) == 1
    core[0].kill()

    assert process.wait() == 0, process.communicate()
    assert ids(output) == sorted(f"r{row}" for row in range(200))
    run = json.loads((output / "_batchfim" / "summary.json").read_text())["runs"][-1]
    assert (run["workers_lost"], len(run["engines"])) == (1, 2)
    assert still_alive([one for one in (*core, *actors) if one]) == []
