"""Compare a forecast with what the job took. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TOKENS = ("prompt", "computed", "completion")
NOTHING_DONE: Mapping[str, Any] = {
    "rows": 0,
    "failed": 0,
    "shards": 0,
    "tokens": dict.fromkeys(_TOKENS, 0),
    "runs": 0,
}


def compare_with_actual(
    forecast: Mapping[str, Any], summary: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Predicted and actual values, one entry per figure that can be compared.

    What was done before the forecast is in neither.

    Args:
        forecast: the content of `forecast.json`, of the same job.
        summary: the summary of the complete job. Times are compared only if one run did all of it
            with as many workers as planned.

    Returns:
        `label`, `unit`, `predicted`, `low`, `high`, `actual`, and `off` (actual over predicted,
        minus 1); nothing if the number of rows is not as planned, for example because of rows from
        an earlier night.
    """
    done = forecast.get("done", NOTHING_DONE)
    # A retry of rows that had failed before the plan adds tokens that were not planned for.
    if done["failed"] or done["rows"] + forecast["rows"] != summary["rows"]["rows"]:
        return []
    return list(_lines(forecast, done, summary))


def predictions_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """Predicted and actual values in one line; empty if nothing was predicted."""
    if not lines:
        return ""
    return "predicted vs. actual: " + "; ".join(
        f"{line['label']} {_number(line['predicted'], line['unit'])} vs. "
        f"{_number(line['actual'], line['unit'])} ({off_text(line)})"
        for line in lines
    )


def off_text(line: Mapping[str, Any]) -> str:
    """The relative difference of the actual value from the predicted one."""
    return "-" if line["off"] is None else f"{line['off']:+.1%}"


def _lines(
    forecast: Mapping[str, Any], done: Mapping[str, Any], summary: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for name in _TOKENS:
        tokens = summary["tokens"][name] - done["tokens"][name]
        yield _line(f"{name} tokens", "count", forecast["tokens"][name], tokens)
    runs, shards = summary["runs"][done["runs"] :], summary["shards"] - done["shards"]
    if forecast["time"] and _was_as_planned(forecast, runs, shards):
        (run,), time = runs, forecast["time"]
        yield _line("time of work", "s", time["run_s"], run["run_s"])
        yield _line("wall clock", "s", time["wall_s"], run["total_s"] - run["regroup_s"])


def _was_as_planned(
    forecast: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], shards: int
) -> bool:
    """Whether one run processed all shards, with as many workers as planned."""
    workers = min(forecast["workers"], forecast["shards"])
    worked = [(run["workers"], run["shards"]) for run in runs]
    all_came_up = all(len(run["engines"]) >= workers for run in runs)
    return worked == [(workers, shards)] and all_came_up


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


def _number(value: float, unit: str) -> str:
    return f"{value:,.1f} s" if unit == "s" else f"{value:,.0f}"
