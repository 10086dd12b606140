"""ShardQueue by example: order, budgets, verdicts, and reports that come too late."""

from __future__ import annotations

from batchfim.driver.queue import ShardQueue
from batchfim.shards import Lease, Shard


def shard(name: str) -> Shard:
    return Shard(name, "file", "content", "/data/a.parquet", 0, 10)


def queue_of(
    names: str, task_attempts: int = 3, node_losses: int = 5, *, rerun: bool = True
) -> ShardQueue:
    return ShardQueue([shard(name) for name in names], task_attempts, node_losses, rerun=rerun)


def lease(queue: ShardQueue, worker: str = "w") -> Lease:
    given = queue.lease(worker)
    assert given is not None
    return given


def test_shards_come_in_plan_order_until_none_waits() -> None:
    queue = queue_of("abc")
    leases = [lease(queue, worker) for worker in ("v", "w", "v")]
    assert leases == [Lease(shard(name), 1) for name in "abc"]
    assert queue.lease("v") is None  # there is no more, and it is not idle
    assert (queue.num_waiting, queue.num_leased) == (0, 3)
    assert (queue.num_held("v"), queue.num_held("w"), queue.num_held("x")) == (2, 1, 0)
    assert not queue.finished
    assert [queue.complete(w, one) for w, one in zip("vwv", leases, strict=True)] == [True] * 3
    assert queue.finished
    assert queue.shards == []


def test_no_shards_are_finished_at_once() -> None:
    assert queue_of("").finished


def test_a_failed_shard_waits_behind_the_others() -> None:
    queue = queue_of("ab")
    queue.fail("w", lease(queue), "disk")
    assert [lease(queue), lease(queue)] == [Lease(shard("b"), 1), Lease(shard("a"), 2)]


def test_shards_of_a_lost_node_come_first_and_in_order() -> None:
    queue = queue_of("abcd")
    for worker in "vvw":
        lease(queue, worker)
    queue.node_lost("v", "gone")
    names = [lease(queue, worker).shard.id for worker in "vvx"]
    assert names == ["a", "b", "d"]  # and none of them is a suspect


def test_shards_that_lost_an_engine_come_last_and_alone() -> None:
    queue = queue_of("abcd")
    lease(queue, "v")
    lease(queue, "v")
    assert queue.engine_lost("v", "died") == []  # either may be to blame
    assert [lease(queue, "w").shard.id, lease(queue, "w").shard.id] == ["c", "d"]
    assert queue.lease("w") is None  # it holds others
    assert lease(queue, "x").shard.id == "b"
    assert queue.lease("x") is None  # it holds a suspect
    assert lease(queue, "y").shard.id == "a"
    assert queue.num_waiting == 0


def test_what_an_engine_had_is_worked_again_in_groups() -> None:
    queue = queue_of("abcdefg")
    for _ in "abcdef":
        lease(queue, "v")
    queue.engine_lost("v", "died")
    other = lease(queue, "w")
    assert [other.shard.id, queue.lease("w")] == ["g", None]  # suspects share no engine with it
    assert [lease(queue, "x").shard.id for _ in range(2)] == ["f", "e"]
    assert queue.lease("x") is None  # the others are not of its group
    assert queue.engine_lost("x", "died again") == []
    assert [lease(queue, "y").shard.id for _ in range(2)] == ["d", "c"]
    assert [lease(queue, "z").shard.id for _ in range(2)] == ["b", "a"]
    assert [lease(queue, worker).shard.id for worker in "xv"] == ["e", "f"]


def test_idle_workers_share_a_group() -> None:
    queue = queue_of("abcd")
    for _ in "abcd":
        lease(queue, "v")
    queue.engine_lost("v", "died")
    assert [lease(queue, worker).shard.id for worker in "vwx"] == ["d", "c", "b"]
    assert [queue.lease("v"), queue.lease("w")] == [None, None]
    assert lease(queue, "x").shard.id == "a"


def test_the_one_of_many_that_kills_engines_takes_few_of_them() -> None:
    names = [chr(ord("a") + i) for i in range(100)]
    queue = queue_of("".join(names))
    num_turns = num_deaths = 0
    to_bisect: list[Shard] = []
    while not to_bisect:
        held = list(iter(lambda: queue.lease("w"), None))
        num_turns += 1
        if names[42] in {one.shard.id for one in held}:
            num_deaths += 1
            to_bisect = queue.engine_lost("w", "died")
        for one in held:
            queue.complete("w", one)  # after a death, nothing is held
    assert to_bisect == [shard(names[42])]
    assert queue.num_waiting <= 3  # it, and others of its last group
    assert num_deaths <= 6  # of 100, groups of 10, 3 and 1, which is cut the second time
    assert num_turns <= 1 + 10 + 4 + 3


