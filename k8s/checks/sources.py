"""Check what shows only before rendering: the patches of overlays and components."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml


def check_patches(folder: Path) -> Iterator[str]:
    """Find patches of a RayJob that are not a list of operations (JSON 6902).

    Kustomize does not know RayJob, so a merge patch of its worker groups would replace the list.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf8"))
    for patch in kustomization.get("patches", []):
        where = patch.get("path", "a patch in kustomization.yaml")
        text = (folder / where).read_text(encoding="utf8") if "path" in patch else patch["patch"]
        for document in yaml.safe_load_all(text):
            kinds = {patch.get("target", {}).get("kind")}
            if isinstance(document, dict) and "RayJob" in kinds | {document.get("kind")}:
                yield f"{where}: merges into a RayJob; write operations (op, path, value)"
