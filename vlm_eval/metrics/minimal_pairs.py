"""Four questions about a pair of images and a pair of captions, and what they say together.

A sample is two images I0, I1 and two captions C0, C1; I_k belongs with C_k. Side k is asked four
questions: *confirm* (does I_k match C_k?), *reject* (does I_k match the other caption?), *i2c*
(which caption fits I_k?) and *c2i* (which image fits C_k?), the last two in both option orders.

A fifth, *c2i_composite*, shows both images of *c2i* side by side as one picture.

Every score here is the share of *units* that are right, and a unit is a set of trials of one sample
that must **all** be right: one trial for an accuracy, the two sides for a pair score, and so on.
A unit with a failed trial has no score and is dropped; an unparsed answer is wrong. Intervals are
clustered by sample. Definitions: MiSCHiEF (arXiv 2602.18729) names the four questions and reports
confirm against reject and i2c against c2i; the group scores are Winoground's (Thrush et al. 2022)
and NaturalBench's (Li et al. 2024).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.minimal_pairs_derived import derived
from vlm_eval.metrics.minimal_pairs_units import (
    C2I,
    COMPOSITE,
    CONFIRM,
    I2C,
    MATRIX_CHANCE,
    REJECT,
    Sample,
    Score,
    is_right,
    key_orders,
    samples_of,
    scores,
)
from vlm_eval.metrics.slices import By, crossed, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.paired import compare, paired_mean
from vlm_eval.stats.pairs import Pairs, Trial, align
from vlm_eval.stats.results import Comparison, Estimate

DIFFERENCES = (
    ("confirm_minus_reject", CONFIRM, REJECT),
    ("i2c_minus_c2i", I2C, C2I),
    ("c2i_minus_c2i_composite", C2I, COMPOSITE),
)
"""Name, level and baseline. The first two are the paper's: findings 1 and 2 say above 0."""

ORDER = (
    "confirm_acc", "reject_acc", "confirm_minus_reject", "itm_acc", "yes_rate",
    "i2c_acc", "c2i_acc", "i2c_minus_c2i", "c2i_composite_acc", "c2i_minus_c2i_composite",
    "i2c_consistent_acc", "c2i_consistent_acc", "c2i_composite_consistent_acc",
    "i2c_position_bias", "c2i_position_bias", "c2i_composite_position_bias",
    "i2c_pair_score", "c2i_pair_score", "c2i_composite_pair_score", "selection_group",
    "itm_Q_acc", "itm_I_acc", "itm_group", "holistic_group",
    "i2c_derived_acc", "c2i_derived_acc", "derived_text", "derived_image", "derived_group",
    "pairing_suspect",
    "confirm_invalid_rate", "reject_invalid_rate", "itm_invalid_rate",
    "i2c_invalid_rate", "c2i_invalid_rate", "c2i_composite_invalid_rate",
)  # fmt: skip
"""Every score, in the order of printing."""

WINOGROUND = {
    "i2c_pair_score": "text_score",
    "c2i_pair_score": "image_score",
    "selection_group": "group_score",
}
"""What Winoground calls three of them."""


class Difference(NamedTuple):
    """One of :data:`DIFFERENCES` with the pairs that it is computed on."""

    name: str
    level: str
    baseline: str
    pairs: Pairs


@configurable
class MinimalPairs:
    """The scores of minimal pairs, for tasks with the factors question, side and order.

    ``confirm_acc``, ``reject_acc``, ``itm_acc``
        Share of right yes/no answers, to true pairings, to false ones, to both.
    ``yes_rate``
        Share of "yes" among the yes/no answers; half of them should be.
    ``i2c_acc``, ``c2i_acc``
        Share of right choices over sides and option orders; ``i2c_consistent_acc`` and
        ``c2i_consistent_acc`` ask for the right choice in *both* orders.
    ``i2c_position_bias``, ``c2i_position_bias``
        Share of choices of the first option, less one half. Unparsed answers choose no option and
        stay in the denominator.
    ``i2c_pair_score``, ``c2i_pair_score``, ``selection_group``
        Both images right (Winoground's text score), both captions right (its image score), all
        four right (its group score), *under one option order*; then the mean over the orders.
    ``itm_I_acc``, ``itm_Q_acc``, ``itm_group``
        Both captions judged right for an image, both images judged right for a caption, all four
        right: NaturalBench's I-Acc, Q-Acc and G-Acc.
    ``holistic_group``
        ``selection_group`` and ``itm_group``, again under one order, then the mean.
    ``c2i_composite_*``
        The same of choices between two images that are shown as one; never part of ``c2i_*``.
    ``confirm_minus_reject``, ``i2c_minus_c2i``, ``c2i_minus_c2i_composite``
        Differences paired by sample, side and order; each comes as a comparison too.
    ``i2c_derived_acc``, ``c2i_derived_acc``, ``derived_text``, ``derived_image``, ``derived_group``
        The same choices derived from the log-likelihoods of confirm and reject, where there are
        some: see :mod:`vlm_eval.metrics.minimal_pairs_derived`.
    ``pairing_suspect``
        Share of samples in which every choice, i2c and c2i under one order, is the wrong one.
        Clearly above ``selection_group``, images and captions have probably been mixed up.
    ``*_invalid_rate``
        Share of answers in which the parser found none of the options (they count as wrong), or
        whose options tie.

    ``chance`` is that of answering every question by an independent fair coin, 0.5 to the number of
    trials in the unit: 25 % for a pair score, 6.25 % for a group. Models that compare images with
    texts by *one* matrix of four continuous scores reach 16.67 % in ``selection_group``, and in
    ``derived_group``; that is then the chance printed.

    Where every question is asked in one option order only, whichever, a pair score or group takes
    the order in which each was asked.

    A score whose questions the task, or a slice, does not ask is left out (a slice by ``label``
    holds one side of a sample, so it has accuracies and no pair scores); one whose questions all
    failed (c2i for a model that takes one image) is None.

    Attributes
    ----------
    by
        Fields to break the scores down by; fields that no sample has a value for are passed over.
        The scores are always broken down by the task's further factors, never pooled over them.
    names
        ``winoground``: the pair scores and the group are called ``text_score``, ``image_score`` and
        ``group_score``.
    """

    by: By = ()
    names: Literal["mischief", "winoground"] = "mischief"

    def __call__(self, table: Table) -> list[Result]:
        """Return every score, and the differences as comparisons, of one Holm family."""
        for factor in ("question", "side"):
            check_level(table, factor)
        check_trials(table, "accuracy")
        further = tuple(name for name in table.factors if name not in {"question", "side", "order"})
        orders = key_orders(table)
        estimates: list[Estimate] = []
        comparisons: list[Comparison] = []
        for where, part in _parts(table, further, self.by):
            samples = samples_of(part, orders)
            differences = list(_differences(samples))
            estimates += _estimates(samples, orders, differences, where)
            comparisons += [_comparison(part, difference, where) for difference in differences]
        return [*map(self._named, estimates), *adjust_family(comparisons)]

    def _named(self, estimate: Estimate) -> Estimate:
        names = WINOGROUND if self.names == "winoground" else {}
        return dataclasses.replace(estimate, name=names.get(estimate.name, estimate.name))


