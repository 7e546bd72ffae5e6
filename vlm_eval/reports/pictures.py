"""The pictures that a model was shown, made again from the task's own data.

A run folder holds digests of images, not images. The task and the place of its data are in
``run.json``; a picture is shown only if its digest is the recorded one. It is then brought to the
size at which the model reads it, if the record tells that size; else it is as the model was sent
it. Where the data is not at hand any more there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from PIL import Image, ImageOps

from vlm_eval.core.errors import VlmEvalError
from vlm_eval.core.types import ImageRef
from vlm_eval.reports.outcomes import Sample
from vlm_eval.reports.site import Site
from vlm_eval.runner.again import with_data
from vlm_eval.tasks.rendering import FIRST_ANSWER
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import make_trial, samples

LARGEST = 8192  # pixels a side; what says that it is larger is drawn as sent


@dataclass(frozen=True)
class Picture:
    """A stored image.

    Attributes
    ----------
    path
        In the site.
    width, height
        In pixels.
    read
        Whether it has the size at which the model reads it; else it is as sent.
    part
        Whether it is the middle of what was sent, because the model sees no more.
    """

    path: str
    width: int
    height: int
    read: bool = False
    part: bool = False


@dataclass(frozen=True)
class Gallery:
    """The pictures of a task.

    Attributes
    ----------
    pictures
        By image digest, of the chosen samples.
    samples
        How many samples have theirs.
    notes
        What is missing and why, for the reader.
    """

    pictures: Mapping[str, Picture]
    samples: int
    notes: tuple[str, ...]


NONE = Gallery({}, 0, ())


def chosen(found: Sequence[Sample], limit: int | None, flipped: Sequence[bool]) -> list[Sample]:
    """Return the samples that get pictures: all, or the first ``limit``, flipped ones first."""
    if limit is None:
        return list(found)
    order = sorted(range(len(found)), key=lambda i: (not flipped[i], i))
    return [found[i] for i in order[:limit]]


def draw(
    task: Task,
    manifest: Mapping[str, Any],
    wanted: Sequence[Sample],
    site: Site,
    place: str | None = None,
) -> Gallery:
    """Make the pictures of some samples again and store them.

    Parameters
    ----------
    task
        The task as it was asked.
    manifest
        The content of ``run.json``.
    wanted
        Whose pictures.
    site
        Where they are stored.
    place
        Where the data lies now, as ``--data`` takes it; None to look where it lay.
    """
    sizes = _sizes(wanted)
    if not sizes:
        return NONE
    task_with_data, why = with_data(task, manifest, place)
    if task_with_data is None:
        return Gallery({}, 0, (f"No pictures: {why}",))
    pictures: dict[str, Picture] = {}
    broken: list[str] = []
    crops = manifest["model"].get("center_crop") is True
    try:
        for image in _images(task_with_data, manifest["seed"], wanted):
            if image.key in sizes and image.key not in pictures:
                try:
                    size = sizes[image.key]
                    pictures[image.key] = _stored(image.load(), size, site, crops=crops)
                except VlmEvalError as error:
                    broken.append(str(error))
    except VlmEvalError as error:
        broken.append(str(error))
    missing = len(sizes) - len(pictures)
    notes = []
    if missing:
        first = f" ({broken[0]})" if broken else ""
        notes.append(f"{missing:,} of {len(sizes):,} pictures could not be made again{first}.")
    return Gallery(pictures, len(wanted), tuple(notes))


def _images(task: Task, seed: int, wanted: Sequence[Sample]) -> Iterator[ImageRef]:
    by_id = {sample.id: sample for sample in wanted}
    for row in samples(task):
        sample = by_id.pop(row.id, None)
        for said in () if sample is None else sample.trials:
            first = said.record.fields.get(FIRST_ANSWER)
            condition = said.record.condition
            trial = make_trial(task, row, condition, seed=seed, first_answer=first)
            if trial is not None:
                yield from trial.request.images
        if not by_id:
            return


def _sizes(wanted: Sequence[Sample]) -> dict[str, tuple[int, int] | None]:
    """Return every image, with the size at which the model reads it as far as a record tells it."""
    found: dict[str, tuple[int, int] | None] = {}
    for sample in wanted:
        for said in sample.trials:
            images, sizes = said.record.images, said.record.image_sizes or ()
            for key, size in zip_longest(images, sizes[: len(images)]):
                found[key] = found.get(key) or size
    return found


def _stored(
    image: Image.Image, size: tuple[int, int] | None, site: Site, *, crops: bool
) -> Picture:
    if size is None or not all(0 < side <= LARGEST for side in size):
        return Picture(site.image(image), *image.size)
    resample = Image.Resampling.BICUBIC
    part = crops and image.width * size[1] != image.height * size[0]
    seen = ImageOps.fit(image, size, resample) if part else image.resize(size, resample)
    return Picture(site.image(seen), *size, read=True, part=part)
