"""Evaluating a segmentation model, or its predictions on disk, on the images of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from PIL import Image

from vlm_eval.core.types import Level
from vlm_eval.data.cityscapes.labels import LabelMap
from vlm_eval.segmentation.confusion import confusion
from vlm_eval.segmentation.predictions import Predictions
from vlm_eval.segmentation.quality import Frame
from vlm_eval.segmentation.views import View


class Segmenter(Protocol):
    """A segmentation model."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return JSON-able provenance."""
        ...

    def segment(self, image: Image.Image) -> LabelMap:
        """Return train ids for every pixel, shape (height, width); 255 is "no class"."""
        ...


def predict(segmenter: Segmenter) -> Callable[[View], LabelMap]:
    """Return what a model predicts of a view."""
    return lambda view: segmenter.segment(view.image.load())


def read(predictions: Predictions) -> Callable[[View], LabelMap]:
    """Return what is on disk for a view."""
    return lambda view: predictions.label_map(view.frame, view.level)


def measure(
    views: Iterable[View],
    predicted: Callable[[View], LabelMap],
    advance: Callable[[], None] = lambda: None,
) -> dict[Level, list[Frame]]:
    """Return the confusion matrix of each view, by level.

    Parameters
    ----------
    views
        What to evaluate. The ground truth of a frame is read once while its views follow each
        other.
    predicted
        From a view to train ids of the size of its ground truth.
    advance
        Called after each view.

    Raises
    ------
    DataError
        If an image, a ground truth or a prediction cannot be read, or their sizes differ.
    """
    found: dict[Level, list[Frame]] = {}
    frame, truth = "", None
    for view in views:
        if truth is None or view.frame != frame:
            frame, truth = view.frame, view.truth()
        counts = confusion(truth, predicted(view), where=f"{view.frame}, {view.level}")
        found.setdefault(view.level, []).append(Frame(view.frame, view.cluster, counts))
        advance()
    return found
