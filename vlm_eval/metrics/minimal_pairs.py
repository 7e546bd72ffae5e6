"""Four questions about a pair of images and a pair of captions, and what they say together.

A sample is two images I0, I1 and two captions C0, C1; I_k belongs with C_k. Side k is asked four
questions: *confirm* (does I_k match C_k?), *reject* (does I_k match the other caption?), *i2c*
(which caption fits I_k?) and *c2i* (which image fits C_k?), the last two in both option orders.

Every score here is the share of *units* that are right, and a unit is a set of trials of one sample
that must **all** be right: one trial for an accuracy, the two sides for a pair score, and so on.
A unit with a failed trial has no score and is dropped; an unparsed answer is wrong. Intervals are
clustered by sample. Definitions: MiSCHiEF (arXiv 2602.18729) names the four questions and reports
confirm against reject and i2c against c2i; the group scores are Winoground's (Thrush et al. 2022)
and NaturalBench's (Li et al. 2024).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.slices import By, crossed, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.paired import compare, paired_mean
from vlm_eval.stats.pairs import Pairs, Trial, align
from vlm_eval.stats.results import Comparison, Estimate

CONFIRM, REJECT, I2C, C2I = "confirm", "reject", "i2c", "c2i"
SIDES = (0, 1)
NATIVE = "ab"
"""The option order in which option k is that of side k."""

DIFFERENCES = (
    ("confirm_minus_reject", CONFIRM, REJECT),
    ("i2c_minus_c2i", I2C, C2I),
)
"""Name, level and baseline of the two differences of the paper: findings 1 and 2 say above 0."""

ORDER = (
    "confirm_acc", "reject_acc", "confirm_minus_reject", "itm_acc", "yes_rate",
    "i2c_acc", "c2i_acc", "i2c_minus_c2i", "i2c_consistent_acc", "c2i_consistent_acc",
    "i2c_position_bias", "c2i_position_bias",
    "i2c_pair_score", "c2i_pair_score", "selection_group",
    "itm_Q_acc", "itm_I_acc", "itm_group", "holistic_group",
    "confirm_invalid_rate", "reject_invalid_rate", "itm_invalid_rate",
    "i2c_invalid_rate", "c2i_invalid_rate",
)  # fmt: skip
"""Every score, in the order of printing."""

Key: TypeAlias = tuple[str, int, Level]
Unit: TypeAlias = tuple[Key, ...]
Sample: TypeAlias = Mapping[Key, TableRow]


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
    ``confirm_minus_reject``, ``i2c_minus_c2i``
        Differences paired by sample, side and order; each comes as a comparison too.
    ``*_invalid_rate``
        Share of answers in which the parser found none of the options (they count as wrong), or
        whose options tie.

    ``chance`` is that of answering every question by an independent fair coin, 0.5 to the number of
    trials in the unit: 25 % for a pair score, 6.25 % for a group. A model that ranks both options
    by *one* matrix of four independent continuous scores would reach 16.67 % in
    ``selection_group``; one that answers four questions does not.

    A score whose questions the task, or a slice, does not ask is left out (a slice by ``label``
    holds one side of a sample, so it has accuracies and no pair scores); one whose questions all
    failed (c2i for a model that takes one image) is None.

    Attributes
    ----------
    by
        Fields to break the scores down by; fields that no sample has a value for are passed over.
        The scores are always broken down by the task's further factors, never pooled over them.
    """

    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return every score, and the two differences as comparisons, of one Holm family."""
        for factor in ("question", "side"):
            check_level(table, factor)
        check_trials(table, "accuracy")
        further = tuple(name for name in table.factors if name not in {"question", "side", "order"})
        estimates: list[Result] = []
        comparisons: list[Comparison] = []
        for where, part in _parts(table, further, self.by):
            samples = _samples(part)
            differences = list(_differences(samples))
            estimates += _estimates(part, samples, differences, where)
            comparisons += [_comparison(part, difference, where) for difference in differences]
        return [*estimates, *adjust_family(comparisons)]


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
    table: Table,
    samples: Sequence[Sample],
    differences: Sequence[Difference],
    where: Mapping[str, Level],
) -> list[Estimate]:
    scores = _scores(table.factors.get("order", (NATIVE,)))
    found = [_estimate(score, samples, where) for score in scores]
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


def _samples(table: Table) -> list[Sample]:
    samples: dict[str, dict[Key, TableRow]] = {}
    for row in table.rows:
        samples.setdefault(row.sample_id, {})[_key(row)] = row
    return list(samples.values())


def _key(row: TableRow) -> Key:
    question, side = str(row.condition["question"]), int(row.condition["side"])
    return question, side, row.condition.get("order", NATIVE)


def _right(row: TableRow) -> bool:
    return row.scores["accuracy"] == 1.0


def _all_right(rows: Sequence[TableRow]) -> bool:
    return all(map(_right, rows))


def _invalid(rows: Sequence[TableRow]) -> bool:
    return rows[0].answer is None


# What was chosen follows from whether it was right, whatever the options are called.
def _says_yes(rows: Sequence[TableRow]) -> bool:
    question, _, _ = _key(rows[0])
    return not _invalid(rows) and _right(rows[0]) == (question == CONFIRM)


def _chooses_first(rows: Sequence[TableRow]) -> bool:
    _, side, order = _key(rows[0])
    first_is_right = (side == 0) == (order == NATIVE)
    return not _invalid(rows) and _right(rows[0]) == first_is_right


@dataclass(frozen=True)
class _Score:
    """A share of units: what counts, and how it is shown. ``less`` is taken off the share."""

    name: str
    units: tuple[Unit, ...]
    counts: Callable[[Sequence[TableRow]], bool]
    less: float = 0.0
    chance: float | None = None
    lower_is_better: bool = False


def _scores(orders: Sequence[Level]) -> Iterator[_Score]:
    units = score_units(orders)
    for name, sets in units.items():
        yield _Score(name, sets, _all_right, chance=0.5 ** len(sets[0]))
    yield _Score("yes_rate", units["itm_acc"], _says_yes)
    for question in (I2C, C2I):
        choices = units[f"{question}_acc"]
        yield _Score(f"{question}_position_bias", choices, _chooses_first, less=0.5)
    for question in (CONFIRM, REJECT, "itm", I2C, C2I):
        asked = units[f"{question}_acc"]
        yield _Score(f"{question}_invalid_rate", asked, _invalid, lower_is_better=True)


def _estimate(
    score: _Score, samples: Sequence[Sample], where: Mapping[str, Level]
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
    return dataclasses.replace(estimate, chance=score.chance)


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
            answer = None if row.answer is None else str(_right(row))
            score = None if row.failed else row.scores["accuracy"]
            found[row.sample_id, *key[1:]] = Trial(row.cluster, score, answer)
    return found


def score_units(orders: Sequence[Level]) -> dict[str, tuple[Unit, ...]]:
    """Return, for each score, the sets of a sample's trials that must all be right.

    Parameters
    ----------
    orders
        The option orders asked. Yes/no questions have no options and are asked in the first only.
    """
    confirm, reject = ([(question, k, orders[0]) for k in SIDES] for question in (CONFIRM, REJECT))
    i2c, c2i = (
        {order: tuple((question, k, order) for k in SIDES) for order in orders}
        for question in (I2C, C2I)
    )
    itm = (*confirm, *reject)

    def consistent(question: str) -> tuple[Unit, ...]:
        return tuple(tuple((question, k, order) for order in orders) for k in SIDES)

    return {
        "confirm_acc": tuple((key,) for key in confirm),
        "reject_acc": tuple((key,) for key in reject),
        "itm_acc": tuple((key,) for key in itm),
        "i2c_acc": tuple((key,) for order in orders for key in i2c[order]),
        "c2i_acc": tuple((key,) for order in orders for key in c2i[order]),
        "i2c_consistent_acc": consistent(I2C),
        "c2i_consistent_acc": consistent(C2I),
        "i2c_pair_score": tuple(i2c[order] for order in orders),
        "c2i_pair_score": tuple(c2i[order] for order in orders),
        "selection_group": tuple(i2c[order] + c2i[order] for order in orders),
        "itm_I_acc": tuple((confirm[k], reject[k]) for k in SIDES),
        # reject is asked of image k about caption 1 - k, so caption k's false image is the other's
        "itm_Q_acc": tuple((confirm[k], reject[1 - k]) for k in SIDES),
        "itm_group": (itm,),
        "holistic_group": tuple(itm + i2c[order] + c2i[order] for order in orders),
    }
