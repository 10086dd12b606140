"""Whole jobs, as in `tests/resume`, to look at."""

from __future__ import annotations

from tests.resume.conftest import job

__all__ = ["job"]
