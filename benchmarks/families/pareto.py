"""Find the rows that no other row beats; pure functions."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def pareto(points: Sequence[Point | None]) -> list[bool]:
    """Whether each point is on the front: no other is at least as good in both and better in one.

    Args:
        points: two figures each, larger is better; None if not measured, which is never on it.
    """
    measured = [point for point in points if point is not None]
    return [
        point is not None and not any(_beats(other, point) for other in measured)
        for point in points
    ]


def _beats(one: Point, other: Point) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one != other
