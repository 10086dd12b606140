"""How much one engine is given at once."""

from __future__ import annotations

import asyncio


class InFlight:
    """Bounds what was handed to the engine and is not finished, by prompts and by tokens.

    One prompt always fits, however long it is.
    """

    def __init__(self, max_records: int, max_tokens: int) -> None:
        self._max_records = max_records
        self._max_tokens = max_tokens
        self._records = 0
        self._tokens = 0
        self._room = asyncio.Condition()

    @property
    def num_records(self) -> int:
        return self._records

    async def enter(self, num_tokens: int) -> None:
        """Wait for room for one prompt."""
        async with self._room:
            await self._room.wait_for(lambda: self._fits(num_tokens))
            self._records += 1
            self._tokens += num_tokens

    async def leave(self, num_tokens: int) -> None:
        """Give a prompt's room back."""
        async with self._room:
            self._records -= 1
            self._tokens -= num_tokens
            self._room.notify_all()

    def _fits(self, num_tokens: int) -> bool:
        if self._records == 0:
            return True
        return self._records < self._max_records and self._tokens + num_tokens <= self._max_tokens
