"""A few kills at random on a whole job; `make chaos` makes hundreds."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.chaos.__main__ import fight
from benchmarks.chaos.accounts import Accounts, account
from benchmarks.chaos.kills import draw_kills
from benchmarks.chaos.redone import Redone

TARGETS = ["driver", "actor", "hang", "storage"]


def test_whatever_is_hit_no_row_is_lost_or_doubled(tmp_path: Path) -> None:
    result = fight(tmp_path, "simulated", 6, 3, TARGETS)
    assert sum(result["kills"].values()) == 6
    assert set(result["kills"]) == set(TARGETS)
    assert (result["lost"], result["doubled"], result["changed"], result["misplaced"]) == (0,) * 4
    assert (result["finished_shards_redone"], result["tracebacks"]) == (0, 0)
    assert (result["verify"], result["processes_left_behind"]) == (0, [])


def test_the_seed_decides_what_is_hit_and_when() -> None:
    kills = draw_kills(7, 50, TARGETS)
    assert kills == draw_kills(7, 50, TARGETS)
    assert kills != draw_kills(8, 50, TARGETS)
    assert {kill.target for kill in kills} == set(TARGETS)
    assert [kill.at_parts for kill in kills] == sorted(kill.at_parts for kill in kills)


def records() -> pa.Table:
    return pa.table({"id": range(6), "prefix": list("abcdef"), "suffix": list("uvwxyz")})


def part(rows: list[int]) -> pa.Table:
    added = {"status": ["ok"] * len(rows), "middle": ["m"] * len(rows)}
    table = records().take(rows)
    for name, values in added.items():
        table = table.append_column(name, pa.array(values))
    return table


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([[0, 1, 2], [3, 4, 5]], Accounts(6, lost=0, doubled=0, changed=0, misplaced=0)),
        ([[0, 1, 2], [3, 4]], Accounts(6, lost=1, doubled=0, changed=0, misplaced=0)),
        ([[0, 1, 2], [2, 3, 4, 5]], Accounts(6, lost=0, doubled=1, changed=0, misplaced=0)),
        ([[0, 2, 1], [3, 4, 5]], Accounts(6, lost=0, doubled=0, changed=0, misplaced=2)),
    ],
    ids=["sound", "lost", "doubled", "misplaced"],
)
def test_the_accounts_see_a_fault(parts: list[list[int]], found: Accounts) -> None:
    tables = {str(number): part(rows) for number, rows in enumerate(parts)}
    assert account(records(), tables) == found
    assert found.sound == (found == Accounts(6, 0, 0, 0, 0))


def test_the_accounts_see_a_row_that_is_not_its_records() -> None:
    swapped = part([0, 1, 2, 3, 4, 5]).set_column(1, "prefix", pa.array(list("abcdeX")))
    assert account(records(), {"p": swapped}).changed == 1
    failed = part([0]).set_column(3, "status", pa.array(["failed"]))
    assert account(records().slice(0, 1), {"p": failed}).changed == 1


def test_what_a_kill_costs_is_what_was_leased_when_it_fell() -> None:
    cost = Redone(in_hand=2, workers=2)
    cost.hit("actor", "starting engines")  # nothing is leased yet
    cost.hit(
        "driver", "1/9 rows, 2 workers, 4 shards in hand\n2/9 rows, 2 workers, 3 shards in hand"
    )
    cost.hit("hang", "2/9 rows, 2 workers, 4 shards in hand")
    cost.hit("storage", "2/9 rows, 2 workers, 4 shards in hand")
    assert cost.summary(10) == {"leases_lost": 5, "fraction": 0.5, "bound_fraction": 0.8}
