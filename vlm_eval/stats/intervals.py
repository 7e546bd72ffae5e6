"""The closed-form 95 % confidence intervals, each a function of sufficient statistics."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
_TAIL = (1 + CONFIDENCE) / 2
Z = NormalDist().inv_cdf(_TAIL)


class Interval(NamedTuple):
    """A confidence interval and what gave it; both ends None if unknown."""

    low: float | None
    high: float | None
    method: str


UNKNOWN = Interval(None, None, "none")


def student_t(value: float, se: float, df: int) -> Interval:
    """Return value ± t(0.975, df) · se."""
    from scipy.special import stdtrit

    half = float(stdtrit(df, _TAIL)) * se
    return Interval(value - half, value + half, "student_t")


def wilson(share: float, n: int) -> Interval:
    """Return Wilson's score interval of a share of n independent trials.

    It keeps its coverage near 0 and 1, where value ± z · se does not (Wilson 1927; Brown, Cai and
    DasGupta 2001).
    """
    scale = 1 + Z**2 / n
    centre = (share + Z**2 / (2 * n)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), "wilson")


def bonett_price(losses: float, gains: float, n: int) -> Interval:
    """Return the adjusted Wald interval of a difference of paired shares, (gains - losses) / n.

    One pair that gains and one that loses are added to n independent pairs before the Wald
    formula (Bonett and Price 2012, *J. Educ. Behav. Stat.* 37).

    Parameters
    ----------
    losses, gains
        Discordant pairs: right to wrong, and wrong to right.
    n
        All pairs.
    """
    lost, gained = (losses + 1) / (n + 2), (gains + 1) / (n + 2)
    centre = gained - lost
    half = Z * math.sqrt((gained + lost - centre**2) / (n + 2))
    return Interval(max(-1.0, centre - half), min(1.0, centre + half), "bonett_price")
