"""How segmentation quality and misalignment go together over the conditions of a degradation.

With Q the mIoU and L an error rate of the vision-language model, over the conditions: Q against L
(*level*), and over the degraded ones what is lost, Q_clean - Q, against what is added, L - L_clean
(*change*): arXiv:2601.08355, sections 3.5 and 6. L is 0 to 1 and lower is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats.correlation import Correlation, Method, correlate

Series: TypeAlias = Mapping[str, float | None]
"""A number in [0, 1] by condition; None is unknown."""

Form: TypeAlias = Literal["level", "change"]

FEW = 30
"""With fewer points than this, the report says what a coefficient must reach."""


@dataclass(frozen=True)
class Relation:
    """The coefficients of one segmentation model and one error rate, in one form."""

    segmenter: str
    metric: str
    form: Form
    pearson: Correlation
    spearman: Correlation

    @property
    def both(self) -> tuple[Correlation, Correlation]:
        """Pearson's, then Spearman's."""
        return self.pearson, self.spearman


def fold(condition: object) -> str:
    """Return a condition's name as it is compared: ``LL1`` and ``ll1`` are one.

    >>> fold(" LL1")
    'll1'
    """
    return str(condition).strip().lower()


def relate(
    segmenter: str,
    quality: Series,
    metric: str,
    error: Series,
    *,
    baseline: str,
    seed: int = 0,
) -> tuple[Relation, ...]:
    """Correlate two series over the conditions that both have, by name.

    Parameters
    ----------
    segmenter, metric
        What to call them; they also name the randomness of the permutations.
    quality, error
        mIoU and error rate by condition; case of the names does not matter.
    baseline
        The clean condition. Without it there is only the form ``level``.
    seed
        Of the permutations.
    """
    quality, error = _folded(quality), _folded(error)
    names = [name for name in quality if name in error]
    level = [quality[name] for name in names], [error[name] for name in names]
    forms: dict[Form, tuple[Sequence[float | None], Sequence[float | None]]] = {"level": level}
    clean = fold(baseline)
    if clean in names:
        worse = [name for name in names if name != clean]
        forms["change"] = (
            [_minus(quality[clean], quality[name]) for name in worse],
            [_minus(error[name], error[clean]) for name in worse],
        )

    def computed(form: Form, method: Method) -> Correlation:
        rng = derive_rng(seed, segmenter, metric, form, method, "correlation")
        return correlate(*forms[form], method, rng)

    return tuple(
        Relation(segmenter, metric, form, computed(form, "pearson"), computed(form, "spearman"))
        for form in forms
    )


def _folded(series: Series) -> dict[str, float | None]:
    return {fold(name): value for name, value in series.items()}


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def cautions(relations: Sequence[Relation]) -> Iterator[str]:
    """Yield what must be read with coefficients: how few the points are, and what is missing."""
    shown = [one for relation in relations for one in relation.both]
    for n in sorted({one.n for one in shown if one.n < FEW}, reverse=True):
        need = next(one.critical for one in shown if one.n == n)
        if need is None:
            yield f"n = {n} conditions: no correlation"
        else:
            yield f"n = {n} is small: |r| must exceed {need:.3f} for p < .05"
    if any(one.r is not None for one in shown):
        yield (
            "conditions share their images and are not independent draws: intervals (Fisher's z) "
            "and p (permutation) are a guide; nothing is corrected for "
            f"{len(shown)} coefficients"
        )
    constant = {r.metric for r in relations if r.pearson.r is None and r.pearson.n >= 3}
    if constant:
        yield f"no coefficient where a series is constant: {', '.join(sorted(constant))}"
