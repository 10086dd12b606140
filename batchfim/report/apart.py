"""Make a report in a process of its own: what goes wrong there is a line of the log here."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import batchfim
from batchfim.driver.signals import exit_signals
from batchfim.terminal import busy

_log = logging.getLogger(__name__)
_LIMIT_S = 900.0


def report_apart(output: str) -> None:
    """Make the report of the job at an absolute path or URL, or say why there is none.

    The job is accounted for by then, and no error there, nor its memory, nor a signal that ends it
    touches that.
    """
    # -P: the folder a run is started in may hold a yaml.py or queue.py, and is not imported from.
    problem = _problem([sys.executable, "-P", "-m", "batchfim", "report", output])
    if problem:
        _log.warning(
            "the report was not made (%s); make it by: batchfim report %s", problem, output
        )


def _problem(command: list[str]) -> str | None:
    """Why the command failed, None where it did not."""
    try:
        with exit_signals(), busy("making the report"):
            done = subprocess.run(  # noqa: S603
                command,
                env=_with_this_batchfim(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
                timeout=_LIMIT_S,
            )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_LIMIT_S:.0f} s"
    except OSError as error:
        return f"its process did not start: {error}"
    except SystemExit:
        return "it was ended by a signal"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf8", "replace").strip().splitlines()
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return lines[-1].removeprefix("error: ") if lines else f"its process ended by {ended}"


def _with_this_batchfim() -> dict[str, str]:
    """This process's environment, in which Python finds the batchfim that is imported here."""
    paths = [str(Path(batchfim.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
