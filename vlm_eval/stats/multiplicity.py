"""Correction for asking several questions at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlm_eval.stats.results import Comparison


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p values, in the order given (Holm 1979).

    The i-th smallest of m, counted from 0, becomes the running maximum of (m - i) · p, at most 1:
    a larger p never gets a smaller adjusted one. Valid under any dependence.

    >>> [round(value, 6) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, running = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        running = max(running, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = running
    return adjusted


def adjust_family(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons of one family with Holm-adjusted p values and the family's size.

    Noise-floor controls are no claims and comparisons without a p test nothing: both stay outside,
    with a family of 0.
    """
    claims = [c.p for c in comparisons if c.p is not None and not c.control]
    adjusted = iter(holm(claims))
    return [
        replace(c, p_adjusted=next(adjusted), family=len(claims))
        if c.p is not None and not c.control
        else replace(c, p_adjusted=None, family=0)
        for c in comparisons
    ]
