"""The config section `schedule`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batchfim.config.base import Section
from batchfim.config.workers import WorkerRange, Workers


class Schedule(Section):
    """How shards are distributed over workers, and the limits and time-outs that apply."""

    pool: Literal["ray", "local"] = Field(
        "ray", description="Home of the workers: Ray actors, or threads of this process (`local`)."
    )
    workers: Workers = Field(
        WorkerRange(min=1, max=1),
        description="Number of workers, with one engine each: an integer, or {min, max}.",
    )
    shard_rows: int | None = Field(
        None, gt=0, description="Rows per shard; unset: by row size and number of workers."
    )
    shards_in_hand: int | None = Field(
        None,
        gt=0,
        description="Shards leased to a worker at once; unset: 2, and up to 16 (1,024 if they have "
        "few rows) while those that its engine has not begun would not fill it.",
    )
    in_flight_records: int | None = Field(
        None,
        gt=0,
        description="Most prompts in an engine at once; unset: twice as many samples as it "
        "processes at a time (`max_num_seqs`), so that the next one is always waiting there.",
    )
    in_flight_tokens: int = Field(
        1 << 21,
        gt=0,
        description="Most prompt tokens in an engine at once; a prompt counts for each sample.",
    )
    task_attempts: int = Field(3, gt=0, description="Attempts per shard when processing raises.")
    node_losses: int = Field(
        20,
        gt=0,
        description="Machines a shard may lose before its rows are written as failed.",
    )
    record_attempts: int = Field(
        3, gt=0, description="Attempts per record when the engine fails on it."
    )
    rerun: bool | None = Field(
        None,
        description="Let idle workers process the last shards a second time; unset: only on GPUs, "
        "where this takes nothing from the first attempt.",
    )
    start_attempts: int = Field(
        3,
        gt=0,
        description="Consecutive failed engine starts after which no more are tried; applies once "
        "an engine has been up.",
    )
    setbacks: int = Field(
        8,
        gt=0,
        description="Consecutive lost workers and failed attempts, per worker, with no shard "
        "completed in between, after which the job stops with the first cause.",
    )
    start_timeout_s: float = Field(1800, gt=0, description="Seconds an engine may take to start.")
    stall_timeout_s: float = Field(
        900,
        gt=0,
        description="Seconds without progress after which a worker is killed and replaced.",
    )
    no_worker_timeout_s: float = Field(
        3600,
        gt=0,
        description="Seconds to wait for a worker while there is none, for example for new "
        "machines.",
    )
    stop_after_s: float | None = Field(
        None,
        gt=0,
        description="Seconds from a run's start after which it takes no more shards and ends, as "
        "after SIGTERM; the next run continues. Unset: the run processes all shards.",
    )
    grace_s: float = Field(
        20,
        ge=0,
        description="Seconds after SIGTERM or `stop_after_s` in which leased shards may finish "
        "before they are given back.",
    )

    @property
    def most_shards_in_hand(self) -> int:
        """Most shards leased to a worker at once, however few rows they have."""
        return self.shards_in_hand or 1024

    def records_in_flight(self, max_num_seqs: int, samples: int) -> int:
        """Most prompts at once in an engine that processes `max_num_seqs` samples at a time."""
        return self.in_flight_records or -(-2 * max_num_seqs // samples)
