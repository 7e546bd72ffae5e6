"""``vlm_eval analyze spectrum``: what a perturbation does to the image's spectrum and the answer.

No model is needed: the images of the run's trials are made again and compared with the clean one of
their sample. With E_b the mean power in a band b of frequencies (:mod:`vlm_eval.data.frequency`)::

    dE_b          = E_b(perturbed) - E_b(clean)
    relative dE_b = dE_b / (|E_b(clean)| + 1e-8)

The perturbed image is resized bicubically to the size of the clean one first. Of trials whose
vision tokens were captured, dE_low, dE_high and dE_low / dE_high are correlated with the change of
the tokens' Dirichlet energy; and all three are asked how well they tell which answers flip.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from typing import Annotated, Any, TypeAlias

import numpy as np
from PIL import Image
from pydantic import Field

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level, condition_key
from vlm_eval.data.frequency import Scheme, band_energies
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.ledger import Ledger
from vlm_eval.metrics.stability_instances import (
    Families,
    Instance,
    clean_level,
    collect,
    family_levels,
)
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.stats.auroc import clustered_auroc
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, measured_mean
from vlm_eval.stats.moments import clustered_pearson
from vlm_eval.stats.results import Estimate
from vlm_eval.tasks.trials import Trial
from vlm_eval.transforms.quality import laplacian_variance, psnr, ssim

BANDS = ("low", "middle", "high")
MEASURES = ("low", "high", "low/high")
SITE = "vision_energy"
Name: TypeAlias = tuple[str, str]
"""Of a trial: its sample and its condition."""

_SAME = 1e-9  # relative difference of energies below which they are equal
_TINY = 1e-8  # the published guard against division by zero


@dataclass(frozen=True)
class Change:
    """One perturbed trial with what was measured of its images."""

    instance: Instance
    family: str
    measured: Mapping[str, Any]
    dirichlet: float | None

    def energy(self, band: str) -> float | None:
        """dE_b; None if the image is too small for the band."""
        before, after = (self.measured[side][BANDS.index(band)] for side in ("clean", "perturbed"))
        if before is None or after is None:
            return None
        # Shifted pixels have the same power up to rounding, whose ratios mean nothing.
        return 0.0 if math.isclose(before, after, rel_tol=_SAME) else after - before

    def relative(self, band: str) -> float | None:
        """The relative dE_b."""
        change, before = self.energy(band), self.measured["clean"][BANDS.index(band)]
        return None if change is None else change / (abs(before) + _TINY)

    def measure(self, name: str) -> float | None:
        """dE_low, dE_high, or dE_low / dE_high where there is such a ratio."""
        if name != "low/high":
            return self.energy(name)
        low, high = self.energy("low"), self.energy("high")
        return None if low is None or not high else low / high

    def sharpness(self) -> float | None:
        """Variance of the Laplacian over that of the clean image."""
        before, after = self.measured["sharpness"]
        return after / before if before else None


@configurable
class Spectrum:
    """Band energies of perturbed images against the clean one.

    Attributes
    ----------
    families
        Families of levels by name, as for the metric ``stability``; each level is one of its own if
        there are none.
    factor
        The factor of perturbations.
    clean
        Its level without perturbation; the first if None.
    score
        Whose answers count as flips: ``accuracy``, ``accuracy_literal``, ``accuracy_NAME``.
    scheme
        Edges of the three bands: ``log`` (**code**, its latest default), ``equal``, ``percentile``.
    samples
        At most this many samples, drawn by the run's seed; None for all. **Our default**.
    """

    families: Families = dataclasses.field(default_factory=dict)
    factor: str = "perturbation"
    clean: Level | None = None
    score: str = "accuracy"
    scheme: Scheme = "log"
    samples: Annotated[int, Field(ge=1)] | None = 100

    def __call__(self, study: Study) -> Findings:
        """Measure the images that have not been measured yet, and summarise.

        Raises
        ------
        TaskError
            If the factor, a level or a family is not the task's, or no trial shows an image.
        """
        pairs = self._pairs(study)
        with Ledger(study.folder / "ledger.jsonl", self.scheme) as ledger:
            self._measure(study, [instance for _, instance in pairs], ledger)
            changes = [
                Change(instance, family, ledger[key], _dirichlet(study, instance))
                for family, instance in pairs
                if (key := _key(instance.clean, instance.row)) in ledger
            ]
        if not changes:
            raise TaskError(
                "no perturbed trial shows an image beside a clean one",
                where=study.task.name,
                hint="spectrum needs a task that perturbs images",
            )
        return self._findings(study, changes, len(pairs) - len(changes))

    def _pairs(self, study: Study) -> list[tuple[str, Instance]]:
        """Return the perturbed trials of the drawn samples, with their families."""
        table = study.table
        clean = clean_level(table, self.factor, self.clean)
        families = family_levels(table, self.factor, clean, self.families or self._levels(table))
        units = collect(table, self.factor, clean, families, self.score)
        names = sorted({unit.clean.sample_id for unit in units.units})
        if self.samples is not None and len(names) > self.samples:
            drawn = derive_rng(study.seed, "spectrum", "samples").permutation(len(names))
            names = [names[i] for i in drawn[: self.samples]]
        kept = frozenset(names)
        return [
            (family, instance)
            for unit in units.units
            if unit.clean.sample_id in kept
            for family in families
            for instance in units.of(unit, family)
            if not instance.row.failed
        ]

    def _levels(self, table: Table) -> dict[str, str]:
        """Return each level that perturbs as a family."""
        none = {self.clean, *(table.controls or {}).get(self.factor, ())}
        levels = table.factors[self.factor][self.clean is None :]
        return {str(level): escape(str(level)) for level in levels if level not in none}

    def _measure(self, study: Study, pairs: Sequence[Instance], ledger: Ledger) -> None:
        left = [pair for pair in pairs if _key(pair.clean, pair.row) not in ledger]
        wanted = {_name(row) for pair in left for row in (pair.clean, pair.row)}
        if not left:
            return
        trials = study.trials(lambda row: _name(row) in wanted)
        shown = study.track(trials, len(wanted), "measuring images")
        by_sample = itertools.groupby(shown, key=lambda item: item[1].sample_id)
        of_sample: dict[str, list[Instance]] = {}
        for pair in left:
            of_sample.setdefault(pair.row.sample_id, []).append(pair)
        for name, items in by_sample:
            found = {_name(row): trial for trial, row in items}
            for _, group in itertools.groupby(of_sample[name], key=lambda pair: _name(pair.clean)):
                self._measure_unit(list(group), found, ledger)

    def _measure_unit(
        self, pairs: Sequence[Instance], trials: Mapping[Name, Trial], ledger: Ledger
    ) -> None:
        """Measure the instances of one clean trial, as far as they show as many images as it."""
        clean = trials.get(_name(pairs[0].clean))
        count = 0 if clean is None else len(clean.request.images)
        shown = [(pair, trials.get(_name(pair.row))) for pair in pairs]
        alike = [(p, trial) for p, trial in shown if trial and len(trial.request.images) == count]
        if clean is None or not count or not alike:
            return
        before = [reference.load() for reference in clean.request.images]
        energies = [band_energies(image, self.scheme) for image in before]
        for pair, trial in alike:
            after = [reference.load() for reference in trial.request.images]
            ledger[_key(pair.clean, pair.row)] = _measured(before, after, energies, self.scheme)

    def _findings(self, study: Study, changes: Sequence[Change], left_out: int) -> Findings:
        estimates = [e for part in _parts(changes) for e in _estimates(study, *part)]
        captured = sum(change.dirichlet is not None for change in changes)
        equal = sum(change.measured["psnr"] is None for change in changes)
        options: dict[str, Any] = dataclasses.asdict(self)
        return study.findings(
            "spectrum",
            options,
            estimates=tuple(estimates),
            panels=_PANELS,
            facts={
                "pairs of images": len(changes),
                "samples": len({change.instance.row.sample_id for change in changes}),
                "with captured vision tokens": captured,
                "unchanged or without PSNR": equal,
            },
            notes=tuple(_notes(captured, left_out)),
        )


_PANELS = (
    Panel(
        title="Change of the image's energy by band, over the clean image's",
        axis="family",
        names=("relative_energy_change",),
        where={"trials": "all"},
    ),
    Panel(
        title="The same where the answer flips",
        axis="family",
        names=("relative_energy_change",),
        where={"trials": "flips"},
    ),
    Panel(title="Structural similarity to the clean image", axis="family", names=("ssim",)),
    Panel(
        title="How well the change of energy tells which answers flip",
        axis="measure",
        names=("flip_auroc", "flip_auroc_of_size"),
        where={"family": "any"},
    ),
)


def _measured(
    before: Sequence[Image.Image],
    after: Sequence[Image.Image],
    energies: Sequence[np.ndarray[Any, Any]],
    scheme: Scheme,
) -> dict[str, Any]:
    """Return what is kept of a trial: means over its images."""
    sides: list[list[Any]] = []
    quality: dict[str, list[float | None]] = {"psnr": [], "ssim": []}
    for clean, perturbed, energy in zip(before, after, energies, strict=True):
        same = perturbed.convert("RGB")
        if same.size != clean.size:
            same = same.resize(clean.size, Image.Resampling.BICUBIC)
        sides.append([energy, band_energies(same, scheme)])
        quality["psnr"].append(psnr(same, clean))
        quality["ssim"].append(ssim(same, clean))
    clean_energy, energy_after = np.mean(np.array(sides, dtype=np.float64), axis=0)
    sharpness = [float(np.mean([laplacian_variance(i) for i in side])) for side in (before, after)]
    return {
        "clean": [_known(value) for value in clean_energy],
        "perturbed": [_known(value) for value in energy_after],
        "sharpness": sharpness,
        **{name: _mean_of(values) for name, values in quality.items()},
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _known(sum(known) / len(known)) if len(known) == len(values) else None


def _name(row: TableRow) -> Name:
    return row.sample_id, condition_key(row.condition)


def _key(clean: TableRow, row: TableRow) -> str:
    return f"{clean.request} {row.request}"


def _dirichlet(study: Study, pair: Instance) -> float | None:
    """Return the change of the Dirichlet energy of the one image's tokens, if it was captured."""
    found = []
    for row in (pair.row, pair.clean):
        captured = study.table.states.of(row) if study.table.states else None
        if captured is None or SITE not in captured.arrays:
            return None
        found.append(float(captured.arrays[SITE].ravel()[0]))
    return found[0] - found[1]


