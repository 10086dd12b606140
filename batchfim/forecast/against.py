"""A forecast against what a run then took. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TOKENS = ("prompt", "computed", "completion")


def against(forecast: Mapping[str, Any], summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Predicted and actual, a line for each figure that can be compared.

    Args:
        forecast: as `forecast.json` has it, of the same job.
        summary: of the complete job. Where it took several runs, or other numbers of workers than
            were planned for, its time is not compared.

    Returns:
        `label`, `unit`, `predicted`, `low`, `high`, `actual`, `off`: actual over predicted, less 1.
    """
    return list(_lines(forecast, summary))


def _lines(forecast: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = forecast["rows"]
    plain = {"value": rows, "low": rows, "high": rows}
    yield _line("rows", "count", plain, summary["rows"]["rows"])
    for name in _TOKENS:
        tokens = summary["tokens"][name]
        yield _line(f"{name} tokens", "count", forecast["tokens"][name], tokens)
    runs = summary["runs"]
    if forecast["time"] and [run["workers"] for run in runs] == [forecast["workers"]]:
        time = forecast["time"]
        yield _line("time of work", "s", time["run_s"], runs[0]["run_s"])
        yield _line("wall clock", "s", time["wall_s"], runs[0]["total_s"])


def _line(label: str, unit: str, predicted: Mapping[str, Any], actual: float) -> dict[str, Any]:
    value = predicted["value"]
    return {
        "label": label,
        "unit": unit,
        "predicted": value,
        "low": predicted["low"],
        "high": predicted["high"],
        "actual": actual,
        "off": actual / value - 1 if value else None,
    }
