"""Measures of one image under one level of a factor, and how they become results.

A measure gives each image a number, and is reported as its mean at every level and, paired by
image, as the difference of every level from the baseline (dL of arXiv 2601.08355).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.types import Level
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.paired import compare
from vlm_eval.stats.pairs import Trial, align
from vlm_eval.stats.ratio import clustered_ratio
from vlm_eval.stats.results import Comparison, Estimate

QUESTION = "question"
"""The factor that tells the questions about one image apart."""


@dataclass(frozen=True)
class Asked:
    """An image at one level: its trials by question.

    Attributes
    ----------
    cluster, fields
        Of the image.
    rows
        The trial of each question that was asked, scored or failed.
    """

    cluster: str
    fields: Mapping[str, Any]
    rows: Mapping[str, TableRow]

    def answered(self, *questions: str) -> bool:
        """Return whether none of the questions failed."""
        return not any(self.rows[question].failed for question in questions)


Value: TypeAlias = Callable[[Asked], float | None]


def _always(_: Asked) -> bool:
    return True


@dataclass(frozen=True)
class Measure:
    """A number of each image, 0 to 1.

    Attributes
    ----------
    name
        Of the result.
    value
        The number; None if the trials that it needs failed.
    applies
        Which images it is about; the others are no part of its N.
    place
        What the result is about besides the level: ``{"class": "car"}``.
    lower_is_better
        Direction.
    answer
        The parsed answer that it is about, for changed answers and parse failures; absent: the
        number stands for it.
    paired
        Whether the images that it is about are the same at every level, so that a difference from
        the baseline can be reported.
    """

    name: str
    value: Value
    applies: Callable[[Asked], bool] = _always
    place: Mapping[str, Level] = field(default_factory=dict)
    lower_is_better: bool = True
    answer: Callable[[Asked], str | None] | None = None
    paired: bool = True


@dataclass(frozen=True)
class Ratio:
    """A share of totals over images: ``parts`` gives numerator and denominator of each, or None."""

    name: str
    parts: Callable[[Asked], tuple[float, float] | None]
    lower_is_better: bool = True


Images: TypeAlias = Mapping[str, Asked]


def by_level(table: Table, factor: str) -> dict[Level, dict[str, Asked]]:
    """Return the images at each level of a factor, by sample id."""
    rows: dict[Level, dict[str, dict[str, TableRow]]] = {
        level: {} for level in table.factors[factor]
    }
    for row in table.rows:
        samples = rows[row.condition[factor]]
        samples.setdefault(row.sample_id, {})[str(row.condition[QUESTION])] = row
    return {
        level: {
            sample_id: Asked(first.cluster, first.fields, questions)
            for sample_id, questions in samples.items()
            for first in [next(iter(questions.values()))]
        }
        for level, samples in rows.items()
    }


def report(
    table: Table,
    factor: str,
    measures: Sequence[Measure],
    ratios: Sequence[Ratio] = (),
    *,
    compared: Collection[str],
) -> list[Result]:
    """Return each measure at each level, then the differences from the baseline.

    Parameters
    ----------
    table, factor
        The trials, and what is varied.
    measures, ratios
        What is reported.
    compared
        Names of the measures whose differences are reported. Those of one measure are one Holm
        family.

    Raises
    ------
    TaskError
        If there is no such measure, or it has no pairs.
    """
    levels = by_level(table, factor)
    paired = [measure.name for measure in measures if measure.paired]
    for name in compared:
        if name not in paired:
            hint = did_you_mean(name, paired)
            raise TaskError(f"a metric cannot compare {name!r}", where=table.task, hint=hint)
    found: list[Result] = []
    for level, images in levels.items():
        found += [_estimate(measure, images, {factor: level}) for measure in measures]
        found += [_ratio(ratio, images, {factor: level}) for ratio in ratios]
    for measure in measures:
        if measure.name in compared:
            found += adjust_family(list(_comparisons(table, factor, levels, measure)))
    return found


def _estimate(measure: Measure, images: Images, where: Mapping[str, Level]) -> Estimate:
    known = [(asked.cluster, measure.value(asked)) for asked in _about(measure, images).values()]
    values = [(cluster, value) for cluster, value in known if value is not None]
    mean = clustered_mean(
        [value for _, value in values], Clusters.of(cluster for cluster, _ in values)
    )
    return mean.share().estimate(
        measure.name, {**where, **measure.place}, lower_is_better=measure.lower_is_better
    )


def _about(measure: Measure, images: Images) -> Images:
    return {key: asked for key, asked in images.items() if measure.applies(asked)}


def _ratio(ratio: Ratio, images: Images, where: Mapping[str, Level]) -> Estimate:
    known = [(asked.cluster, ratio.parts(asked)) for asked in images.values()]
    parts = [(cluster, *part) for cluster, part in known if part is not None]
    mean = clustered_ratio(
        [part[1] for part in parts],
        [part[2] for part in parts],
        Clusters.of(part[0] for part in parts),
    )
    return mean.share().estimate(ratio.name, where, lower_is_better=ratio.lower_is_better)


def _comparisons(
    table: Table, factor: str, levels: Mapping[Level, Images], measure: Measure
) -> Iterator[Comparison]:
    baseline, *others = table.factors[factor]
    controls = (table.controls or {}).get(factor, ())
    for level in others:
        found = compare(
            align(_trials(measure, levels[baseline]), _trials(measure, levels[level])),
            name=measure.name,
            factor=factor,
            baseline=baseline,
            level=level,
            where=measure.place,
            task=table.task,
            control=level in controls,
        )
        yield found.of_errors() if measure.lower_is_better else found


def _trials(measure: Measure, images: Images) -> dict[Hashable, Trial]:
    return {
        key: Trial(asked.cluster, value, measure.answer(asked) if measure.answer else str(value))
        for key, asked in _about(measure, images).items()
        for value in [measure.value(asked)]
    }
