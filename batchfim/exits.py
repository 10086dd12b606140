"""Command exits: errors meant for users become one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from batchfim.arrow_pandas import spare_pandas
from batchfim.errors import BatchfimError, EngineStartError, JobHeld, UserError
from batchfim.terminal import log_printable, printable


def to_exit(command: Callable[[], object]) -> None:
    """Run a command; exit with 75 if another run holds the job, 2 for user errors, 1 for others."""
    _open_standard_streams()
    log_printable()
    spare_pandas()
    try:
        command()
    except JobHeld as error:
        _exit(error, 75)
    except (UserError, EngineStartError) as error:
        _exit(error, 2)
    except BatchfimError as error:
        _exit(error, 1)


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


def _exit(error: BatchfimError, code: int) -> None:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(code)
