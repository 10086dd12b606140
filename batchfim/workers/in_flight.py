"""Limit the prompts and tokens in flight in one engine."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable


class InFlight:
    """Limits the prompts that are handed to the engine and not finished, by count and by tokens.

    A single prompt always fits, however long it is.
    """

    def __init__(self, max_records: int, max_tokens: int) -> None:
        self._max_records = max_records
        self._max_tokens = max_tokens
        self._records = 0
        self._tokens = 0
        self._left = asyncio.Event()

    @property
    def num_records(self) -> int:
        return self._records

    async def enter(self, num_tokens: int) -> None:
        """Wait until there is room for a prompt, and take it."""
        while not self._fits(num_tokens):
            self._left.clear()
            await self._left.wait()
        self._records += 1
        self._tokens += num_tokens

    def leave(self, num_tokens: int) -> None:
        """Release a prompt's room."""
        self._records -= 1
        self._tokens -= num_tokens
        self._left.set()

    def _fits(self, num_tokens: int) -> bool:
        if self._records == 0:
            return True
        return self._records < self._max_records and self._tokens + num_tokens <= self._max_tokens


class InHand:
    """Bounds the rows that were read and are not written yet, by bytes.

    A few shards always fit, however large.
    """

    def __init__(self, few_shards: int, max_bytes: int) -> None:
        self._few_shards = few_shards
        self._max_bytes = max_bytes
        self._bytes: dict[Hashable, int] = {}
        self._left = asyncio.Event()

    async def enter(self, shard: Hashable) -> None:
        """Wait for room for one shard."""
        while len(self._bytes) >= self._few_shards and self._num_bytes >= self._max_bytes:
            self._left.clear()
            await self._left.wait()
        self._bytes[shard] = 0

    def add(self, shard: Hashable, num_bytes: int) -> None:
        """Count the bytes of a shard that has entered and is read now."""
        self._bytes[shard] = num_bytes

    def leave(self, shard: Hashable) -> None:
        """Give a shard's room back, if it has entered."""
        self._bytes.pop(shard, None)
        self._left.set()

    @property
    def _num_bytes(self) -> int:
        return sum(self._bytes.values())
