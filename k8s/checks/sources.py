"""What is only seen before rendering: how overlays and components patch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml


def check_patches(folder: Path) -> Iterator[str]:
    """Patches of a RayJob that are no list of operations (JSON 6902).

    Kustomize does not know RayJob: a merge patch of its worker groups would replace their list.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf8"))
    for patch in kustomization.get("patches", []):
        where = patch.get("path", "a patch in kustomization.yaml")
        text = (folder / where).read_text(encoding="utf8") if "path" in patch else patch["patch"]
        for document in yaml.safe_load_all(text):
            kinds = {patch.get("target", {}).get("kind")}
            if isinstance(document, dict) and "RayJob" in kinds | {document.get("kind")}:
                yield f"{where}: merges into a RayJob; write operations (op, path, value)"
