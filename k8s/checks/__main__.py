"""`python -m k8s.checks`: render every overlay and component, print problems, then exit 1."""

from __future__ import annotations

import os
import sys

from k8s.checks.checking import problems
from k8s.checks.rendering import RenderError, components, overlays, rendered, renderer
from k8s.checks.sources import check_patches


def main() -> None:
    """Exit with 1 if anything is wrong, or if CI lacks a renderer."""
    if renderer() is None:
        print("manifests: not checked; install kubectl or kustomize on the PATH")
        sys.exit(1 if os.environ.get("CI") else 0)
    num_sets = 0
    wrong = [
        f"{folder.name}: patches: {text}"
        for folder in [*overlays(), *components()]
        for text in check_patches(folder)
    ]
    try:
        for name, objects in rendered():
            num_sets += 1
            wrong += [f"{name}: {check}: {text}" for check, text in problems(objects)]
    except RenderError as error:
        wrong.append(str(error))
    print("\n".join(wrong) or f"manifests: {num_sets} sets rendered and checked")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
