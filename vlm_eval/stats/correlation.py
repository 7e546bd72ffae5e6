"""Pearson and Spearman correlations of few points, with what keeps them from being over-read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal, TypeAlias

import numpy as np

from vlm_eval.stats.clusters import FloatArray
from vlm_eval.stats.intervals import UNKNOWN, Interval, Z
from vlm_eval.stats.permutation import PValue

Method: TypeAlias = Literal["pearson", "spearman"]

ENUMERATED = 8
"""With at most this many points, all n! pairings are enumerated."""

PAIRINGS = 99_999
"""Random pairings of more points; the smallest p that they can give is 1e-5."""

_DIGITS = 12  # Values that differ by less are ties: sums in another order.


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient with its uncertainty; None is unknown.

    Attributes
    ----------
    method
        ``pearson`` or ``spearman`` (Pearson of the ranks, ties sharing their average rank).
    n
        Points that entered: those whose two values are both known.
    r
        The coefficient in [-1, 1]; None with fewer than three points, or if either series is
        constant.
    low, high, interval
        95 % interval by Fisher's z, ``fisher_z``; ``none`` with fewer than four points or |r| = 1.
        It takes the points as independent draws, which conditions of one set of images are not.
    p, p_method
        Two-sided p of independence: the share of pairings with a coefficient at least as large in
        absolute value. ``permutation`` (all n! pairings) or ``permutation_monte_carlo``.
    critical
        The |r| that Pearson's t test needs at this n for p < .05; None with fewer than 3 points.
    """

    method: Method
    n: int
    r: float | None
    low: float | None
    high: float | None
    interval: str
    p: float | None
    p_method: str
    critical: float | None


def correlate(
    x: Sequence[float | None],
    y: Sequence[float | None],
    method: Method,
    rng: np.random.Generator,
) -> Correlation:
    """Correlate two series, point by point.

    Parameters
    ----------
    x, y
        Of equal length. A point with None or NaN on either side is left out.
    method
        ``pearson`` or ``spearman``.
    rng
        From :func:`vlm_eval.core.hashing.derive_rng`; used with more than `ENUMERATED` points.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if _known(a) and _known(b)]
    n = len(pairs)
    points = np.array(pairs, dtype=np.float64).reshape(n, 2).round(_DIGITS)
    first, second = points.T
    if method == "spearman":
        first, second = _ranks(first), _ranks(second)
    left, right = _standard(first), _standard(second)
    if n < 3 or left is None or right is None:
        return Correlation(method, n, None, *UNKNOWN, None, "none", critical_r(n))
    r = min(1.0, max(-1.0, float(left @ right)))
    interval = fisher_z(r, n, method)
    return Correlation(method, n, r, *interval, *_permutation(left, right, rng), critical_r(n))


def critical_r(n: int) -> float | None:
    """Return the |r| above which Pearson's two-sided t test of n points has p < .05.

    With t the 0.975 quantile at n - 2 degrees of freedom it is t / sqrt(n - 2 + t²): 0.632 for 10
    points, 0.666 for 9. None with fewer than three points.
    """
    if n < 3:
        return None
    from scipy.special import stdtrit

    t = float(stdtrit(n - 2, 0.975))
    return t / math.sqrt(n - 2 + t * t)


def fisher_z(r: float, n: int, method: Method) -> Interval:
    """Return tanh(atanh r ± 1.96 · se), se² = 1 / (n - 3).

    For Spearman's r, se² = (1 + r² / 2) / (n - 3) (Bonett and Wright 2000, *Psychometrika* 65).
    Unknown with fewer than four points and at |r| = 1.
    """
    if n < 4 or abs(r) >= 1:
        return UNKNOWN
    scale = 1 + r * r / 2 if method == "spearman" else 1.0
    half = Z * math.sqrt(scale / (n - 3))
    centre = math.atanh(r)
    return Interval(math.tanh(centre - half), math.tanh(centre + half), "fisher_z")


def _known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _ranks(values: FloatArray) -> FloatArray:
    from scipy.stats import rankdata

    ranks: FloatArray = rankdata(values).astype(np.float64)
    return ranks


def _standard(values: FloatArray) -> FloatArray | None:
    """Return the values centred and of norm 1; None if they are constant."""
    if len(values) == 0 or float(np.ptp(values)) == 0:
        return None
    centred = values - values.mean()
    standard: FloatArray = centred / np.linalg.norm(centred)
    return standard


def _permutation(left: FloatArray, right: FloatArray, rng: np.random.Generator) -> PValue:
    least = abs(float(left @ right)) - 1e-12
    if len(left) <= ENUMERATED:
        every = np.array(list(permutations(right)))
        return PValue(float((np.abs(every @ left) >= least).mean()), "permutation")
    shuffled = rng.permuted(np.tile(right, (PAIRINGS, 1)), axis=1)
    extreme = int((np.abs(shuffled @ left) >= least).sum())
    return PValue((extreme + 1) / (PAIRINGS + 1), "permutation_monte_carlo")
