"""The degraded images of a task, as the model is shown them, each with its ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vlm_eval.core.errors import TaskError, UsageError, did_you_mean
from vlm_eval.core.types import ImageRef, Level
from vlm_eval.data.cityscapes.labels import LabelMap
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import make_trial, samples

FACTOR = "degradation"


@runtime_checkable
class Labelled(Protocol):
    """A data source whose images have a ground truth for every pixel.

    Its rows have the field ``image_id``, ``city_sequence_frame``; rows may share one.
    """

    def train_ids(self, image_id: str) -> LabelMap:
        """Return the train ids of a clean image, shape (height, width), 255 where not evaluated.

        Raises DataError if they cannot be read.
        """
        ...


@dataclass(frozen=True)
class View:
    """One frame under one level of degradation.

    Attributes
    ----------
    frame
        The image's name, without folder and suffix.
    cluster
        What its randomness is shared with.
    level
        The level of the factor, such as ``ll1``; the first level is the baseline.
    image
        What the model is shown.
    source
        What the ground truth is read from.
    """

    frame: str
    cluster: str
    level: Level
    image: ImageRef
    source: Labelled

    def truth(self) -> LabelMap:
        """Return the train ids of the clean image, shape (height, width)."""
        return self.source.train_ids(self.frame)


def views(
    task: Task, *, factor: str = FACTOR, limit: int | None = None, seed: int = 0
) -> Iterator[View]:
    """Yield every image that a run of the task shows, once a frame and level.

    They are taken from the task's own trials, so that transforms, parameters and seeds are those of
    the run.

    Parameters
    ----------
    task
        A task whose source is `Labelled`.
    factor
        The factor whose levels degrade the image.
    limit, seed
        As in :func:`vlm_eval.tasks.trials.expand`.

    Raises
    ------
    UsageError
        If the task's data have no ground truth, or it has no such factor.
    TaskError
        If a trial shows no image, or more than one.
    DataError
        If the data cannot be read.
    """
    source: Any = task.source
    if not isinstance(source, Labelled):
        raise UsageError(f"the data of {task.name} have no segmentation to compare with")
    if factor not in task.factors:
        hint = did_you_mean(factor, task.factors)
        raise UsageError(f"{task.name} has no factor {factor!r}", hint=hint)
    # A question of each frame is enough: it is the image that counts.
    seen: set[tuple[str, Level]] = set()
    for sample in samples(task, limit=limit):
        frame = str(sample.row["image_id"])
        for condition in task.conditions():
            key = (frame, condition[factor])
            if key in seen:
                continue
            trial = make_trial(task, sample, condition, seed=seed)
            if trial is None:
                continue
            image = _only_image(trial.request.images, f"{task.name}, sample {sample.id!r}")
            seen.add(key)
            yield View(frame, sample.cluster, condition[factor], image, source)


def _only_image(images: tuple[ImageRef, ...], where: str) -> ImageRef:
    if len(images) != 1:
        raise TaskError(f"a trial shows {len(images)} images, not one", where=where)
    return images[0]
