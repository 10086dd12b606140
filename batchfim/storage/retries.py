"""Retry operations on storage that fails temporarily."""

from __future__ import annotations

import logging
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from batchfim.errors import ConfigError, StorageBusy, StorageError
from batchfim.storage.failures import is_denied, translate

T = TypeVar("T")
_log = logging.getLogger(__name__)

RETRY_ENV = "BATCHFIM_STORAGE_RETRY_S"
_RETRY_S = 120.0
_FIRST_S, _LONGEST_S = 0.1, 10.0
_TELL_S = 10.0
_DENIED_S = 15.0


class Outages:
    """What this process knows of each kind of storage (`s3`): since when it fails, if it does.

    A run waits out an outage only once: later operations (giving back the lease, writing the
    summary) must not each wait as long again. Threads share it, with no lock: each step is atomic.
    """

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        self._answered: set[str] = set()

    def has_answered(self, kind: str) -> bool:
        """Whether the storage has answered at least once."""
        return kind in self._answered

    def note_answer(self, kind: str) -> None:
        """The storage answered, which ends its outage."""
        self._since_s.pop(kind, None)
        self._answered.add(kind)

    def note_failure(self, kind: str, now_s: float) -> float:
        """The storage failed; returns since when it does."""
        return self._since_s.setdefault(kind, now_s)


_outages = Outages()


def retried(action: Callable[[], T], where: str, kind: str) -> T:
    """Run an action until it succeeds; it must be safe to repeat.

    Uses exponential backoff with random jitter, so that a thousand workers do not retry at once.
    If the storage has granted access before, denials are retried for some seconds too, while
    short-lived credentials are renewed.

    Args:
        action: one operation on a file system.
        where: name of the file or folder in errors.
        kind: kind of storage; operations on one kind share its outages.

    Raises:
        StorageBusy: the action has failed for as long as `BATCHFIM_STORAGE_RETRY_S` allows.
        StorageError: the action failed in a way that is not transient.
    """
    patience = _Patience(where, kind)
    while True:
        try:
            done = action()
        except StorageError:  # worded already, and not to be tried again
            raise
        except Exception as error:  # file systems raise all kinds of exceptions
            wait_s = patience.wait_s(error)
        else:
            _outages.note_answer(kind)
            return done
        time.sleep(wait_s)


class _Patience:
    """How long one action is retried."""

    def __init__(self, where: str, kind: str) -> None:
        self._where = where
        self._kind = kind
        self._retry_s = retry_limit_s()
        self._waits = waits()
        # Its own first failure: others of its kind may succeed in the meantime.
        self._first_s = math.inf
        self._warned = False

    def wait_s(self, error: Exception) -> float:
        """Seconds until the next try, after the action raised an error.

        Raises:
            StorageBusy, StorageError: there is none.
        """
        failure = translate(self._where, error)
        limit_s = self._limit_s(failure, error)
        if limit_s is None:
            raise failure from error
        tried_s = self._tried_s()
        if tried_s >= limit_s:
            raise _given_up(failure, tried_s) from error
        if tried_s >= _TELL_S and not self._warned:
            _log.warning("%s; retrying for up to %.0f s", failure, limit_s)
            self._warned = True
        return min(next(self._waits), limit_s - tried_s)

    def _limit_s(self, failure: StorageError, error: Exception) -> float | None:
        """How long such a failure is retried; None: it is final."""
        if isinstance(failure, StorageBusy):
            return self._retry_s
        if is_denied(error) and _outages.has_answered(self._kind):
            return min(_DENIED_S, self._retry_s)
        return None

    def _tried_s(self) -> float:
        """How long the action has failed, or its storage, if that began earlier."""
        now_s = time.monotonic()
        self._first_s = min(self._first_s, now_s)
        return now_s - min(self._first_s, _outages.note_failure(self._kind, now_s))


def waits() -> Iterator[float]:
    """Seconds to wait after each failure: a random fraction of 0.1, 0.2, 0.4 … 10, 10 …"""
    longest_s = _FIRST_S
    while True:
        yield random.uniform(0, longest_s)
        longest_s = min(2 * longest_s, _LONGEST_S)


def retry_limit_s() -> float:
    """How long storage may fail; set per machine by an environment variable, as in the AWS SDK.

    Raises:
        ConfigError: the environment variable is not a number.
    """
    text = os.environ.get(RETRY_ENV, "")
    try:
        return float(text) if text else _RETRY_S
    except ValueError:
        raise ConfigError(f"{RETRY_ENV}: {text!r} is not a number of seconds") from None


def _given_up(failure: StorageError, tried_s: float) -> StorageError:
    if not isinstance(failure, StorageBusy):
        return failure
    return StorageBusy(
        f"{failure} (tried for {tried_s:.0f} s); once the storage answers, run the same command "
        "again to continue"
    )
