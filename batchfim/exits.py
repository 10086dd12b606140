"""How a command ends: errors meant for a person become one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from batchfim.arrow_pandas import spare_pandas
from batchfim.errors import BatchfimError, EngineStartError, JobHeld, UserError
from batchfim.terminal import log_printable, printable


def to_exit(command: Callable[[], object]) -> None:
    """Run a command; 75 where another run holds the job, 2 for a user's error, 1 for others."""
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
    """Reopen closed ones on /dev/null, and escape what a stream's encoding lacks.

    Otherwise the next socket would get a descriptor from 0 to 2, and what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _exit(error: BatchfimError, code: int) -> None:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(code)
