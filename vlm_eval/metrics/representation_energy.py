"""What perturbations do to the Dirichlet energy of an image's tokens.

E is the mean squared distance of neighbouring tokens after the projector
(vlm_eval/metrics/dirichlet.py), dE = E(perturbed) - E(clean); divided by the mean squared norm of
the same image's tokens it has no scale. ("Same Answer, Different Representations", arXiv
2602.06652, and its code; the scale-free form is this project's.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.margins import scored, scores
from vlm_eval.metrics.representation import Part, Representation
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import measured_mean
from vlm_eval.stats.moments import clustered_pearson, clustered_sd
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

SITE = "vision_energy"
"""The array that holds energy, mean square, edges, frames, rows and columns of one image."""


class Tokens(NamedTuple):
    """Energy of an image's tokens, the same over their mean squared norm, and their number."""

    energy: float
    relative: float | None
    number: float


class Change(NamedTuple):
    """What became of the tokens of one instance."""

    clean: TableRow
    row: TableRow
    level: Level
    before: Tokens
    after: Tokens
    l2: float | None
    changed: bool | None


Reading: TypeAlias = Callable[[Change], float | None]


@configurable
class Dirichlet(Representation):
    """Change of the Dirichlet energy by family and over all, of samples with one image.

    ``energy``, ``relative_energy``
        Mean of E, and of E over the mean squared norm, on the clean images.
    ``energy_change``, ``energy_change_sd``, ``relative_energy_change``,
    ``relative_energy_change_sd``
        Mean and standard deviation of dE over instances; with ``flipped`` true in the result's
        place, over those whose answer changed. Levels that the task calls controls come as
        ``energy_change``.
    ``token_change``
        Mean change of the number of tokens: where it is not 0 the grids differ in shape.
    ``energy_drift_correlation``
        Pearson's r of dE with the L2 drift of ``site``, the end of the context.
    ``energy_anchor_correlation``
        Pearson's r of dE with the change of the clean answer's log-likelihood, over instances whose
        answer did not change (``flipped`` false); for scored options.

    Options: those of every metric of captured states (docs/internals/representation.md).
    """

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; None where nothing was captured."""
        found: list[Result] = []
        for where, part in self.parts(table):
            clean, changes = self._read(part)
            found += _clean(clean, where)
            for levels, place in part.places:
                inside = [change for change in changes if change.level in levels]
                flipped = [change for change in inside if change.changed]
                for several, also in ((inside, {}), (flipped, {"flipped": True})):
                    found += _changes(several, {**where, **place, **also}, table.task)
                found.append(_tokens(inside, {**where, **place}))
                found += _correlations(inside, {**where, **place}, table.task)
            for level in part.controls:
                still = [change for change in changes if change.level == level]
                found.append(_mean(still, _ENERGY, "energy_change", {**where, self.factor: level}))
        return found

    def _read(self, part: Part) -> tuple[list[tuple[TableRow, Tokens]], list[Change]]:
        """Return the clean trials' tokens, and what became of them."""
        site = self.sites[0]
        levels = [level for levels in part.families.values() for level in levels]
        lengths = {
            (shift.clean.sample_id, shift.level): shift.l2
            for shift in part.measure(site, self.layer).shifts
        }
        clean, changes = [], []
        for subject in part.subjects:
            before = _tokens_of(part, subject.clean)
            if before is None:
                continue
            clean.append((subject.clean, before))
            for level in (*part.controls, *levels):
                row = subject.others.get(level)
                after = None if row is None else _tokens_of(part, row)
                if row is None or after is None:
                    continue
                length = lengths.get((subject.clean.sample_id, level))
                changed = part.changed(subject.clean, row)
                changes.append(Change(subject.clean, row, level, before, after, length, changed))
        return clean, changes


def _tokens_of(part: Part, row: TableRow) -> Tokens | None:
    captured = None if part.table.states is None else part.table.states.of(row)
    found = None if captured is None else captured.arrays.get(SITE)
    if found is None:
        return None
    energy, square, _, frames, rows, columns = found.astype(np.float64).tolist()
    return Tokens(energy, energy / square if square > 0 else None, frames * rows * columns)


def _energy(change: Change) -> float:
    return change.after.energy - change.before.energy


def _relative(change: Change) -> float | None:
    before, after = change.before.relative, change.after.relative
    return None if before is None or after is None else after - before


def _anchor(change: Change) -> float | None:
    """Return the change of the clean answer's log-likelihood."""
    answer = change.clean.answer
    if answer is None or not (scored(change.clean) and scored(change.row)):
        return None
    before, after = scores(change.clean).get(answer), scores(change.row).get(answer)
    return None if before is None or after is None else after - before


_ENERGY: Reading = _energy


def _clean(
    clean: Sequence[tuple[TableRow, Tokens]], where: Mapping[str, Level]
) -> Iterator[Estimate]:
    clusters = Clusters.of(row.cluster for row, _ in clean)
    yield measured_mean([t.energy for _, t in clean], clusters).estimate(
        "energy", where, unit="energy"
    )
    known = [(row, t.relative) for row, t in clean if t.relative is not None]
    clusters = Clusters.of(row.cluster for row, _ in known)
    yield measured_mean([value for _, value in known], clusters).estimate(
        "relative_energy", where, unit="ratio"
    )


def _changes(
    changes: Sequence[Change], where: Mapping[str, Level], task: str
) -> Iterator[Estimate]:
    readings: dict[str, tuple[Reading, str]] = {
        "energy_change": (_energy, "energy"),
        "relative_energy_change": (_relative, "ratio"),
    }
    for name, (reading, unit) in readings.items():
        yield _mean(changes, reading, name, where, unit)
        values, clusters = _values(changes, reading)
        spread = clustered_sd(values, clusters, derive_rng(SEED, task, name))
        yield spread.estimate(f"{name}_sd", where, unit=unit)


def _tokens(changes: Sequence[Change], where: Mapping[str, Level]) -> Estimate:
    return _mean(
        changes, lambda c: c.after.number - c.before.number, "token_change", where, "tokens"
    )


def _mean(
    changes: Sequence[Change],
    reading: Reading,
    name: str,
    where: Mapping[str, Level],
    unit: str = "energy",
) -> Estimate:
    values, clusters = _values(changes, reading)
    return measured_mean(values, clusters).estimate(name, where, signed=True, unit=unit)


def _correlations(
    changes: Sequence[Change], where: Mapping[str, Level], task: str
) -> Iterator[Estimate]:
    same = [change for change in changes if change.changed is False]
    for name, part, other, place in (
        ("energy_drift_correlation", changes, lambda change: change.l2, where),
        ("energy_anchor_correlation", same, _anchor, {**where, "flipped": False}),
    ):
        known = [(c, value) for c in part if (value := other(c)) is not None]
        r = clustered_pearson(
            [_energy(change) for change, _ in known],
            [value for _, value in known],
            Clusters.of(change.clean.cluster for change, _ in known),
            derive_rng(SEED, task, name),
        )
        yield r.estimate(name, place, signed=True, unit="r")


def _values(changes: Sequence[Change], reading: Reading) -> tuple[list[float], Clusters]:
    known = [(change, value) for change in changes if (value := reading(change)) is not None]
    clusters = Clusters.of(change.clean.cluster for change, _ in known)
    return [value for _, value in known], clusters
