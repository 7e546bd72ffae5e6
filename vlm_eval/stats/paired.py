"""The paired comparison of two sides: every number of design section 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import Level
from vlm_eval.stats.bootstrap import cluster_bootstrap
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.intervals import UNKNOWN, Interval, bonett_price, student_t
from vlm_eval.stats.mean import Mean, clustered_mean, clustered_se, is_binary
from vlm_eval.stats.pairs import Pairs
from vlm_eval.stats.permutation import PValue, mcnemar_exact, sign_flip
from vlm_eval.stats.power import minimum_detectable
from vlm_eval.stats.results import Comparison

FEW_DISCORDANT = 10
"""With fewer discordant pairs than this a t interval of 0/1 scores covers too little."""

SEED = 0
"""Of all resampling: a result depends on the records alone, not on the seed of the run."""


class Retained(NamedTuple):
    """Share of the baseline's score above chance that is left, and its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


def compare(
    pairs: Pairs,
    *,
    name: str,
    factor: str,
    baseline: Level,
    level: Level,
    where: Mapping[str, Level],
    task: str,
    chance: float | None = None,
    control: bool = False,
) -> Comparison:
    """Compare the level's scores with the baseline's, pair by pair.

    Parameters
    ----------
    pairs
        The two sides, aligned.
    name, factor, baseline, level, where, control
        Copied to the result.
    task
        Whose randomness: resampling is seeded by task, name and purpose.
    chance
        Expected score of guessing, for the retained share; None if unknown.

    Returns
    -------
    Comparison
        Not yet adjusted for multiplicity; None where there is too little to know a number.
    """
    one = clustered_mean(pairs.baseline, pairs.clusters)
    other = clustered_mean(pairs.level, pairs.clusters)
    delta = paired_mean(pairs.baseline, pairs.level, pairs.clusters)
    p, p_method = _p_value(pairs, derive_rng(SEED, task, name, "sign_flip"))
    losses, gains = flips(pairs.baseline, pairs.level) or (None, None)
    kept = _retained(pairs, one, other, chance, derive_rng(SEED, task, name, "retained"))
    bound_low, bound_high = _bounds(pairs)
    return Comparison(
        name=name,
        factor=factor,
        baseline=baseline,
        level=level,
        where=dict(where),
        n_pairs=pairs.count,
        n_clusters=pairs.clusters.count,
        dropped=dict(pairs.dropped),
        baseline_value=one.value,
        baseline_se=one.se,
        level_value=other.value,
        level_se=other.se,
        difference=delta.value,
        se=delta.se,
        low=delta.low,
        high=delta.high,
        method=delta.method,
        p=p,
        p_method=p_method,
        p_adjusted=None,
        family=0,
        right_to_wrong=losses,
        wrong_to_right=gains,
        flip_rate=None if losses is None or gains is None else (losses + gains) / pairs.count,
        answer_change_rate=float(pairs.changed.mean()) if pairs.count else None,
        kappa=kappa(pairs.baseline, pairs.level),
        retained=kept.value,
        retained_low=kept.low,
        retained_high=kept.high,
        parse_failures_baseline=int(pairs.unparsed_baseline.sum()),
        parse_failures_level=int(pairs.unparsed_level.sum()),
        bound_low=bound_low,
        bound_high=bound_high,
        mde=minimum_detectable(delta.se, pairs.clusters.count - 1),
        control=control,
    )


def paired_mean(baseline: FloatArray, level: FloatArray, clusters: Clusters) -> Mean:
    """Return the mean of level - baseline with its clustered standard error and 95 % interval.

    Student's t with C - 1 degrees of freedom in general. For 0/1 scores, where few pairs are
    discordant, t covers far less than 95 %; the interval is then Bonett and Price's: with clusters
    of one and fewer than ten discordant pairs, and wherever the standard error is 0 (each cluster
    then counts as one pair, as if its rows were copies). Other scores whose error is 0 get none.
    """
    n, count = clusters.rows, clusters.count
    if n == 0:
        return Mean(None, None, *UNKNOWN, n=0, clusters=0)
    differences = level - baseline
    value, se = float(differences.mean()), clustered_se(differences, clusters)
    interval = UNKNOWN
    if se is not None:
        interval = student_t(value, se, count - 1) if se > 0 else UNKNOWN
        turned = flips(baseline, level)
        if turned is not None:
            losses, gains = turned
            few = clusters.singletons and losses + gains < FEW_DISCORDANT
            if few or se == 0:
                interval = bonett_price(losses * count / n, gains * count / n, count)
            interval = _within_one(interval)
    return Mean(value, se, *interval, n=n, clusters=count)


