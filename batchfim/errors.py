"""The exception tree. Errors of libraries are translated into it where they occur.

BatchfimError
├── UserError            the config or the input is wrong; exit code 2, nothing written
│   ├── ConfigError
│   ├── InputError       names file, row and column
│   ├── ModelError       no tokenizer, no config, missing sentinel, refused family
│   └── OutputError      not writable, or belongs to another job
├── JobHeld              another run holds the job's lease; exit code 75
├── StorageError         a file system failed, and retrying would not help
│   └── StorageBusy      it failed throughout the time allowed for retries; a later run may succeed
├── JobFailed            the job cannot continue; carries the first cause
│   └── Interrupted      a signal ended a run that was being measured
└── EngineError
    ├── EngineStartError the engine never started
    ├── EngineDead       the engine is gone; its worker must go too
    ├── RequestRefused   this request can never work: its row is rejected
    └── TryAgain         this request may work later: its row fails once retries are used up
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; after a signal it is 128 + the signal's number."""

    COMPLETE = 0
    FAILED = 1
    WRONG = 2  # config, input or model, or no engine could start: nothing was worked
    ROWS_FAILED = 3  # complete otherwise
    UNFINISHED = 4  # `schedule.stop_after_s` ended it
    HELD = 75  # by another run; EX_TEMPFAIL of sysexits.h


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the error's type if it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class BatchfimError(Exception):
    """Base of every error batchfim raises on purpose; `str(error)` is a message for users."""


class UserError(BatchfimError):
    """The config or the input is wrong. Nothing was written."""


class ConfigError(UserError):
    """A job file, a `--set` override or a flag is wrong."""


class InputError(UserError):
    """Input data cannot be read as records."""


class ModelError(UserError):
    """The model cannot be used for infilling as asked."""


class OutputError(UserError):
    """The output path cannot take this job."""


class JobHeld(BatchfimError):
    """Another run holds the job's lease."""


class StorageError(BatchfimError):
    """A file system failed; every storage problem is raised as this or its subclass."""


class StorageBusy(StorageError):
    """A file system failed in a way that may pass: time-out, reset, 5xx response, throttling."""


class JobFailed(BatchfimError):
    """The job cannot continue; the message carries the first cause."""


class Interrupted(JobFailed):
    """A signal ended a run that was being measured."""


class EngineError(BatchfimError):
    """Base of the errors an engine may raise; see `engines.engine.Engine`."""


class EngineStartError(EngineError):
    """The engine never started; the message says why and what to change."""


class EngineDead(EngineError):
    """The engine died; every request in it is lost and no further one will be answered."""


class RequestRefused(EngineError):
    """The engine will never accept this request."""


class TryAgain(EngineError):
    """The engine failed on this request, but a retry may succeed."""
