"""Decide whether two runs belong to the same job. Pure."""

from __future__ import annotations

from typing import Any


def differences(
    theirs: dict[str, Any], ours: dict[str, Any], defaults: dict[str, Any]
) -> list[str]:
    """The settings that decide the output and differ, one line each.

    A job may outlive a batchfim version: a setting that the earlier version did not have counts as
    equal while it is at its default, which behaves as before.

    Args:
        theirs: settings of the existing work, read from JSON.
        ours: settings of this run.
        defaults: the same settings of a job that sets nothing.
    """
    there, now = _flatten(defaults) | _flatten(theirs), _flatten(ours)
    return [
        _line(key, there, now)
        for key in sorted(there.keys() | now.keys())
        if there.get(key) != now.get(key)
    ]


def _line(key: str, there: dict[str, Any], now: dict[str, Any]) -> str:
    if key not in there:
        return f"{key}: {now[key]} is new"
    if key not in now:
        return f"{key}: {there[key]} is missing"
    return f"{key}: {there[key]!r} there, {now[key]!r} now"


def _flatten(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat
