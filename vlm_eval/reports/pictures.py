"""The pictures that a model was shown, made again from the task's own data.

A run folder holds digests of images, not images. The task and the place of its data are in
``run.json``; a picture is shown only if its digest is the recorded one, so it is what the model
saw, before the model's own processor. Where the data is not at hand any more there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlm_eval.core.errors import VlmEvalError
from vlm_eval.core.types import ImageRef
from vlm_eval.reports.outcomes import Sample
from vlm_eval.reports.site import Site
from vlm_eval.runner.again import with_data
from vlm_eval.tasks.rendering import FIRST_ANSWER
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import make_trial, samples


@dataclass(frozen=True)
class Picture:
    """A stored image: its path in the site and its size in pixels."""

    path: str
    width: int
    height: int


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
    keys = {key for sample in wanted for said in sample.trials for key in said.record.images}
    if not keys:
        return NONE
    task_with_data, why = with_data(task, manifest, place)
    if task_with_data is None:
        return Gallery({}, 0, (f"No pictures: {why}",))
    pictures: dict[str, Picture] = {}
    broken: list[str] = []
    try:
        for image in _images(task_with_data, manifest["seed"], wanted):
            if image.key in keys and image.key not in pictures:
                try:
                    pictures[image.key] = _stored(image, site)
                except VlmEvalError as error:
                    broken.append(str(error))
    except VlmEvalError as error:
        broken.append(str(error))
    missing = len(keys) - len(pictures)
    notes = []
    if missing:
        first = f" ({broken[0]})" if broken else ""
        notes.append(f"{missing:,} of {len(keys):,} pictures could not be made again{first}.")
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


def _stored(image: ImageRef, site: Site) -> Picture:
    loaded = image.load()
    return Picture(site.image(loaded), *loaded.size)
