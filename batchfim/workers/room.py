"""Whether any machine has room for a worker. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Amounts = Mapping[str, float]


def find_no_room(wanted: Amounts, machines: Sequence[Amounts]) -> str | None:
    """Why no machine can hold a worker, empty as it may be; None where one can.

    Args:
        wanted: what a worker asks for, by resource.
        machines: what each machine has in all, by resource.
    """
    if any(all(has.get(name, 0) >= least for name, least in wanted.items()) for has in machines):
        return None
    asked = ", ".join(f"{least:g} {_shown(name)}" for name, least in wanted.items() if least)
    have = "; ".join(_told(wanted, has) for has in machines) or "nothing"
    return f"a worker wants {asked} on one machine, and Ray's have: {have}"


def _told(wanted: Amounts, has: Amounts) -> str:
    return ", ".join(f"{has.get(name, 0):g} {_shown(name)}" for name in wanted)


def _shown(name: str) -> str:
    """Ray's resource for a kind of accelerator is one of a thousandth, of machines that have it."""
    return name.removeprefix("accelerator_type:")
