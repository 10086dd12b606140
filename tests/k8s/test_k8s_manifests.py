"""Every overlay and component renders the same twice, and no check has anything against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8s.checks.checking import problems
from k8s.checks.rendering import components, overlays, render, render_component, renderer

pytestmark = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize here")


@pytest.mark.parametrize("overlay", overlays(), ids=lambda path: path.name)
def test_overlays_render_alike_and_pass(overlay: Path) -> None:
    objects = render(overlay)
    assert problems(objects) == []
    assert render(overlay) == objects


@pytest.mark.parametrize("component", components(), ids=lambda path: path.name)
def test_components_render_on_the_base_and_pass(component: Path) -> None:
    assert problems(render_component(component)) == []
