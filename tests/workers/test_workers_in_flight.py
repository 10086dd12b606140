"""What is in an engine at once is bounded by prompts and by tokens, what is read by bytes."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from batchfim.workers.in_flight import InFlight, InHand


async def peaks(in_flight: InFlight, sizes: list[int], turns: list[int]) -> tuple[int, int]:
    """Send prompts through; the most that were inside at once, alone ones aside, and all done."""
    inside: list[int] = []
    most_records = most_tokens = 0

    async def one(size: int, num_turns: int) -> None:
        nonlocal most_records, most_tokens
        await in_flight.enter(size)
        inside.append(size)
        if len(inside) > 1:
            most_records = max(most_records, len(inside))
            most_tokens = max(most_tokens, sum(inside))
        for _ in range(num_turns):
            await asyncio.sleep(0)
        inside.remove(size)
        in_flight.leave(size)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for size, num_turns in zip(sizes, turns, strict=True):
            group.create_task(one(size, num_turns))
    return most_records, most_tokens


@settings(deadline=None, max_examples=60)
@given(
    max_records=st.integers(1, 5),
    max_tokens=st.integers(1, 50),
    prompts=st.lists(st.tuples(st.integers(1, 100), st.integers(0, 3)), max_size=20),
)
def test_bounds_hold_and_everybody_gets_in(
    max_records: int, max_tokens: int, prompts: list[tuple[int, int]]
) -> None:
    sizes, turns = [size for size, _ in prompts], [num for _, num in prompts]
    most = asyncio.run(peaks(InFlight(max_records, max_tokens), sizes, turns))
    assert most[0] <= max_records
    assert most[1] <= max_tokens


def test_the_room_there_is_gets_used() -> None:
    sizes = [10] * 9
    assert asyncio.run(peaks(InFlight(4, 1000), sizes, [2] * 9)) == (4, 40)
    assert asyncio.run(peaks(InFlight(100, 35), sizes, [2] * 9)) == (3, 30)


def test_a_prompt_larger_than_all_room_goes_alone() -> None:
    assert asyncio.run(peaks(InFlight(10, 5), [99, 99, 99], [2, 2, 2])) == (0, 0)


def test_one_that_waits_enters_when_room_is_given_back() -> None:
    async def scenario() -> list[str]:
        in_flight, log = InFlight(1, 100), []

        async def second() -> None:
            await in_flight.enter(1)
            log.append("second is in")

        await in_flight.enter(1)
        waiting = asyncio.create_task(second())
        for _ in range(5):
            await asyncio.sleep(0)
        log.append("first leaves")
        in_flight.leave(1)
        await asyncio.wait_for(waiting, 30)
        return log

    assert asyncio.run(scenario()) == ["first leaves", "second is in"]


def test_shards_in_hand_are_bounded_by_bytes_beyond_a_few() -> None:
    async def scenario() -> list[str]:
        in_hand, entered = InHand(2, 100), []

        async def take(shard: str, num_bytes: int) -> None:
            await in_hand.enter(shard)
            entered.append(shard)
            in_hand.add(shard, num_bytes)

        for shard, num_bytes in (("large", 99), ("small", 1), ("tiny", 0)):
            waiting = asyncio.create_task(take(shard, num_bytes))
            for _ in range(5):
                await asyncio.sleep(0)
        in_hand.leave("another that never entered")
        for _ in range(5):
            await asyncio.sleep(0)
        entered.append("the small one leaves")
        in_hand.leave("small")
        await asyncio.wait_for(waiting, 30)
        await asyncio.wait_for(take("tiny too", 0), 30)
        return entered

    expected = ["large", "small", "the small one leaves", "tiny", "tiny too"]
    assert asyncio.run(scenario()) == expected


def test_many_shards_of_few_bytes_are_in_hand_at_once() -> None:
    async def scenario() -> None:
        in_hand = InHand(2, 100)
        for shard in range(99):
            await in_hand.enter(shard)
            in_hand.add(shard, 1)

    asyncio.run(asyncio.wait_for(scenario(), 30))
