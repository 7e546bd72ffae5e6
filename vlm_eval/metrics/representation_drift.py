r"""How far perturbations move a representation, against how far apart unrelated samples are.

With d_i the mean drift of sample i over the instances of a family, c_i its control drift, μ the
mean of c over samples, and sample variances v with n - 1 ("Same Answer, Different Representations",
arXiv 2602.06652, and its code)::

    drift of control   mean_i and sd_i of d_i / μ
    Cohen's d          (mean d - mean c) / sqrt(((n1 - 1) v1 + (n2 - 1) v2) / (n1 + n2 - 2))

Everything is repeated over the instances whose answer stayed the same, the claim of the title.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_field
from vlm_eval.metrics.representation import Measured, Part, Representation
from vlm_eval.metrics.representation_controls import Control, control_drifts
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.mean import Mean, measured_mean
from vlm_eval.stats.moments import Moments, cohens_d, resampled, rows_of
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

PLAIN, AGAINST = ("drift_sd",), ("drift_of_control", "drift_of_control_sd", "drift_effect")
_UNITS = {"drift_effect": "d", "drift_l2": "L2"}
SAME: dict[str, Level] = {"flipped": False}
"""The place of results over instances whose answer stayed the same."""


@configurable
class Drift(Representation):
    """Drift d = 1 - cos by family and over all, and against control drift.

    ``control_drift``, ``control_drift_sd``
        Mean and standard deviation of c_i over samples, for each control.
    ``drift``, ``drift_sd``, ``drift_l2``
        Mean and standard deviation of d_i over samples; the mean of the L2 distance, likewise.
    ``drift_of_control``, ``drift_of_control_sd``, ``drift_effect``
        Against each control: d_i as a share of its mean, and Cohen's d, negative where samples are
        moved less than they are apart.

    Those of a family come once more with ``flipped`` false in their place: over instances with the
    same answer as the clean image. Levels that the task calls controls come as ``drift``.

    Options: those of every metric of captured states (docs/internals/representation.md), and these.

    Attributes
    ----------
    controls
        ``unrelated`` (the paper's) and ``same_question_other_image``.
    pairs
        K, how many other samples a sample is compared with. Published.
    question
        The field that holds what is asked, equal for samples that ask the same.
    """

    controls: tuple[Control, ...] = ("unrelated", "same_question_other_image")
    pairs: Annotated[int, Field(ge=1)] = 5
    question: str = "question"

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; None where nothing was captured."""
        if "same_question_other_image" in self.controls:
            check_field(table, self.question)
        found: list[Result] = []
        for where, part in self.parts(table):
            for site in self.sites:
                measured = part.measure(site, self.layer)
                controls = {
                    control: control_drifts(
                        measured.clean, control,
                        pairs=self.pairs, question=self.question, task=table.task,
                    )
                    for control in self.controls
                }  # fmt: skip
                at = {**where, **self.place(site)}
                found += _results(part, measured, controls, at, self.factor)
        return found


def _results(
    part: Part,
    measured: Measured,
    controls: Mapping[Control, Mapping[str, float]],
    where: Mapping[str, Level],
    factor: str,
) -> Iterator[Estimate]:
    shifts = measured.shifts
    owners = {sample: row.cluster for sample, (row, _) in measured.clean.items()}
    sample = Samples(owners, controls)
    series: list[tuple[Mapping[str, Level], Mapping[str, float]]] = []
    for levels, place in part.places:
        inside = [s for s in shifts if s.level in levels]
        same = [s for s in inside if s.changed is False]
        for chosen, also in ((inside, {}), (same, SAME)):
            at = {**where, **place, **also}
            drifts = _by_sample([(s.clean.sample_id, s.drift) for s in chosen])
            lengths = _by_sample([(s.clean.sample_id, s.l2) for s in chosen])
            yield sample.mean(drifts, "drift", at)
            yield sample.mean(lengths, "drift_l2", at)
            series.append((at, drifts))
    for level in part.controls:
        still = _by_sample([(s.clean.sample_id, s.drift) for s in shifts if s.level == level])
        yield sample.mean(still, "drift", {**where, factor: level})
    for control, apart in controls.items():
        yield sample.mean(apart, "control_drift", {**where, "control": control})
    yield from sample.spreads(series, where, part.table.task)


def _by_sample(values: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the mean of each sample's values."""
    found: dict[str, list[float]] = {}
    for name, value in values:
        found.setdefault(name, []).append(value)
    return {name: float(np.mean(several)) for name, several in found.items()}


@dataclass(frozen=True)
class Samples:
    """The captured samples, by id with their cluster, and their control drifts."""

    owners: Mapping[str, str]
    controls: Mapping[Control, Mapping[str, float]]

    def mean(self, values: Mapping[str, float], name: str, where: Mapping[str, Level]) -> Estimate:
        """Return the mean over samples."""
        clusters = Clusters.of(self.owners[sample] for sample in values)
        mean = measured_mean(list(values.values()), clusters)
        return mean.estimate(name, where, lower_is_better=True, unit=_UNITS.get(name, ""))

    def spreads(
        self,
        series: Sequence[tuple[Mapping[str, Level], Mapping[str, float]]],
        where: Mapping[str, Level],
        task: str,
    ) -> Iterator[Estimate]:
        """Yield what is no mean, all from the same resamples of clusters."""
        clusters = Clusters.of(self.owners.values())
        every: list[Mapping[str, float]] = [*self.controls.values(), *(v for _, v in series)]
        columns = [rows_of([values.get(sample) for sample in self.owners]) for values in every]
        totals = clusters.sums(np.hstack(columns))
        many = len(self.controls)

        def statistics(sums: FloatArray) -> FloatArray:
            moments = [Moments(*sums[:, i : i + 3].T) for i in range(0, sums.shape[1], 3)]
            references, moved = moments[:many], moments[many:]
            found = [reference.sd for reference in references]
            for one in moved:
                found.append(one.sd)
                for reference in references:
                    found += _against(one, reference)
            return np.stack(found, axis=1)

        labels = [("control_drift_sd", {**where, "control": c}) for c in self.controls]
        sizes = [self._size(values) for values in self.controls.values()]
        for place, values in series:
            labels.append((PLAIN[0], dict(place)))
            labels += [(n, {**place, "control": c}) for c in self.controls for n in AGAINST]
            sizes.append(self._size(values))
            for reference in self.controls.values():
                sizes += [self._size(values if reference else {})] * len(AGAINST)
        rng = derive_rng(SEED, task, "drift", "bootstrap")
        means = resampled(totals, statistics, rng, sizes)
        for (name, place), mean in zip(labels, means, strict=True):
            yield _estimate(name, place, mean)

    def _size(self, values: Mapping[str, float]) -> tuple[int, int]:
        return len(values), len({self.owners[sample] for sample in values})


def _against(one: Moments, reference: Moments) -> list[FloatArray]:
    """Return the results named `AGAINST`."""
    level = np.where(reference.mean > 0, reference.mean, np.nan)
    return [one.mean / level, one.sd / level, cohens_d(one, reference)]


def _estimate(name: str, where: Mapping[str, Level], mean: Mean) -> Estimate:
    signed = name == "drift_effect"
    return mean.estimate(
        name, where, lower_is_better=True, signed=signed, unit=_UNITS.get(name, "")
    )
