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

# When the storage of each kind (`s3`) began to fail. A run waits out an outage only once: later
# operations (giving back the lease, writing the summary) must not each wait as long again.
_failing_since_s: dict[str, float] = {}
_answered: set[str] = set()  # kinds of storage that have answered at least once


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
    retry_s, warned = retry_limit_s(), False
    first_s = math.inf  # own first failure: others of its kind may succeed in the meantime
    for wait_s in waits():
        try:
            done = action()
        except StorageError:
            raise
        except Exception as error:  # file systems raise all kinds of exceptions
            failure, limit_s = translate(where, error), retry_s
            if not isinstance(failure, StorageBusy):
                if kind not in _answered or not is_denied(error):
                    raise failure from error
                limit_s = min(_DENIED_S, retry_s)
            now_s = time.monotonic()
            first_s = min(first_s, now_s)
            tried_s = now_s - min(first_s, _failing_since_s.setdefault(kind, now_s))
            if tried_s >= limit_s:
                raise _given_up(failure, tried_s) from error
            if tried_s >= _TELL_S and not warned:
                _log.warning("%s; retrying for up to %.0f s", failure, limit_s)
                warned = True
        else:
            _failing_since_s.pop(kind, None)
            _answered.add(kind)
            return done
        time.sleep(min(wait_s, limit_s - tried_s))
    raise AssertionError("waits never end")


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