def _parts(changes: Sequence[Change]) -> Iterator[tuple[str, Sequence[Change]]]:
    """Yield all changes, as family ``any``, and then those of each family."""
    yield "any", changes
    for family in dict.fromkeys(change.family for change in changes):
        yield family, [change for change in changes if change.family == family]


def _estimates(study: Study, family: str, changes: Sequence[Change]) -> Iterator[Estimate]:
    place: dict[str, Level] = {"family": family}
    flips = [change for change in changes if change.instance.changed]
    for band in BANDS:
        for trials, part in (("all", changes), ("flips", flips)):
            where = {**place, "band": band, "trials": trials}
            energy = _average(part, [c.energy(band) for c in part])
            yield energy.estimate("energy_change", where, signed=True, unit="power")
            relative = _average(part, [c.relative(band) for c in part])
            yield relative.estimate("relative_energy_change", where, signed=True)
    for name, unit in (("psnr", "dB"), ("ssim", "of 1")):
        quality = _average(changes, [c.measured[name] for c in changes])
        yield quality.estimate(name, place, unit=unit)
    sharp = _average(changes, [c.sharpness() for c in changes])
    yield sharp.estimate("laplacian_variance", place, unit="of clean")
    for name in MEASURES:
        where = {**place, "measure": name}
        rng = derive_rng(study.seed, "spectrum", family, name)
        yield _correlation(changes, name, rng).estimate(
            "dirichlet_correlation", where, signed=True, unit="r"
        )
        for size, title in ((False, "flip_auroc"), (True, "flip_auroc_of_size")):
            mean = _auroc(changes, name, rng, size=size)
            yield dataclasses.replace(mean.estimate(title, where), chance=0.5)