def _parts(
    table: Table, further: tuple[str, ...], by: By
) -> Iterator[tuple[dict[str, Level], Table]]:
    """Yield each combination of the further factors, whole and by each field that has values."""
    known = tuple(entry for entry in by if not _valueless(table, crossed(entry)))
    for setting, part in slices(table, (further,) if further and table.rows else ()):
        if further and table.rows and not setting:
            continue
        for where, piece in slices(part, known):
            yield {**setting, **where}, piece


def _valueless(table: Table, names: tuple[str, ...]) -> bool:
    """Return whether some name is a field of the data set that none of its samples fills in."""
    return any(
        all(name in row.fields and row.fields[name] is None for row in table.rows) for name in names
    )


def _estimates(
    samples: Sequence[Sample],
    orders: Sequence[Level],
    differences: Sequence[Difference],
    where: Mapping[str, Level],
) -> list[Estimate]:
    found = [_estimate(score, samples, where) for score in scores(orders)]
    found += derived(samples, orders[0], where)
    for difference in differences:
        pairs = difference.pairs
        mean = paired_mean(pairs.baseline, pairs.level, pairs.clusters)
        found.append(mean.estimate(difference.name, where, signed=True))
    known = [estimate for estimate in found if estimate is not None]
    return sorted(known, key=lambda estimate: ORDER.index(estimate.name))


def _comparison(table: Table, difference: Difference, where: Mapping[str, Level]) -> Comparison:
    return compare(
        difference.pairs,
        name="accuracy",
        factor="question",
        baseline=difference.baseline,
        level=difference.level,
        where=where,
        task=table.task,
    )


def _estimate(
    score: Score, samples: Sequence[Sample], where: Mapping[str, Level]
) -> Estimate | None:
    """Return the score; None if its questions were not asked."""
    asked = [
        [sample[key] for key in unit]
        for sample in samples
        for unit in score.units
        if all(key in sample for key in unit)
    ]
    if samples and not asked:
        return None
    answered = [rows for rows in asked if not any(row.failed for row in rows)]
    values = [float(score.counts(rows)) for rows in answered]
    mean = clustered_mean(values, Clusters.of(rows[0].cluster for rows in answered))
    estimate = _less(mean, score.less).estimate(
        score.name, where, lower_is_better=score.lower_is_better, signed=score.less != 0
    )
    matrix = bool(answered) and all(_compared(row) for rows in answered for row in rows)
    chance = MATRIX_CHANCE.get(score.name, score.chance) if matrix else score.chance
    return dataclasses.replace(estimate, chance=chance)


def _compared(row: TableRow) -> bool:
    """Return whether the options were compared by similarity, which counts no tokens."""
    return row.logprobs is not None and row.token_counts is None


def _less(mean: Mean, constant: float) -> Mean:
    value, low, high = (
        None if number is None else number - constant
        for number in (mean.value, mean.low, mean.high)
    )
    return dataclasses.replace(mean, value=value, low=low, high=high)


def _differences(samples: Sequence[Sample]) -> Iterator[Difference]:
    """Yield the differences whose two questions were asked, joined by sample, side and order."""
    for name, level, baseline in DIFFERENCES:
        one, other = _trials(samples, baseline), _trials(samples, level)
        if (one and other) or not samples:
            yield Difference(name, level, baseline, align(one, other))


def _trials(samples: Sequence[Sample], question: str) -> dict[Hashable, Trial]:
    """Return the trials of one question by sample, side and order."""
    found: dict[Hashable, Trial] = {}
    for sample in samples:
        for key, row in sample.items():
            if key[0] != question:
                continue
            # An answer to one question is none to the other: what can change is its being right.
            answer = None if row.answer is None else str(is_right(row))
            score = None if row.failed else row.scores["accuracy"]
            found[row.sample_id, *key[1:]] = Trial(row.cluster, score, answer)
    return found
