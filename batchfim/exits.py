"""Command exits: errors meant for users become one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from enum import IntEnum

from batchfim.arrow_pandas import spare_pandas
from batchfim.errors import BatchfimError, EngineStartError, JobHeld, UserError
from batchfim.terminal import log_printable, printable


class ExitCode(IntEnum):
    """How a command ended; after a signal it is 128 + the signal's number."""

    COMPLETE = 0
    FAILED = 1
    WRONG = 2  # config, input or model, or no engine could start: nothing was worked
    ROWS_FAILED = 3  # complete otherwise
    UNFINISHED = 4  # `schedule.stop_after_s` ended it
    HELD = 75  # by another run; EX_TEMPFAIL of sysexits.h


def to_exit(command: Callable[[], object]) -> None:
    """Run a command; of an error meant for a person, print one line and exit with its code."""
    _open_standard_streams()
    log_printable()
    spare_pandas()
    try:
        command()
    except JobHeld as error:
        _exit(error, ExitCode.HELD)
    except (UserError, EngineStartError) as error:
        _exit(error, ExitCode.WRONG)
    except BatchfimError as error:
        _exit(error, ExitCode.FAILED)


def _open_standard_streams() -> None:
    """Reopen closed streams on /dev/null, and escape characters that their encoding lacks.

    Otherwise the next socket could get a descriptor from 0 to 2, and with it all printed output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _exit(error: BatchfimError, code: ExitCode) -> None:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(code)
