"""Estimates with their standard errors. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.96  # 95 % of a normal distribution
# The same of Student's t, by degrees of freedom from 1: few blocks say little about their variance.
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its relative standard error; `low` to `high` is a 95 % interval."""

    value: float
    error: float = 0.0

    @property
    def low(self) -> float:
        return self.value * max(1 - _Z * self.error, 0.0)

    @property
    def high(self) -> float:
        return self.value * (1 + _Z * self.error)

    def times(self, other: Estimate) -> Estimate:
        """The product of two estimates with independent errors."""
        return Estimate(self.value * other.value, math.hypot(self.error, other.error))

    def scaled(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.error)

    def plain(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def total(parts: Sequence[Estimate]) -> Estimate:
    """The sum of estimates whose errors are correlated, as they come from one sample."""
    value = sum(part.value for part in parts)
    error = sum(part.value * part.error for part in parts)
    return Estimate(value, error / value if value else 0.0)


def ratio(amounts: Sequence[float], sizes: Sequence[float], sampled: float) -> Estimate:
    """Estimate the amount per size from blocks drawn at random.

    This is the ratio estimator (Cochran, Sampling Techniques, chapter 6).

    Args:
        amounts: the amount of each block.
        sizes: the size of each block, such as its rows.
        sampled: share of the total that was drawn; if it is 1, there is no error.
    """
    size = sum(sizes)
    if not size:
        return Estimate(0.0)
    value = sum(amounts) / size
    num = len(sizes)
    if sampled >= 1 or not value:
        return Estimate(value)
    if num < 2:
        return Estimate(value, 1.0)
    residue = sum((amount - value * own) ** 2 for amount, own in zip(amounts, sizes, strict=True))
    variance = (1 - sampled) * residue / (num * (num - 1)) / (size / num) ** 2
    wider = _T[num - 2] / _Z if num - 2 < len(_T) else 1 + (_Z**2 + 1) / (4 * (num - 1))
    return Estimate(value, wider * math.sqrt(variance) / value)
