"""One S3 server for all tests; a bucket of its own for each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.s3.server import S3, s3_server


@pytest.fixture(scope="session")
def s3_session() -> Iterator[S3]:
    with s3_server() as s3:
        yield s3


@pytest.fixture
def s3(s3_session: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server, well again, with the environment that leads to it."""
    for name, value in s3_session.environment.items():
        monkeypatch.setenv(name, value)
    s3_session.proxy.heal()
    yield s3_session
    s3_session.proxy.heal()


@pytest.fixture
def bucket(s3: S3) -> str:
    """URL of an empty bucket."""
    return s3.make_bucket(f"b-{uuid.uuid4().hex[:12]}")
