"""Two-sided p values of "no difference" for paired scores.

Both tests ask how often a difference at least as large would come about if, in each independent
unit, it were a coin toss which side is which.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vlm_eval.stats.clusters import Clusters, FloatArray

ENUMERATED = 16
"""With at most this many clusters that differ, all 2^C sign patterns are enumerated."""

LATTICE = 200_000_000
"""Largest C · Σ|total| for which the distribution of whole-number totals is computed exactly."""

RANDOM_FLIPS = 9_999
"""Monte Carlo sign patterns; the smallest p that they can give is 1e-4."""

_ROUNDING = 1e-12
_CHUNK = 2_000_000


class PValue(NamedTuple):
    """A p value and the test that gave it; p is None if there was nothing to test."""

    p: float | None
    method: str


def mcnemar_exact(losses: int, gains: int) -> float:
    """Return the exact two-sided McNemar p of discordant pairs: min(1, 2 · P(X <= min)).

    X is binomial with losses + gains trials of probability 1/2 (McNemar 1947; two-sided by
    doubling the smaller tail, once). Pairs must be independent.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(losses, gains), losses + gains, 0.5)))


def sign_flip(differences: FloatArray, clusters: Clusters, rng: np.random.Generator) -> PValue:
    """Return the cluster sign-flip permutation p of a mean paired difference of zero.

    The sign of each cluster's total difference is flipped at random, all its pairs together; p is
    the probability that the absolute sum is at least the observed one. The distribution is exact
    (``sign_flip``) for whole-number totals, which 0/1 scores always have, and for few clusters;
    otherwise it is sampled (``sign_flip_monte_carlo``) and p = (b + 1) / (m + 1), which is never 0
    (Phipson and Smyth 2010).
    """
    signed = clusters.totals(differences)
    # Sorted, so that the same totals give the same sum and the same draws in any order of rows.
    totals = np.sort(np.abs(signed[signed != 0]))
    observed = abs(float(np.sort(signed).sum()))
    size = float(totals.sum())
    least = observed - _ROUNDING * size
    if len(totals) == 0:
        return PValue(1.0 if clusters.rows else None, "sign_flip" if clusters.rows else "none")
    if len(totals) * size <= LATTICE and (totals == np.rint(totals)).all():
        return PValue(_lattice(totals.astype(np.int64).tolist(), least), "sign_flip")
    if len(totals) <= ENUMERATED:
        return PValue(_enumerate(totals, least), "sign_flip")
    return PValue(_sample(totals, least, rng), "sign_flip_monte_carlo")


def _lattice(totals: list[int], least: float) -> float:
    """Return the exact tail of Σ ±total by adding one total at a time to the distribution.

    ``mass[k]`` is the probability that the positive totals sum to k; the signed sum is 2k - size.
    """
    size = sum(totals)
    mass = np.zeros(size + 1)
    mass[0] = 1.0
    for total in totals:
        mass *= 0.5
        mass[total:] += mass[:-total].copy()
    sums = 2 * np.arange(size + 1) - size
    return min(1.0, float(mass[np.abs(sums) >= least].sum()))


def _enumerate(totals: FloatArray, least: float) -> float:
    """Return the exact tail over all sign patterns."""
    sums = np.zeros(1)
    for total in totals:
        sums = np.concatenate([sums + total, sums - total])
    return float((np.abs(sums) >= least).mean())


def _sample(totals: FloatArray, least: float, rng: np.random.Generator) -> float:
    """Return (b + 1) / (m + 1) over m random sign patterns, b of them as extreme."""
    extreme, left = 0, RANDOM_FLIPS
    size = float(totals.sum())
    while left:
        batch = min(left, max(1, _CHUNK // len(totals)))
        octets = rng.integers(0, 256, size=(batch, -(-len(totals) // 8)), dtype=np.uint8)
        positive = np.unpackbits(octets, axis=1, count=len(totals)).astype(np.float64)
        sums = 2 * (positive @ totals) - size
        extreme += int((np.abs(sums) >= least).sum())
        left -= batch
    return (extreme + 1) / (RANDOM_FLIPS + 1)
