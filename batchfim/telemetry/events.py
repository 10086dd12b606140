"""The log as events, one line each, with job and run, and shard and attempt if they have them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from batchfim.terminal import printable

_FIELDS = "batchfim_fields"


def fields(**values: Any) -> dict[str, Any]:
    """The `extra` argument of a logging call for an event with these fields."""
    return {_FIELDS: values}


class EventFormatter(logging.Formatter):
    """Formats each log record as one line of text or JSON."""

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
    """Log events of this process to standard error.

    Args:
        kind: the value of `metrics.log`; `warnings` leaves logging unchanged.
        job: the output path.
        run: id of the run.
    """
    if kind == "warnings":
        return
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter(as_json=kind == "json", job=job, run=run))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("batchfim").setLevel(logging.INFO)