def test_a_suspect_that_loses_another_engine_is_to_be_cut() -> None:
    queue = queue_of("a")
    lease(queue, "v")
    assert queue.engine_lost("v", "died") == []  # once may be chance
    lease(queue, "v")
    assert queue.engine_lost("v", "died") == [shard("a")]
    queue.bisect(shard("a"), [shard("b"), shard("c")])
    assert queue.shards == [shard("b"), shard("c")]
    first = lease(queue, "w")
    assert first == Lease(shard("b"), 3)  # the whole was tried twice
    assert queue.lease("w") is None  # both halves are suspects
    assert queue.complete("w", first)
    assert lease(queue, "w").shard.id == "c"


def test_a_record_that_was_alone_with_two_engines_that_died_is_condemned() -> None:
    record = Shard("r", "file", "content", "/data/a.parquet", 7, 1)
    queue = ShardQueue([record], task_attempts=3, node_losses=5)
    for _ in range(2):
        assert lease(queue).failure is None
        assert queue.engine_lost("w", "boom") == []
    last = lease(queue)
    assert last.failure == "engine died on this record: boom"
    assert queue.complete("w", last)
    assert queue.finished


def test_a_verdict_that_loses_its_worker_is_abandoned() -> None:
    queue = queue_of("a", task_attempts=1)
    queue.fail("w", lease(queue), "bad rows")
    assert lease(queue, "w").failure is not None
    assert queue.engine_lost("w", "gone too") == []
    assert queue.finished
    assert queue.abandoned == {"a": "gone too"}


def test_a_verdict_beside_what_killed_the_engine_is_worked_again_alone() -> None:
    queue = queue_of("ab", task_attempts=1)
    queue.fail("w", lease(queue, "w"), "bad rows")
    assert lease(queue, "w").shard.id == "b"
    assert lease(queue, "w").failure is not None
    assert queue.engine_lost("w", "b killed it") == []
    assert queue.abandoned == {}
    held = [lease(queue, "v"), lease(queue, "w")]
    assert all(queue.lease(worker) is None for worker in "vw")
    (verdict,) = (one for one in held if one.shard.id == "a")
    assert verdict.failure == "1 attempts failed, the last with: bad rows"


def test_what_could_not_be_attempted_waits_again_and_pays_no_attempt() -> None:
    queue = queue_of("ab", task_attempts=1)
    first = lease(queue)
    queue.storage_failed("w", first, "503")
    queue.storage_failed("w", first, "503")  # a late one
    assert [lease(queue), lease(queue)] == [Lease(shard("b"), 1), Lease(shard("a"), 2)]


def test_a_shard_that_cannot_be_read_time_and_again_is_given_up() -> None:
    queue = queue_of("ab", task_attempts=1)
    assert queue.complete("v", lease(queue, "v"))
    for worker in "vwvwwwwz":
        assert not queue.finished
        queue.storage_failed("u", Lease(shard("b"), 1), "it holds nothing")
        queue.storage_failed(worker, lease(queue, worker), f"{worker} cannot read page 3")
    assert queue.finished
    assert queue.abandoned == {"b": "z cannot read page 3"}


def test_who_could_not_read_a_shard_leaves_it_to_others_at_work() -> None:
    queue = queue_of("ab", rerun=False)
    busy = lease(queue, "v")
    for _ in range(2):
        queue.storage_failed("w", lease(queue, "w"), "stale handle")
    assert queue.lease("w") is None
    assert lease(queue, "x").shard.id == "b"
    queue.storage_failed("x", Lease(shard("b"), 3), "stale handle")
    assert queue.complete("v", busy)
    assert lease(queue, "w").shard.id == "b"  # nobody else is at work


def test_the_task_budget_ends_in_a_verdict_with_the_last_cause() -> None:
    queue = queue_of("a", task_attempts=2)
    queue.fail("w", lease(queue), "first")
    assert lease(queue).failure is None
    queue.fail("w", Lease(shard("a"), 2), "second")
    last = lease(queue)
    assert last == Lease(shard("a"), 3, "2 attempts failed, the last with: second")
    assert queue.complete("w", last)
    assert queue.finished
    assert queue.abandoned == {}


