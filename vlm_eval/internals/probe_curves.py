"""From the held-out predictions of probes to estimates along the layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import Level
from vlm_eval.internals.probe_data import Indices, Target
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.multiplicity import holm
from vlm_eval.stats.paired import SEED, paired_mean
from vlm_eval.stats.permutation import sign_flip
from vlm_eval.stats.results import Estimate

Floats = NDArray[np.float64]
GOLD, PRIOR, ACCURACY, TOP_PRIOR = "p_gold", "p_prior", "accuracy", "top1_prior"
CONTROL, SELECTIVITY, LOST = "control_accuracy", "selectivity", "seen_then_lost"
MEASURES = GOLD, PRIOR, ACCURACY, TOP_PRIOR, CONTROL


@dataclass(frozen=True, eq=False)
class Curve:
    """What the probes of one kind, at one site, say of one target along the layers.

    Attributes
    ----------
    where
        Which: label, site, probe.
    layers
        The axis.
    rows
        The rows that were evaluated, shape (rows,).
    values
        By measure, for each seed and layer the value of each row, shape (seeds, layers, rows); NaN
        where the seed did not hold the row out.
    """

    where: Mapping[str, Level]
    layers: tuple[int, ...]
    rows: Indices
    values: Mapping[str, Floats]

    def of_rows(self, measure: str) -> Floats:
        """Return the mean over the seeds that held a row out, shape (layers, rows)."""
        return _known_mean(self.values[measure], 0)

    def of_seeds(self, measure: str) -> Floats:
        """Return the mean over the rows that each seed held out, shape (seeds, layers)."""
        return _known_mean(self.values[measure], 2)


def _known_mean(values: Floats, axis: int) -> Floats:
    """Return the mean of what is known, NaN where nothing is."""
    count = (~np.isnan(values)).sum(axis)
    unknown = np.full(count.shape, np.nan)
    found: Floats = np.divide(np.nansum(values, axis), count, out=unknown, where=count > 0)
    return found


def make_curve(
    where: Mapping[str, Level],
    layers: tuple[int, ...],
    found: Mapping[tuple[int, int], tuple[Indices, Mapping[str, Sequence[float]]]],
    seeds: int,
) -> Curve:
    """Put together what each seed and layer gave: the rows, and by measure the value of each."""
    rows = np.unique(np.concatenate([rows for rows, _ in found.values()]))
    names = [name for name in MEASURES if all(name in each for _, each in found.values())]
    values = {name: np.full((seeds, len(layers), len(rows)), np.nan) for name in names}
    for (seed, layer), (held_out, measured) in found.items():
        at = np.searchsorted(rows, held_out)
        for name in names:
            values[name][seed, layers.index(layer), at] = measured[name]
    return Curve(where, layers, rows, values)


def estimates(curve: Curve, groups: Sequence[str], chance: float | None) -> Iterator[Estimate]:
    """Yield each measure at each layer, and the selectivity: means over rows, clustered by group.

    Parameters
    ----------
    curve
        What was found.
    groups
        The group of each row of the study.
    chance
        Expected accuracy without the states.
    """
    clusters = Clusters.of(groups[row] for row in curve.rows)
    for name in curve.values:
        for layer, values in zip(curve.layers, curve.of_rows(name), strict=True):
            found = clustered_mean(values, clusters)
            yield _estimate(name, curve, layer, found, chance)
    if CONTROL in curve.values:
        pairs = zip(curve.of_rows(CONTROL), curve.of_rows(ACCURACY), strict=True)
        for layer, (control, accuracy) in zip(curve.layers, pairs, strict=True):
            yield _estimate(
                SELECTIVITY, curve, layer, paired_mean(control, accuracy, clusters), None
            )


def _estimate(name: str, curve: Curve, layer: int, mean: Mean, chance: float | None) -> Estimate:
    return Estimate(
        name=name,
        where={**curve.where, "layer": layer},
        **vars(_bounded(mean, name)),
        lower_is_better=name in (PRIOR, TOP_PRIOR),
        signed=name == SELECTIVITY,
        chance=chance if name in (ACCURACY, CONTROL) else None,
    )


def _bounded(mean: Mean, name: str) -> Mean:
    """Return a mean whose interval does not leave what the measure can be."""
    if mean.low is None or mean.high is None:
        return mean
    low, high = max(mean.low, -1.0 if name == SELECTIVITY else 0.0), min(mean.high, 1.0)
    return Mean(mean.value, mean.se, low, high, mean.method, mean.n, mean.clusters)


def p_values(curve: Curve, groups: Sequence[str], task: str) -> list[float | None]:
    """Return for each layer the p of a selectivity of zero, Holm-adjusted over the layers.

    By sign flips of the groups' differences between accuracy and control accuracy.
    """
    clusters = Clusters.of(groups[row] for row in curve.rows)
    found = []
    for layer, difference in zip(
        curve.layers, curve.of_rows(ACCURACY) - curve.of_rows(CONTROL), strict=True
    ):
        names = (f"{key}={value}" for key, value in curve.where.items())
        rng = derive_rng(SEED, task, "probe", *names, layer)
        found.append(sign_flip(difference, clusters, rng).p)
    known = iter(holm([p for p in found if p is not None]))
    return [None if p is None else next(known) for p in found]


def crossover(layers: Sequence[int], gold: Floats, prior: Floats) -> int | None:
    """Return the first layer of the second half where the prior is likelier, None if none is.

    The first l >= L / 2 with p(prior) > p(gold), L the last layer (spec A4). The mean
    probabilities have shape (layers,).
    """
    for layer, right, biased in zip(layers, gold, prior, strict=True):
        if layer >= max(layers) / 2 and biased > right:
            return layer
    return None


def seen_then_lost(curve: Curve, target: Target, groups: Sequence[str]) -> Estimate:
    """Return the share of rows whose right answer a probe names at some layer, and which get lost.

    Lost: the model's own answer is the prior's. Mean over rows of the mean over seeds.
    """
    assert target.priors is not None
    accuracy = curve.values[ACCURACY]
    held_out = ~np.isnan(accuracy[:, 0])
    seen = np.nan_to_num(accuracy).max(axis=1)
    lost = target.answers[curve.rows] == target.priors[curve.rows]
    share = np.where(held_out, seen, 0.0).sum(0) / held_out.sum(0) * lost
    clusters = Clusters.of(groups[row] for row in curve.rows)
    found = _bounded(clustered_mean(share, clusters), LOST)
    return found.estimate(LOST, curve.where, lower_is_better=True)


def spread(curve: Curve) -> dict[str, Any]:
    """Return, by measure, the standard deviation over seeds at each layer; {} with one seed."""
    if next(iter(curve.values.values())).shape[0] < 2:
        return {}
    return {
        name: [round(float(sd), 6) for sd in curve.of_seeds(name).std(axis=0, ddof=1)]
        for name in curve.values
    }
