"""Command exits: errors meant for users become one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from batchfim.arrow import skip_pandas_import
from batchfim.errors import BatchfimError, EngineStartError, ExitCode, JobHeld, UserError
from batchfim.terminal import log_printable, printable


def run_command(command: Callable[[], object]) -> None:
    """Run a command; if it fails with one of our errors, print one line and exit with its code."""
    _open_standard_streams()
    log_printable()
    skip_pandas_import()
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
