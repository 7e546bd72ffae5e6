"""The shares of a decay, computed from sums over samples, so that clusters can be resampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from vlm_eval.core.types import Level
from vlm_eval.metrics.decay_answers import UNPARSED, Answers
from vlm_eval.stats.clusters import BoolArray, FloatArray

Key: TypeAlias = tuple[str, Level | None]
"""A result's name and level; no level: over all of them."""


@dataclass
class Shares:
    """Ratios of sums over samples, and what follows from them.

    Attributes
    ----------
    ratios
        Numerator and denominator of each, a value a sample.
    marginals
        Which sample gave which answer at which level, for the independent guesser; shape
        (n, T · A), of the A answers that occur at every level.
    levels
        T, the number of levels that the decay has.
    """

    ratios: dict[Key, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    marginals: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    levels: int = 0

    def add(
        self, name: str, level: Level | None, hits: FloatArray | BoolArray, of: BoolArray
    ) -> None:
        """Add the share of ``hits`` among the samples ``of``."""
        among = of.astype(np.float64)
        self.ratios[name, level] = (hits.astype(np.float64) * among, among)

    def matrix(self) -> FloatArray:
        """Return all sums' summands, shape (n, k): numerators, denominators, marginals."""
        tops, bottoms = zip(*self.ratios.values(), strict=True)
        return np.column_stack([*tops, *bottoms, self.marginals])

    def values(self, totals: FloatArray) -> dict[Key, FloatArray]:
        """Return every result from sums, shape (replicates, k); NaN of nothing.

        Formulas: docs/metrics.md, `decay`.
        """
        count = len(self.ratios)
        tops, bottoms = totals[:, :count], totals[:, count : 2 * count]
        shares = np.divide(tops, bottoms, out=np.full(tops.shape, np.nan), where=bottoms > 0)
        found: dict[Key, FloatArray] = dict(zip(self.ratios, shares.T, strict=True))
        steps = {name: _over_levels(found, name) for name in ("E", "Acc")}
        base = next(value for (name, _), value in found.items() if name == "Acc")
        mean = steps["E"].mean(axis=1)
        degraded = steps["Acc"][:, 1:].mean(axis=1)
        null = self._null(totals[:, 2 * count :], bottoms[:, self._index(("C", None))])
        return {
            **found,
            ("Ebar", None): mean,
            ("Ebar_incl0", None): (1 + (self.levels - 1) * mean) / self.levels,
            ("AccDeg", None): degraded,
            ("Ret", None): np.divide(
                degraded, base, out=np.full(base.shape, np.nan), where=base > 0
            ),
            ("C_null", None): null,
            ("C_excess", None): found["C", None] - null,
        }

    def among(self, key: Key) -> BoolArray:
        """Return the samples that a result is about: its denominator, or that of its parts."""
        parts = {"C_null": ("C", None), "C_excess": ("C", None)}
        first = next(iter(self.ratios))
        return self.ratios[key if key in self.ratios else parts.get(key[0], first)][1] > 0

    def _index(self, key: Key) -> int:
        return list(self.ratios).index(key)

    def _null(self, marginals: FloatArray, complete: FloatArray) -> FloatArray:
        """Return the sum over answers of the product over levels of each level's share."""
        counts = marginals.reshape(len(marginals), self.levels, -1)
        whole = complete[:, np.newaxis, np.newaxis]
        shares = np.divide(counts, whole, out=np.zeros(counts.shape), where=whole > 0)
        null: FloatArray = shares.prod(axis=1).sum(axis=1)
        return np.where(complete > 0, null, np.nan)


def _over_levels(found: Mapping[Key, FloatArray], name: str) -> FloatArray:
    columns = [value for (key, level), value in found.items() if key == name and level is not None]
    return np.column_stack(columns)


def shares_of(answers: Answers, steps: int, *, default: int, text_only: int | None) -> Shares:
    """Return the shares of a decay.

    Parameters
    ----------
    answers
        All levels: first the decay's, the baseline first of all, then the terminal ones.
    steps
        T, how many of the levels are the decay's; 2 or more.
    default
        Column whose modal answer is the default answer.
    text_only
        Column of the level without an image, if there is one.
    """
    shares = Shares(levels=steps)
    asked = answers.there[:, 0]
    complete: BoolArray = np.all(answers.there[:, :steps], axis=1)
    kept = np.ones(len(asked), dtype=bool)
    for t in range(steps):
        shares.add("Acc", answers.levels[t], answers.score[:, t], answers.there[:, t])
    for t in range(1, steps):
        level, same = answers.levels[t], answers.same(0, t)
        kept = kept & same
        shares.add("E", level, same, asked & answers.there[:, t])
        shares.add("C", level, kept, complete)
        shares.add("AccInv", level, answers.score[:, 0], complete & kept)
    shares.add("C", None, kept, complete)
    shares.add("AccInv", None, answers.score[:, 0], complete & kept)
    for t in range(steps, len(answers.levels)):
        level = answers.levels[t]
        shares.add("Acc_terminal", level, answers.score[:, t], answers.there[:, t])
        shares.add("E_terminal", level, answers.same(0, t), asked & answers.there[:, t])
    _add_defaults(shares, answers, kept, complete, default, text_only)
    shares.marginals = _marginals(answers, steps, complete)
    return shares


def _add_defaults(
    shares: Shares,
    answers: Answers,
    kept: BoolArray,
    complete: BoolArray,
    default: int,
    text_only: int | None,
) -> None:
    modal = answers.modal(default)
    known = modal != UNPARSED
    is_default = known & (answers.said[:, 0] == modal)
    shares.add("C_default", None, is_default, answers.there[:, 0] & known)
    off = complete & known & ~is_default
    if text_only is not None:
        off = off & answers.there[:, text_only] & ~answers.same(0, text_only)
    shares.add("C_offdefault", None, kept, off)


def _marginals(answers: Answers, steps: int, complete: BoolArray) -> FloatArray:
    """Return indicators of the answers that occur at every level: others add nothing."""
    said = np.where(complete[:, np.newaxis], answers.said[:, :steps], UNPARSED)
    everywhere = set(said[:, 0].tolist()).intersection(
        *(said[:, t].tolist() for t in range(1, steps))
    )
    common = np.array(sorted(everywhere - {UNPARSED}), dtype=np.intp)
    indicators = said[:, :, np.newaxis] == common
    marginals: FloatArray = indicators.reshape(len(said), steps * len(common)).astype(np.float64)
    return marginals
