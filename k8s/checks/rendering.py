"""Render kustomize folders to objects with `kubectl` or `kustomize`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from k8s.checks.objects import Objects

K8S = Path(__file__).parents[1]
_ALONE = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
components: [{component}]
"""


class RenderError(Exception):
    """kustomize refused a folder; the message is kustomize's."""


def renderer() -> list[str] | None:
    """The command that renders a folder; None if the PATH has none."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            return command
    return None


def overlays() -> list[Path]:
    """Folders that are applied as they are: the base and all overlays."""
    return [K8S / "base", *sorted((K8S / "overlays").iterdir())]


def components() -> list[Path]:
    """Folders that an overlay may list under `components`."""
    return sorted((K8S / "components").iterdir())


def render(folder: Path) -> Objects:
    """Render an overlay to its objects.

    Raises:
        RenderError: kustomize refuses it, or is not installed.
    """
    command = renderer()
    if command is None:
        raise RenderError("neither kubectl nor kustomize is on the PATH")
    done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return [thing for thing in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if thing]


def render_component(component: Path) -> Objects:
    """Render the base with one component, like `render`."""
    with tempfile.TemporaryDirectory() as folder:
        real = Path(folder).resolve()
        paths = {
            "base": os.path.relpath(K8S / "base", real),
            "component": os.path.relpath(component, real),
        }
        (real / "kustomization.yaml").write_text(_ALONE.format(**paths), encoding="utf8")
        return render(real)


def rendered() -> Iterator[tuple[str, Objects]]:
    """Render every overlay, and every component on the base, by folder name under `k8s/`."""
    for overlay in overlays():
        yield str(overlay.relative_to(K8S)), render(overlay)
    for component in components():
        yield str(component.relative_to(K8S)), render_component(component)
