"""Whether drift tells which answers flip: the area under the ROC curve of drift against flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.representation import Representation, Shift, clusters_of
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.auroc import clustered_auroc
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate


@configurable
class DriftFlips(Representation):
    """AUROC of an instance's drift 1 - cos as a score for its answer having changed.

    ``drift_auroc``
        For each site and family, and over all instances. One half: drift says nothing of flips;
        above: what flips has moved further. None where no answer changed, or every one. Instances
        without an answer do not enter. Intervals by cluster bootstrap. This project's.

    Options: those of every metric of captured states (docs/internals/representation.md).
    """

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; None where nothing was captured."""
        found: list[Result] = []
        for where, part in self.parts(table):
            for site in self.sites:
                shifts = part.measure(site, self.layer).shifts
                at = {**where, **self.place(site)}
                found += [
                    _auroc([s for s in shifts if s.level in levels], {**at, **place}, table.task)
                    for levels, place in part.places
                ]
        return found


def _auroc(shifts: Sequence[Shift], where: Mapping[str, Level], task: str) -> Estimate:
    known = [shift for shift in shifts if shift.changed is not None]
    mean = clustered_auroc(
        [shift.drift for shift in known],
        [bool(shift.changed) for shift in known],
        clusters_of(known),
        derive_rng(SEED, task, "drift_auroc"),
    )
    return replace(mean.estimate("drift_auroc", where), chance=0.5)
