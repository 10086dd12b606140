"""Comparisons on the simulated engine, and what they left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.families.settings import Comparison, load_comparison

DEMO = {"name": "demo", "path": "demo", "orders": ["psm", "spm_v2"]}


def comparison(folder: Path, records: Path, *models: dict[str, Any], **more: Any) -> Comparison:
    tree = {
        "input": {"paths": [str(records)]},
        "sampling": {"max_tokens": 8},
        "engine": {"backend": "simulated"},
        "schedule": {"pool": "local"},
        "metrics": {"progress": "none", "report": False},
        "models": list(models),
    }
    place = folder / "compare.yaml"
    place.write_text(json.dumps(tree | more), encoding="utf8")  # which is YAML too
    return load_comparison(place)


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of `comparison.json`, by name."""
    rows = json.loads((folder / "comparison.json").read_text(encoding="utf8"))["rows"]
    return {row["name"]: row for row in rows}
