"""One exception tree. Foreign errors are translated into it at the edge where they occur.

BatchfimError
├── UserError            the config or the input is wrong; exit code 2, nothing written
│   ├── ConfigError
│   ├── InputError       names file, row and column
│   ├── ModelError       no tokenizer, no config, sentinel missing, family refused
│   └── OutputError      not writable, or belongs to another job
├── JobHeld              another run holds the job; exit code 75
├── StorageError         a file system failed, and asking again would not help
│   └── StorageBusy      it failed for longer than it was waited for; a later run may go on
├── JobFailed            the job cannot go on; carries the first cause
│   └── Interrupted      a signal ended a run whose figures were wanted
└── EngineError
    ├── EngineStartError the engine never came up
    ├── EngineDead       the engine is gone; its worker must go too
    ├── RequestRefused   this request can never work: its row is rejected
    └── TryAgain         this request may work later: its row is failed once retries are spent
"""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """What a foreign error says first, or what it is."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class BatchfimError(Exception):
    """Base of every error batchfim raises on purpose; `str(error)` is fit for a person."""


class UserError(BatchfimError):
    """The config or the input is wrong. Nothing was written."""


class ConfigError(UserError):
    """A job file, a `--set` or a flag is wrong."""


class InputError(UserError):
    """Input data cannot be read as records."""


class ModelError(UserError):
    """The model cannot be used for infilling as asked."""


class OutputError(UserError):
    """The output path cannot take this job."""


class JobHeld(BatchfimError):
    """Another run holds the job's lease."""


class StorageError(BatchfimError):
    """A file system failed; nothing but this is raised for storage trouble."""


class StorageBusy(StorageError):
    """It failed in a way that may pass: a time-out, a reset, a server's 5xx, throttling."""


class JobFailed(BatchfimError):
    """The job cannot go on; the message carries the first cause."""


class Interrupted(JobFailed):
    """A signal ended a run whose figures were wanted."""


class EngineError(BatchfimError):
    """Base of what an engine may raise; see `engines.engine.Engine`."""


class EngineStartError(EngineError):
    """The engine never came up; the message says why and what to change."""


class EngineDead(EngineError):
    """The engine died; every request in it is gone and no other will be answered."""


class RequestRefused(EngineError):
    """The engine will never accept this request."""


class TryAgain(EngineError):
    """The engine failed on this request in a way that may pass."""
