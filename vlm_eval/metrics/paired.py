"""The paired difference between a factor's levels and its baseline."""

from __future__ import annotations

from collections.abc import Iterator

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.pairing import aligned, join_sides
from vlm_eval.metrics.slices import By, crossed, slice_places
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.paired import compare
from vlm_eval.stats.results import Comparison


@configurable
class PairedDifference:
    """Each level of a factor against its baseline, over samples under otherwise equal conditions.

    One comparison for each level and slice. All of them are one Holm family, noise-floor controls
    excepted.

    Attributes
    ----------
    factor
        What differs between the two sides of a pair.
    score
        Which score is compared.
    baseline
        The level to compare with; the factor's first if None.
    by
        Other factors or fields to break the comparison down by; a field is read on the baseline's
        side of the pair.
    """

    factor: str
    score: str = "accuracy"
    baseline: Level | None = None
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return comparisons named after the score."""
        found = compare_levels(
            table, self.factor, score=self.score, baseline=self.baseline, by=self.by
        )
        return [*adjust_family(list(found))]


def compare_levels(
    table: Table,
    factor: str,
    *,
    score: str,
    baseline: Level | None = None,
    by: By = (),
    name: str | None = None,
) -> Iterator[Comparison]:
    """Yield one comparison, not yet adjusted, for each level of a factor and each slice.

    Raises
    ------
    TaskError
        If a factor, level, score or field does not exist, or ``by`` has the factor itself.
    DataError
        If a trial is in the table twice, or the sides of a pair name different clusters.
    """
    check_trials(table, score)
    check_level(table, factor)
    known = table.factors[factor]
    base = known[0] if baseline is None else baseline
    check_level(table, factor, base)
    if any(factor in crossed(entry) for entry in by):
        raise TaskError(
            f"the differences between levels of {factor!r} cannot be broken down by it",
            where=table.task,
        )
    for level in known:
        if level == base:
            continue
        sides = join_sides(table, factor, score, base, level)
        for where, places in slice_places(table.take(sides.read), by):
            yield compare(
                aligned(table, factor, score, sides.part(places)),
                name=name or score,
                factor=factor,
                baseline=base,
                level=level,
                where=where,
                task=table.task,
                chance=table.chance,
                control=level in (table.controls or {}).get(factor, ()),
            )
