"""The log as events: one line each, with job and run, and shard and attempt where it has them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from batchfim.terminal import printable

_FIELDS = "batchfim_fields"


def fields(**values: Any) -> dict[str, Any]:
    """What an event is about, as `extra` of a call of a logger."""
    return {_FIELDS: values}


class EventFormatter(logging.Formatter):
    """A line for each record of the log, as text or as JSON."""

    def __init__(self, *, as_json: bool, job: str, run: str) -> None:
        super().__init__()
        self._as_json = as_json
        self._always = {"job": job, "run": run}

    def format(self, record: logging.LogRecord) -> str:
        about = getattr(record, _FIELDS, {})
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(line | self._always | about, default=str)
        values = " ".join(f"{name}={value}" for name, value in about.items())
        text = f"{line['time']} {line['level']} {line['event']}"
        return printable(f"{text} {values}".rstrip())


def log_events(kind: str, *, job: str, run: str) -> None:
    """Send this process's log to standard error as events.

    Args:
        kind: `metrics.log`; `warnings` leaves the log as it is.
        job: the output path.
        run: id of the run.
    """
    if kind == "warnings":
        return
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter(as_json=kind == "json", job=job, run=run))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("batchfim").setLevel(logging.INFO)
