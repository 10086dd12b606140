"""What the fuzz tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.small_jobs import Runner


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()
