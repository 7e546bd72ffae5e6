"""How much of a representation a perturbation leaves: mean cosine and distance to the clean one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.representation import (
    Representation,
    Shift,
    clusters_of,
)
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.mean import measured_mean
from vlm_eval.stats.results import Estimate


@configurable
class RepresentationStability(Representation):
    """Mean cosine similarity and mean L2 distance of clean and perturbed vectors, over instances.

    ``cosine``, ``l2``
        For each site and family, and pooled over all instances ("Any" in the paper's table). Levels
        that the task calls controls come at that level.

    Options: those of every metric of captured states (docs/internals/representation.md).
    """

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; None where nothing was captured."""
        found: list[Result] = []
        for where, part in self.parts(table):
            for site in self.sites:
                shifts = part.measure(site, self.layer).shifts
                at = {**where, **self.place(site)}
                for levels, place in part.places:
                    found += _means([s for s in shifts if s.level in levels], {**at, **place})
                for level in part.controls:
                    place = {**at, self.factor: level}
                    found += _means([s for s in shifts if s.level == level], place)
        return found


def _means(shifts: Sequence[Shift], where: Mapping[str, Level]) -> Iterator[Estimate]:
    clusters = clusters_of(shifts)
    yield measured_mean([1 - s.drift for s in shifts], clusters).estimate("cosine", where)
    length = measured_mean([s.l2 for s in shifts], clusters)
    yield length.estimate("l2", where, lower_is_better=True, unit="L2")
