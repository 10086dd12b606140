"""Every overlay and component renders the same twice, and no check has anything against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8s.checks.checking import problems
from k8s.checks.rendering import components, overlays, render, render_component, renderer
from k8s.checks.sources import check_patches

MERGING = """
patches:
- target: {kind: RayJob}
  patch: |-
    spec: {rayClusterSpec: {workerGroupSpecs: [{groupName: workers, maxReplicas: 8}]}}
"""
renders = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize here")


@renders
@pytest.mark.parametrize("overlay", overlays(), ids=lambda path: path.name)
def test_overlays_render_alike_and_pass(overlay: Path) -> None:
    objects = render(overlay)
    assert problems(objects) == []
    assert render(overlay) == objects


@renders
@pytest.mark.parametrize("component", components(), ids=lambda path: path.name)
def test_components_render_on_the_base_and_pass(component: Path) -> None:
    assert problems(render_component(component)) == []


@pytest.mark.parametrize("folder", [*overlays(), *components()], ids=lambda path: path.name)
def test_rayjobs_are_patched_by_operations(folder: Path) -> None:
    assert list(check_patches(folder)) == []


def test_a_merge_patch_of_a_rayjob_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(MERGING)
    assert "merges into a RayJob" in "".join(check_patches(tmp_path))