def _within_one(interval: Interval) -> Interval:
    low, high, method = interval
    if low is None or high is None:
        return interval
    return Interval(max(-1.0, low), min(1.0, high), method)


def flips(baseline: FloatArray, level: FloatArray) -> tuple[int, int] | None:
    """Return how many 0/1 scores go from right to wrong, and from wrong to right.

    None for other scores, or none.
    """
    if len(baseline) == 0 or not (is_binary(baseline) and is_binary(level)):
        return None
    return int((baseline > level).sum()), int((level > baseline).sum())


def kappa(baseline: FloatArray, level: FloatArray) -> float | None:
    """Return Cohen's kappa of two sides' correctness: the error consistency of Geirhos et al. 2020.

    (observed agreement - expected) / (1 - expected), expected from the two accuracies. None for
    scores other than 0/1, and where both sides are constant and agreement is certain anyway.
    """
    turned = flips(baseline, level)
    if turned is None:
        return None
    one, other = float(baseline.mean()), float(level.mean())
    expected = one * other + (1 - one) * (1 - other)
    observed = 1 - sum(turned) / len(baseline)
    return (observed - expected) / (1 - expected) if expected < 1 else None


def _p_value(pairs: Pairs, rng: np.random.Generator) -> PValue:
    turned = flips(pairs.baseline, pairs.level)
    if turned is not None and pairs.clusters.singletons:
        return PValue(mcnemar_exact(*turned), "mcnemar_exact")
    return sign_flip(pairs.level - pairs.baseline, pairs.clusters, rng)


def _retained(
    pairs: Pairs, one: Mean, other: Mean, chance: float | None, rng: np.random.Generator
) -> Retained:
    """Return (level - chance) / (baseline - chance) with a cluster-bootstrap interval.

    Unknown unless the baseline is above chance by two standard errors: a share of what may be
    nothing has no meaning. A replicate whose baseline is not above chance counts as unbounded.
    """
    unknown = Retained(None, None, None)
    if chance is None or one.value is None or other.value is None or one.se is None:
        return unknown
    above = one.value - chance
    if above <= 0 or above < 2 * one.se:
        return unknown

    def ratio(totals: FloatArray) -> FloatArray:
        base = totals[:, 0] - chance * totals[:, 2]
        kept = totals[:, 1] - chance * totals[:, 2]
        unbounded = np.where(kept >= 0, np.inf, -np.inf)
        return np.divide(kept, base, out=unbounded, where=base > 0)

    totals = np.column_stack(
        [
            pairs.clusters.totals(pairs.baseline),
            pairs.clusters.totals(pairs.level),
            pairs.clusters.sizes,
        ]
    )
    spread = cluster_bootstrap(totals, ratio, rng)
    return Retained((other.value - chance) / above, spread.low, spread.high)


def _bounds(pairs: Pairs) -> tuple[float | None, float | None]:
    """Return the difference if every unparsed answer had been (worst, best) for the level.

    Worst: right on the baseline's side and wrong on the level's; best: the reverse. Unknown for
    scores outside [0, 1], whose worst and best are not known.
    """
    both = np.concatenate([pairs.baseline, pairs.level])
    if pairs.count == 0 or both.min() < 0 or both.max() > 1:
        return None, None
    lost = np.where(pairs.unparsed_level, 0.0, pairs.level) - np.where(
        pairs.unparsed_baseline, 1.0, pairs.baseline
    )
    won = np.where(pairs.unparsed_level, 1.0, pairs.level) - np.where(
        pairs.unparsed_baseline, 0.0, pairs.baseline
    )
    return float(lost.mean()), float(won.mean())
