"""Confusion matrices of label maps, and the official Cityscapes IoU over them.

Label maps hold *train ids*: 0 to 18 for the classes, 255 for what is not evaluated. The score is
that of the official script: one matrix over all images; of each class, IoU = TP / (TP + FP + FN);
pixels whose *ground truth* is not evaluated are left out altogether; a pixel whose *prediction* is
no class is missed (FN) by its true class and false for none; a class that is neither there nor
predicted has no IoU and is left out of the mean.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes import labels

CLASSES = len(labels.CLASSES)

Counts: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]


def confusion(truth: NDArray[Any], prediction: NDArray[Any], *, where: str = "") -> Counts:
    """Count the pixels of one image by true and predicted class.

    Parameters
    ----------
    truth, prediction
        Train ids, 0 to 18 or 255, of equal shape (height, width).
    where
        What to call the image in messages.

    Returns
    -------
    Counts
        Shape (19, 20): row is the true class, column the predicted one, the last column pixels
        predicted as no class. Pixels with true label 255 are not counted.

    Raises
    ------
    DataError
        If the shapes differ, or a value is no train id.
    """
    if truth.shape != prediction.shape:
        raise DataError(
            f"the prediction is {_size(prediction)} pixels, the ground truth {_size(truth)}",
            where=where or None,
            hint="predict at the resolution of the ground truth",
        )
    _check(truth, "ground truth", where)
    _check(prediction, "prediction", where)
    counted = truth != labels.IGNORED
    rows = truth[counted].astype(np.int64)
    columns = np.minimum(prediction[counted], CLASSES).astype(np.int64)
    width = CLASSES + 1
    counts = np.bincount(rows * width + columns, minlength=CLASSES * width)
    return counts.reshape(CLASSES, width)


def _check(values: NDArray[Any], name: str, where: str) -> None:
    wrong = values[(values < 0) | (values >= CLASSES) & (values != labels.IGNORED)]
    if wrong.size:
        raise DataError(
            f"the {name} holds the value {wrong.flat[0]}, which is no train id",
            where=where or None,
            hint=f"train ids are 0 to {CLASSES - 1}, or {labels.IGNORED} where not evaluated",
        )


def _size(values: NDArray[Any]) -> str:
    return "x".join(map(str, values.shape[::-1]))


def sufficient(counts: NDArray[Any]) -> FloatArray:
    """Return what IoU needs of confusion matrices, so that sums over images stay cheap.

    From shape (..., 19, 20) to (..., 57): true positives, true pixels and predicted pixels of each
    class, each the sum over the matrices summed.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)[..., :CLASSES]
    parts = (hits, counts.sum(-1), counts[..., :CLASSES].sum(-2))
    return np.concatenate(parts, axis=-1).astype(np.float64)


def class_iou(totals: FloatArray) -> FloatArray:
    """Return the IoU of each class, in [0, 1] or NaN, from `sufficient` totals (..., 57)."""
    hits, true, predicted = np.split(totals, 3, axis=-1)
    union = true + predicted - hits
    iou: FloatArray = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
    return iou


def mean_iou(totals: FloatArray) -> FloatArray:
    """Return the mean IoU over classes that have one, in [0, 1]; NaN where none has.

    From `sufficient` totals of shape (..., 57) to (...).
    """
    iou = class_iou(totals)
    known = ~np.isnan(iou)
    count = known.sum(-1)
    total = np.where(known, iou, 0.0).sum(-1)
    mean: FloatArray = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean
