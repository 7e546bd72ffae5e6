"""What the metrics of captured states share: vectors of trials, and how far from the clean ones.

With u the vector of a sample's clean trial at one site and layer, and v that of a perturbed trial::

    cosine   cos(u, v) = u·v / (|u| |v|)
    drift    d(u, v) = 1 - cos(u, v)          in [0, 2]
    l2       |u - v|

("Same Answer, Different Representations", arXiv 2602.06652, and its code.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured, Site
from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.checks import check_trials
from vlm_eval.metrics.pairing import answer_for
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.stability_instances import Families, clean_level, family_levels, family_places
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.stats.clusters import Clusters

Vector = NDArray[np.float32]
EQUAL = 2e-6
"""Vectors that differ by less than this share of their length differ by rounding."""


@dataclass(frozen=True)
class Subject:
    """One sample under otherwise equal conditions: its clean trial, and the others by level."""

    clean: TableRow
    others: Mapping[Level, TableRow]


class Shift(NamedTuple):
    """How far a perturbed trial's vector lies from the clean one.

    Attributes
    ----------
    clean, row
        The two trials.
    level
        The level of the perturbed one.
    drift, l2
        1 - cosine in [0, 2], and Euclidean distance.
    changed
        Whether the answer is another one; None if either trial has none.
    """

    clean: TableRow
    row: TableRow
    level: Level
    drift: float
    l2: float
    changed: bool | None


@configurable
class Representation:
    """The options that metrics of captured states share.

    Attributes
    ----------
    families
        Families by name: each one level, a pattern of levels (``translate_*``), or several.
    factor
        The factor of perturbations. Levels of other factors are never pooled.
    clean
        Its level without perturbation; the first if None.
    site
        Where the states were taken, one or several sites.
    layer
        The label of the layer, ``norm`` or an index; None for the last that was captured.
    score
        Whose answers tell whether the answer changed: ``accuracy``, ``accuracy_NAME``.
    by
        Factors or fields to break the results down by.
    """

    families: Families
    factor: str = "perturbation"
    clean: Level | None = None
    site: Site | tuple[Site, ...] = "prompt_last"
    layer: str | int | None = None
    score: str = "accuracy"
    by: By = ()

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites, one or several."""
        return (self.site,) if isinstance(self.site, str) else self.site

    def parts(self, table: Table) -> Iterator[tuple[dict[str, Level], Part]]:
        """Check the options, then yield the parts of a table that results are computed on."""
        clean = clean_level(table, self.factor, self.clean)
        families = family_levels(table, self.factor, clean, self.families)
        check_trials(table, self.score)
        controls = (table.controls or {}).get(self.factor, ())
        for where, part in settings(table, self.factor, self.by):
            found = subjects(part, self.factor, clean)
            yield where, Part(part, found, families, controls, self.score)

    def place(self, site: Site) -> dict[str, Level]:
        """Return what tells results of a site and layer from those of others."""
        return {"site": site} if self.layer is None else {"site": site, "layer": self.layer}


@dataclass(frozen=True)
class Part:
    """The samples of a table that differ in nothing but the perturbation.

    Attributes
    ----------
    table
        Their trials.
    subjects
        The samples with a clean trial, in the order of the table.
    families, controls
        The levels of each family, and those that should change nothing.
    score
        The score whose parser's answers are meant.
    """

    table: Table
    subjects: Sequence[Subject]
    families: Mapping[str, tuple[Level, ...]]
    controls: tuple[Level, ...]
    score: str

    @property
    def places(self) -> Iterator[tuple[tuple[Level, ...], dict[str, Level]]]:
        """The levels of each family, and then of all of them, each with its place in results."""
        every = tuple(level for levels in self.families.values() for level in levels)
        for family, place in family_places(self.families):
            yield every if family is None else self.families[family], place

    def vector(self, row: TableRow, site: Site, layer: str | int | None) -> Vector | None:
        """Return the vector of a trial, None if it was not captured."""
        captured = None if self.table.states is None else self.table.states.of(row)
        return None if captured is None else vector(captured, row, site, layer, self.table.task)

    def has(self, row: TableRow, site: Site) -> bool:
        """Return whether a site of a trial was captured."""
        captured = None if self.table.states is None else self.table.states.of(row)
        return captured is not None and site in captured.arrays

    def changed(self, clean: TableRow, row: TableRow) -> bool | None:
        """Return whether the answer changed, None if either trial has none."""
        before, after = (None if r.failed else answer_for(r, self.score) for r in (clean, row))
        return None if before is None or after is None else before != after

    def measure(self, site: Site, layer: str | int | None) -> Measured:
        """Return the vectors of the clean trials, and how far the perturbed ones lie from them."""
        levels = (*self.controls, *(x for family in self.families.values() for x in family))
        clean: dict[str, tuple[TableRow, Vector]] = {}
        shifts: list[Shift] = []
        for subject in self.subjects:
            origin = self.vector(subject.clean, site, layer)
            if origin is None:
                continue
            clean[subject.clean.sample_id] = subject.clean, origin
            for level in levels:
                row = subject.others.get(level)
                moved = None if row is None else self.vector(row, site, layer)
                if row is not None and moved is not None:
                    shifts += self._shift(subject.clean, row, level, origin, moved)
        return Measured(clean, shifts)

    def _shift(
        self, clean: TableRow, row: TableRow, level: Level, origin: Vector, moved: Vector
    ) -> list[Shift]:
        """Return one shift; none where a vector has no direction."""
        found = distances(origin, moved)
        if found is None:
            return []
        return [Shift(clean, row, level, *found, self.changed(clean, row))]


@dataclass(frozen=True)
class Measured:
    """What was measured at one site.

    Attributes
    ----------
    clean
        Each sample's clean trial and its vector, by sample id.
    shifts
        All perturbed trials, those of controls included.
    """

    clean: Mapping[str, tuple[TableRow, Vector]]
    shifts: Sequence[Shift]


def settings(table: Table, factor: str, by: By) -> Iterator[tuple[dict[str, Level], Table]]:
    """Yield the table at each setting of the other factors, and its slices.

    What is measured under two prompts, say, is never pooled.
    """
    others = tuple(
        name for name, levels in table.factors.items() if name != factor and len(levels) > 1
    )
    for setting, part in slices(table, (others,) if others and table.rows else ()):
        if not table.rows or all(name in setting for name in others):
            for where, piece in slices(part, by):
                yield {**setting, **where}, piece


def subjects(table: Table, factor: str, clean: Level) -> list[Subject]:
    """Return the samples that have a clean trial, whatever it was answered."""
    rows: dict[tuple[str, str], dict[Level, TableRow]] = {}
    for row in table.rows:
        rest = {name: level for name, level in row.condition.items() if name != factor}
        rows.setdefault((row.sample_id, condition_key(rest)), {})[row.condition[factor]] = row
    return [Subject(trials[clean], trials) for trials in rows.values() if clean in trials]


def vector(
    captured: Captured, row: TableRow, site: Site, layer: str | int | None, task: str
) -> Vector | None:
    """Return one vector of what was captured of a trial, shape (width,).

    None if it has none, or one that is not finite.

    Where the answer sites of all options were kept it is that of the best one, the first of equals.

    Raises
    ------
    TaskError
        If the layer was not captured.
    """
    found = captured.arrays.get(site)
    if found is None:
        return None
    label = captured.layers[-1] if layer is None else str(layer)
    if label not in captured.layers:
        raise TaskError(
            f"a metric asks for the layer {label!r}, which was not captured",
            where=task,
            hint=did_you_mean(label, captured.layers),
        )
    if found.ndim == 3:
        found = found[int(np.argmax(row.logprobs or (0.0,)))]
    chosen: Vector = found[captured.layers.index(label)]
    return chosen if np.isfinite(chosen).all() else None


def distances(one: NDArray[np.floating], other: NDArray[np.floating]) -> tuple[float, float] | None:
    """Return drift 1 - cos(u, v), in [0, 2], and Euclidean distance.

    The drift is computed as half the squared distance of the two unit vectors, which loses no
    digits for near ones. Vectors whose distance is at most `EQUAL` of their length count as equal,
    both numbers 0: a model in float32 gives no more digits, in another batch it rounds otherwise.

    Returns
    -------
    tuple or None
        None if a vector is zero or not finite: it has no direction.
    """
    u, v = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    lengths = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    if not all(0 < length < np.inf for length in lengths):
        return None
    apart = float(np.linalg.norm(u - v))
    if apart <= EQUAL * min(lengths):
        return 0.0, 0.0
    gap = u / lengths[0] - v / lengths[1]
    return float(gap @ gap) / 2, apart


def drift_of(one: NDArray[np.floating], other: NDArray[np.floating]) -> float | None:
    """Return the first of :func:`distances` alone."""
    found = distances(one, other)
    return None if found is None else found[0]


def clusters_of(shifts: Sequence[Shift]) -> Clusters:
    """Return the clusters of the samples that were perturbed."""
    return Clusters.of(shift.clean.cluster for shift in shifts)
