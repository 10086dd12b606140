"""Progress of a run: a live line on a terminal, otherwise a line at regular intervals."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from batchfim.config import Metrics
from batchfim.metrics.run_state import RunState
from batchfim.metrics.shard_report import Counts

_log = logging.getLogger(__name__)
Mode = Literal["live", "lines", "none"]


def progress_mode(metrics: Metrics) -> Mode:
    """How to show progress; `auto` means live on a terminal, otherwise lines."""
    if metrics.progress != "auto":
        return metrics.progress
    return "live" if sys.stderr.isatty() else "lines"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise instead of ending the process, as Rich does: the reader of a pipe may leave."""
        raise BrokenPipeError


class Progress:
    """Counts what is committed in this run and shows it on standard error."""

    def __init__(self, metrics: Metrics, total_rows: int) -> None:
        self._mode = progress_mode(metrics)
        self._as_events = metrics.log != "warnings"
        self._interval_s = metrics.progress_interval_s
        self._total_rows = total_rows
        self._counts = Counts()
        self._started_s: float | None = None
        self._shown_s = time.monotonic()
        self._console = _Console(stderr=True)
        self._live = RichProgress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=self._mode != "live",
        )
        self._task = self._live.add_task("starting engines", total=total_rows, rates="")

    def __enter__(self) -> Progress:
        self._show(self._live.start)
        self._say("starting engines")
        return self

    def __exit__(self, *exception: object) -> None:
        self._show(self._live.stop)
        self._say(self._line())

    def update(self, state: RunState) -> None:
        """Show the state of the run."""
        now_s = time.monotonic()
        self._counts = state.counts
        if state.num_ready and self._started_s is None:
            self._started_s = self._shown_s = now_s
            self._live.reset(self._task, description="filling")
            self._say("the first engine is ready")
        if self._mode == "live":
            rates = self._rates()
            self._show(
                lambda: self._live.update(self._task, completed=self._counts.done, rates=rates)
            )
        if now_s - self._shown_s >= self._interval_s:
            self._shown_s = now_s
            leased = state.shards.get("leased", 0)
            self._say(f"{self._line()}, {state.num_ready} workers, {leased} shards in hand")

    def _say(self, line: str) -> None:
        if self._mode == "lines" and self._as_events:
            _log.info("%s", line)
        elif self._mode == "lines":
            self._show(lambda: self._console.print(line, highlight=False, soft_wrap=True))

    def _show(self, draw: Callable[[], None]) -> None:
        """Draw, and stop showing progress if that fails, as on a full disk; the run continues."""
        try:
            draw()
        except OSError:
            self._mode = "none"

    def _line(self) -> str:
        rows = f"{self._counts.done}/{self._total_rows} rows"
        problems = f"{self._counts.failed} failed, {self._counts.rejected} rejected"
        return ", ".join(filter(None, (rows, problems, self._rates(), self._eta())))

    def _rates(self) -> str:
        if self._started_s is None or not self._counts.rows:
            return ""
        elapsed_s = max(time.monotonic() - self._started_s, 1e-9)
        counts = self._counts
        tokens = (counts.prompt_tokens + counts.completion_tokens) / elapsed_s
        cached = counts.cached_tokens / max(counts.prompt_tokens, 1)
        return f"{counts.rows / elapsed_s:,.0f} rows/s, {tokens:,.0f} tokens/s, {cached:.0%} cached"

    def _eta(self) -> str:
        left = self._total_rows - self._counts.rows
        if self._started_s is None or not self._counts.rows or not left:
            return ""
        left_s = left * (time.monotonic() - self._started_s) / self._counts.rows
        return f"{left_s:,.0f} s left"
