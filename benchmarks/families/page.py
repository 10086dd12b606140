"""Render a comparison as one self-contained page with the report's style and script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from batchfim.quality.scores import label
from batchfim.report.charts import chart_json
from batchfim.report.page import render
from benchmarks.families.charts import charts
from benchmarks.families.rows import Row
from benchmarks.families.table import cells, faults, head, side_by_side

_TEMPLATE = Path(__file__).parent / "page.html.j2"
_TEXT_COLUMNS = ("", "family", "engine", "front")


def page(told: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The page's HTML.

    Args:
        told: the content of `comparison.json`.
        rows: its rows.
    """
    metric = told["metric"]
    drawn = charts(rows, metric)
    return render(
        {
            "metric": label(metric),
            "records": told["records"],
            "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "head": [(name, name not in _TEXT_COLUMNS) for name in head(metric)],
            "rows": [(row, cells(row, metric)) for row in rows],
            "faults": faults(rows),
            "pairs": [[cells(row, metric) for row in pair] for pair in side_by_side(rows)],
            "charts": drawn,
            "chart_json": chart_json(drawn),
            "notes": told["notes"],
            "not_measured": told["not_measured"],
            "settings": yaml.safe_dump(told["job"], sort_keys=False, allow_unicode=True),
            "machine": told["machine"],
            "versions": told["versions"],
        },
        _TEMPLATE,
    )
