"""The two shapes of every number that vlm_eval prints: an estimate, and a paired comparison.

None stands for unknown throughout (one cluster has no standard error) and prints as "-"; it is
never 0. All scores are shares in [0, 1], which tables print in %, unless they have a unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vlm_eval.core.types import Level


@dataclass(frozen=True)
class Estimate:
    """One number with its uncertainty.

    Attributes
    ----------
    name
        The metric, such as ``accuracy``.
    where
        The slice it is computed on: factor levels, or fields such as ``game``. Empty is all.
    value
        The point estimate; None if there was nothing to compute it on.
    se
        Clustered standard error of the value.
    low, high
        95 % confidence interval.
    n, clusters
        Rows that entered, and distinct clusters among them.
    method
        What gave the interval: ``student_t``, ``wilson``, ``bonett_price``, ``mover``,
        ``cluster_bootstrap``, ``jackknife``, ``none`` (docs/statistics.md says when which).
    lower_is_better
        Direction of the metric.
    signed
        Whether the value is a difference or a bias (print with a sign).
    chance
        What guessing gives; None if unknown, or if the number has no such level.
    unit
        What the value is in, such as ``nats``; empty for a share, which is printed in %.
    """

    name: str
    where: Mapping[str, Level]
    value: float | None
    se: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    method: str
    lower_is_better: bool = False
    signed: bool = False
    chance: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of one factor level with the baseline level: design section 5.

    A pair is one sample under two conditions that differ in ``factor`` alone. ``difference`` is
    always level minus baseline.

    Attributes
    ----------
    name
        The score compared, such as ``accuracy``.
    factor, baseline, level
        What differs between the two sides.
    where
        The slice: levels of other factors, or fields. Empty is all.
    n_pairs, n_clusters
        Pairs that entered, distinct clusters among them.
    dropped
        How many pairs did not enter, by reason: ``baseline_missing``, ``level_missing``,
        ``failed``.
    baseline_value, baseline_se, level_value, level_se
        Both scores with clustered standard errors.
    difference, se, low, high, method
        Mean paired difference, clustered standard error, 95 % interval and what gave it:
        ``student_t``, ``bonett_price``, ``cluster_bootstrap``, ``none``.
    p, p_method
        Two-sided p of no difference: ``mcnemar_exact`` (clusters of one), ``sign_flip`` by cluster
        with its exact distribution, ``sign_flip_monte_carlo``, or ``mcnemar_exact_rows``, which
        takes rows as independent as a paper did although they share clusters; ``none``.
    p_adjusted, family
        Holm-adjusted p over the family of this many comparisons; None and 0 for a comparison in no
        family (a control, or one without a p).
    right_to_wrong, wrong_to_right
        Pairs that flip, for 0/1 scores; None otherwise.
    flip_rate, answer_change_rate
        Share of pairs whose correctness flips; whose parsed answer changes.
    kappa
        Cohen's kappa of correctness between the sides (error consistency); None for scores other
        than 0/1 and where both sides are constant.
    retained, retained_low, retained_high
        (level - chance) / (baseline - chance), interval by cluster bootstrap; None where the
        baseline is not above chance by two standard errors.
    parse_failures_baseline, parse_failures_level
        Unparsed answers on each side (counted as wrong in the scores).
    bound_low, bound_high
        The difference if every unparsed answer had been (worst, best) for the level.
    mde
        Smallest difference detectable with 80 % power at alpha 0.05, two-sided.
    control
        Whether the level is a noise-floor control (identity, lossless re-encode).
    """

    name: str
    factor: str
    baseline: Level
    level: Level
    where: Mapping[str, Level]
    n_pairs: int
    n_clusters: int
    dropped: Mapping[str, int]
    baseline_value: float | None
    baseline_se: float | None
    level_value: float | None
    level_se: float | None
    difference: float | None
    se: float | None
    low: float | None
    high: float | None
    method: str
    p: float | None
    p_method: str
    p_adjusted: float | None
    family: int
    right_to_wrong: int | None
    wrong_to_right: int | None
    flip_rate: float | None
    answer_change_rate: float | None
    kappa: float | None
    retained: float | None
    retained_low: float | None
    retained_high: float | None
    parse_failures_baseline: int
    parse_failures_level: int
    bound_low: float | None
    bound_high: float | None
    mde: float | None
    control: bool = field(default=False)

    def of_errors(self) -> Comparison:
        """Return it with the flips named for a score that counts errors: 0 is right, 1 is wrong."""
        return replace(self, right_to_wrong=self.wrong_to_right, wrong_to_right=self.right_to_wrong)

    @property
    def dropped_share(self) -> float | None:
        """Share of pairs that did not enter; None of no pairs.

        More than 1 % should be marked where the comparison is shown, more than 5 % should keep it
        from being a headline.
        """
        dropped = sum(self.dropped.values())
        total = self.n_pairs + dropped
        return dropped / total if total else None