def test_the_budgets_are_apart() -> None:
    queue = queue_of("a", task_attempts=2, node_losses=2)
    queue.fail("w", lease(queue), "task")
    for _ in range(2):
        assert lease(queue).failure is None
        queue.node_lost("w", "machine")
    assert lease(queue).failure is None  # one failure of two, two losses of two
    queue.node_lost("w", "machine")
    assert lease(queue).failure == "3 nodes were lost, the last with: machine"


def test_giving_back_uses_up_nothing() -> None:
    queue = queue_of("ab", task_attempts=1, node_losses=1)
    for attempt in range(1, 8):
        assert [lease(queue), lease(queue)] == [
            Lease(shard("a"), attempt),
            Lease(shard("b"), attempt),
        ]
        queue.return_leases("w")


def test_a_verdict_that_cannot_be_written_abandons_the_shard_only() -> None:
    queue = queue_of("ab", task_attempts=1)
    queue.fail("w", lease(queue), "bad rows")
    other = lease(queue)
    queue.fail("w", lease(queue), "disk full")
    assert queue.abandoned == {"a": "disk full"}
    assert not queue.finished
    assert queue.complete("w", other)
    assert queue.finished


def test_late_and_repeated_reports_are_ignored() -> None:
    queue = queue_of("a", task_attempts=2, node_losses=0)
    first = lease(queue, "v")
    assert not queue.complete("w", first)  # another worker's
    queue.return_leases("v")
    second = lease(queue, "v")
    assert not queue.complete("v", first)  # an earlier attempt's
    queue.fail("v", first, "late")
    assert queue.num_held("v") == 1
    assert queue.complete("v", second)
    assert not queue.complete("v", second)
    queue.fail("v", second, "repeated")
    queue.node_lost("v", "late")
    assert queue.engine_lost("v", "late") == []
    assert queue.finished
    assert queue.abandoned == {}


def test_an_idle_worker_works_again_what_will_be_finished_last() -> None:
    queue = queue_of("abc")
    first, second = lease(queue, "v"), lease(queue, "v")
    third = lease(queue, "w")
    again = lease(queue, "x")
    assert again == Lease(shard("b"), 2)  # it waits behind "a" in v's hands
    assert lease(queue, "y") == Lease(shard("a"), 2)
    assert lease(queue, "z") == Lease(shard("c"), 2)
    assert queue.lease("u") is None  # twice is enough
    assert queue.num_leased == 3
    assert queue.complete("x", again)
    assert not queue.complete("v", second)
    assert queue.complete("v", first)
    assert queue.complete("w", third)
    assert queue.finished
    assert [queue.num_held(worker) for worker in "vwxyz"] == [0] * 5


def test_nothing_is_worked_twice_unless_asked_for() -> None:
    queue = queue_of("a", rerun=False)
    lease(queue, "v")
    assert queue.lease("w") is None


def test_a_shard_that_is_begun_waits_behind_no_other() -> None:
    queue = queue_of("abc")
    _, begun, _ = (lease(queue, "v") for _ in "abc")
    queue.begin("v", begun)
    assert [lease(queue, worker).shard for worker in "wxy"] == [shard(name) for name in "cab"]


def test_a_shard_that_two_workers_hold_waits_only_when_both_are_rid_of_it() -> None:
    queue = queue_of("a", task_attempts=2)
    first, second = lease(queue, "v"), lease(queue, "w")
    queue.fail("v", first, "bad")
    assert queue.num_waiting == 0
    queue.node_lost("w", "gone")
    assert queue.num_waiting == 1
    queue.fail("w", second, "late")
    assert lease(queue) == Lease(shard("a"), 3)


def test_a_queue_that_must_not_cut_condemns_the_whole_shard() -> None:
    queue = ShardQueue([shard("a")], task_attempts=3, node_losses=5, bisects=False)
    for _ in range(2):
        assert lease(queue).failure is None
        assert queue.engine_lost("w", "boom") == []
    assert lease(queue).failure == "engine died on one of these records: boom"


def test_a_suspect_in_hand_stays_alone_when_another_waits_again() -> None:
    queue = queue_of("ab")
    lease(queue, "v")
    assert queue.engine_lost("v", "died") == []
    other = lease(queue, "w")
    assert lease(queue, "x").shard.id == "a"
    queue.fail("w", other, "bad")
    assert queue.num_waiting == 1
    assert queue.lease("x") is None
    assert lease(queue, "y").shard.id == "b"


def test_a_shard_that_another_can_read_is_not_given_up() -> None:
    queue = queue_of("a")
    first = lease(queue, "v")
    for worker in "uuwwxxyy":
        queue.storage_failed(worker, lease(queue, worker), "503")
    assert (queue.abandoned, queue.finished) == ({}, False)
    assert queue.complete("v", first)