def _average(changes: Sequence[Change], values: Sequence[float | None]) -> Mean:
    known = [
        (value, change.instance.clean.cluster)
        for change, value in zip(changes, values, strict=True)
        if value is not None
    ]
    return measured_mean([value for value, _ in known], Clusters.of(name for _, name in known))


def _correlation(changes: Sequence[Change], name: str, rng: np.random.Generator) -> Mean:
    known = [
        (value, change.dirichlet, change.instance.clean.cluster)
        for change in changes
        if (value := change.measure(name)) is not None and change.dirichlet is not None
    ]
    clusters = Clusters.of(cluster for *_, cluster in known)
    return clustered_pearson([x for x, *_ in known], [y for _, y, _ in known], clusters, rng)


def _auroc(changes: Sequence[Change], name: str, rng: np.random.Generator, *, size: bool) -> Mean:
    known = [
        (abs(value) if size else value, change.instance)
        for change in changes
        if (value := change.measure(name)) is not None and change.instance.after is not None
    ]
    clusters = Clusters.of(instance.clean.cluster for _, instance in known)
    flips = [instance.changed for _, instance in known]
    return clustered_auroc([value for value, _ in known], flips, clusters, rng)


def _notes(captured: int, left_out: int) -> Iterator[str]:
    yield (
        "band energies are means of power, and the low band holds the mean of the image, which "
        "outweighs all else in it"
    )
    if not captured:
        yield (
            "no vision tokens were captured, so there is no correlation with their Dirichlet "
            "energy: the task needs `capture: {sites: [vision_grid]}`"
        )
    if left_out:
        yield f"{left_out:,} perturbed trials show no image, or could not be rendered again"
