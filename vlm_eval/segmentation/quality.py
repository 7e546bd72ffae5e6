"""From the confusion matrices of single images to mIoU with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import Level
from vlm_eval.data.cityscapes.labels import CLASSES
from vlm_eval.segmentation.confusion import (
    Counts,
    FloatArray,
    class_iou,
    mean_iou,
    sufficient,
)
from vlm_eval.stats.bootstrap import RESAMPLES, Bootstrap, cluster_bootstrap
from vlm_eval.stats.results import Estimate

SCHEMA = 1
MIOU, DIFFERENCE, RPC = "miou", "miou_difference", "rpc"


@dataclass(frozen=True)
class Frame:
    """One image under one level, evaluated."""

    name: str
    cluster: str
    counts: Counts


@dataclass(frozen=True)
class Quality:
    """How well a segmentation model does under each level of a factor.

    Attributes
    ----------
    segmenter
        What to call the model.
    factor
        The factor; its levels are in ``estimates``, each under ``where``.
    estimates
        For each level ``miou`` and, but for the first, ``miou_difference``: level minus baseline,
        over the images that both have. Once, under no level, ``rpc``: relative performance under
        corruption, mean mIoU of the other levels over that of the first (Michaelis et al. 2019,
        arXiv 1907.07484), on the images that all levels with images have. Values are in [0, 1],
        but for ``rpc``, which may exceed 1.
    class_iou
        By level and class, in [0, 1]; None for a class that is neither there nor predicted.
    provenance
        What was evaluated on what: task, data, seed, the model's description; JSON-able.
    """

    segmenter: str
    factor: str
    estimates: tuple[Estimate, ...]
    class_iou: Mapping[str, Mapping[str, float | None]]
    provenance: Mapping[str, Any]

    def values(self, name: str = MIOU) -> dict[str, float | None]:
        """Return one number of each level, by the level's name."""
        found = (estimate for estimate in self.estimates if estimate.name == name)
        return {str(estimate.where[self.factor]): estimate.value for estimate in found}

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str) -> Quality:
        """Rebuild from the content of the file. Raises DataError if it is another's."""
        if content.get("schema") != SCHEMA or "class_iou" not in content:
            raise DataError(
                "is no file of segmentation quality that this version reads",
                where=where,
                hint="write one with `vlm_eval segment`, or give a CSV with condition,miou",
            )
        kept = {key: value for key, value in content.items() if key != "schema"}
        estimates = tuple(Estimate(**estimate) for estimate in content["estimates"])
        return cls(**{**kept, "estimates": estimates})


def summarise(
    segmenter: str,
    factor: str,
    frames: Mapping[Level, Iterable[Frame]],
    provenance: Mapping[str, Any],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Quality:
    """Compute mIoU under each level, and its difference to the first level, paired by image.

    mIoU is that of *one* confusion matrix over all images, so its interval is a bootstrap over
    clusters of images: whole matrices are drawn and added, and for a difference those of both
    levels of one draw. Percentile intervals, 95 %.

    Parameters
    ----------
    segmenter, factor, provenance
        As in `Quality`.
    frames
        By level, the baseline first; a level without frames has no mIoU.
    seed, resamples
        Of the bootstrap.

    Raises
    ------
    DataError
        If a level holds a frame twice.
    """
    tables = {level: by_name(level, found) for level, found in frames.items()}
    baseline = next(iter(tables), None)
    estimates: list[Estimate] = []
    for level, table in tables.items():
        rng = derive_rng(seed, segmenter, factor, str(level), "segmentation")
        pairs = [(table[name],) for name in table]
        estimates.append(_estimate(MIOU, {factor: level}, pairs, rng, resamples))
        if level != baseline and baseline is not None:
            clean = tables[baseline]
            both = [(clean[name], table[name]) for name in table if name in clean]
            estimates.append(_estimate(DIFFERENCE, {factor: level}, both, rng, resamples))
    several = [table for table in tables.values() if table]
    if baseline is not None and len(several) > 1 and tables[baseline]:
        rng = derive_rng(seed, segmenter, factor, RPC, "segmentation")
        shared = set.intersection(*(set(table) for table in several))
        groups = [tuple(table[name] for table in several) for name in sorted(shared)]
        estimates.append(_estimate(RPC, {}, groups, rng, resamples))
    classes = {str(level): _class_iou(table) for level, table in tables.items()}
    return Quality(segmenter, factor, tuple(estimates), classes, provenance)


def by_name(level: Level, frames: Iterable[Frame]) -> dict[str, Frame]:
    """Return the frames of a level by name, sorted. Raises DataError if one is there twice."""
    table: dict[str, Frame] = {}
    for frame in frames:
        if frame.name in table:
            raise DataError(f"frame {frame.name} is there twice under {level}")
        table[frame.name] = frame
    return dict(sorted(table.items()))


def _estimate(
    name: str,
    where: Mapping[str, Level],
    frames: Sequence[tuple[Frame, ...]],
    rng: np.random.Generator,
    resamples: int,
) -> Estimate:
    """Return mIoU, a difference or ``rpc`` over images, each with its frames under the levels."""
    totals = _cluster_totals(frames)
    value, spread = None, Bootstrap(None, None, None)
    if len(totals):
        value = _finite(_statistic(name, totals.sum(0)))
        spread = cluster_bootstrap(totals, partial(_statistic, name), rng, resamples)
    return Estimate(
        name=name,
        where=dict(where),
        value=value,
        se=spread.se,
        low=spread.low,
        high=spread.high,
        n=len(frames),
        clusters=len(totals),
        method="none" if spread.low is None else "cluster_bootstrap",
        signed=name == DIFFERENCE,
    )


def _cluster_totals(frames: Sequence[tuple[Frame, ...]]) -> FloatArray:
    """Return `sufficient` totals of each cluster, those of the second frames behind the first."""
    sums: dict[str, FloatArray] = {}
    for group in frames:
        totals = np.concatenate([sufficient(frame.counts) for frame in group])
        cluster = group[0].cluster
        sums[cluster] = sums[cluster] + totals if cluster in sums else totals
    return np.array([sums[cluster] for cluster in sorted(sums)])


def _statistic(name: str, totals: FloatArray) -> FloatArray:
    """Return what `name` is, from totals (..., 57 · levels), the first level before the others."""
    levels = totals.shape[-1] // (3 * len(CLASSES))
    first, *others = (mean_iou(part) for part in np.split(totals, levels, axis=-1))
    if name == MIOU:
        return first
    if name == DIFFERENCE:
        return others[0] - first
    mean: FloatArray = np.mean(others, axis=0)
    kept: FloatArray = np.divide(mean, first, out=np.full(mean.shape, np.nan), where=first > 0)
    return kept


def _class_iou(table: Mapping[str, Frame]) -> dict[str, float | None]:
    counts = sum(
        (frame.counts for frame in table.values()),
        np.zeros((len(CLASSES), len(CLASSES) + 1), np.int64),
    )
    iou = class_iou(sufficient(counts))
    return {name: _finite(value) for name, value in zip(CLASSES, iou, strict=True)}


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
