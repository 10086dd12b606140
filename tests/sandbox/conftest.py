"""Sandboxes of both kinds."""

from __future__ import annotations

import pytest

from batchfim.sandbox.sandbox import Limits, Sandbox

SMALL = Limits(timeout_s=2, memory_bytes=1 << 28, scratch_bytes=4 << 20)


@pytest.fixture(scope="session")
def box() -> Sandbox:
    """With namespaces; skips where the system has none to give."""
    found = Sandbox.strongest(SMALL)
    if found.confinement != "namespaces":
        pytest.skip("no namespaces can be made here: unshare is missing or not allowed")
    return found


@pytest.fixture(scope="session")
def limits() -> Sandbox:
    """Without."""
    return Sandbox(SMALL, "limits")


@pytest.fixture(params=["box", "limits"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each of the two."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Sandbox)
    return found
