"""Whether two runs are of one job. Pure."""

from __future__ import annotations

from typing import Any


def differences(
    theirs: dict[str, Any], ours: dict[str, Any], defaults: dict[str, Any]
) -> list[str]:
    """What decides an output and is not the same, a text each.

    A job may outlive a version of batchfim: a setting that the earlier one did not have is no
    difference while it is at its default, which is to do as before.

    Args:
        theirs: what decided the output of the work that is there, as JSON has it.
        ours: what decides it now.
        defaults: the same fields of a job that sets nothing.
    """
    there, now = _flatten(defaults) | _flatten(theirs), _flatten(ours)
    return [
        f"{key}: {there.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted(there.keys() | now.keys())
        if there.get(key) != now.get(key)
    ]


def _flatten(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat
