"""POPE's questions as rows: a local copy, the hub data set, or the drawn stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.cells import image_cell
from vlm_eval.data.check import Checkup, Progress, broken
from vlm_eval.data.images import fingerprint
from vlm_eval.data.pope.check import check_copy
from vlm_eval.data.pope.files import find_file, find_images, layout, missing, need_file
from vlm_eval.data.pope.questions import Question, Split, duplicates, read_questions, relabel
from vlm_eval.data.pope.synthetic import Gallery
from vlm_eval.data.scenes.objects import objects_image
from vlm_eval.data.tables import open_file, open_hub

SYNTHETIC = (
    "synthetic: drawn scenes, not {name}; no number here is a {name} result "
    "(give the data: --data TASK=PATH)"
)
NAMES = {
    "pope": "POPE",
    "repope": "RePOPE",
    "seem_aokvqa": "POPE (SEEM, A-OKVQA)",
    "seem_gqa": "POPE (SEEM, GQA)",
    "popev2": "POPEv2",
}
Asked = tuple[Question, ImageRef]


@configurable
class Pope:
    """Presence questions of POPE (arXiv 2305.10355) and what was made of it.

    A row has the fields split, question_id, question, object (None where the text does not say),
    label (``yes`` or ``no``), answer (``Yes`` or ``No``), options and letters (both Yes and No: the
    answers and what the question calls them), pope_label (POPE's own label in RePOPE, else None),
    image, image_name and scene (the image's name without folder and ending: the cluster).

    Attributes
    ----------
    split
        ``random``, ``popular``, ``adversarial``, or several; POPEv2 has no splits.
    annotations
        ``pope``, ``repope`` (POPE's questions with corrected labels, ambiguous ones left out;
        joined by question id), ``seem_aokvqa``, ``seem_gqa`` or ``popev2``.
    path
        A folder with the question files and the images (docs/tasks/pope-perturbed.md lists the
        places), or one question file.
    hub
        A hub data set of POPE, in place of ``path``.
    embedded
        Draw the stand-in.
    images
        The folder of the images, if it is not ``path``.
    labels
        With ``hub`` and ``repope``: the folder of the RePOPE files.
    config, revision
        Of the hub data set.
    count, seed
        Number of drawn scenes, six questions each, and what fixes them.

    Raises
    ------
    TaskError
        If the options contradict each other.
    """

    split: Split | Annotated[tuple[Split, ...], Field(min_length=1)] = "adversarial"
    annotations: Literal["pope", "repope", "seem_aokvqa", "seem_gqa", "popev2"] = "pope"
    path: str | None = None
    hub: str | None = None
    embedded: bool = False
    images: str | None = None
    labels: str | None = None
    config: str | None = "Full"
    revision: str | None = None
    count: Annotated[int, Field(ge=1)] = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if sum((self.path is not None, self.hub is not None, self.embedded)) > 1:
            raise TaskError("pope: path, hub and embedded exclude each other", hint="give one")
        if self.hub is not None and self.annotations not in ("pope", "repope"):
            raise TaskError(f"pope: no hub data set has {self.annotations}", hint="give path")

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers every question, label and image.

        Questions that are there twice, and those that RePOPE leaves out, are named in the notice.
        """
        identity = [
            [question.split, question.id, question.text, question.label, fingerprint(image)]
            for question, image in self._asked
        ]
        notices = [SYNTHETIC.format(name=NAMES[self.annotations])] if self.embedded else []
        notice = "; ".join([*notices, *self._remarks()]) or None
        return SourceInfo(digest(["pope", identity]), synthetic=self.embedded, notice=notice)

    def rows(self) -> Iterator[Row]:
        """Yield the questions, split after split, each in its file's order."""
        for question, image in self._asked:
            yield {
                "split": question.split,
                "question_id": question.id,
                "question": question.text,
                "object": question.object,
                "label": question.label,
                "answer": question.label.capitalize(),
                "options": ["Yes", "No"],
                "letters": ["Yes", "No"],
                "pope_label": question.pope_label,
                "image": image,
                "image_name": question.image,
                "scene": question.scene,
            }

    def fields(self, row: Row, condition: Condition) -> Row:  # noqa: ARG002 - one row for all
        """Return the row: nothing here depends on the condition."""
        return row

    def check(self, progress: Progress) -> Checkup:
        """Return what the data holds, lacks and has wrong. Raises MissingData if there is none."""
        if self.path is None:
            images = [image for _, image in self._asked]
            return Checkup(({"questions": len(images)},), tuple(broken(images, progress)))
        path = Path(self.path)
        return check_copy(path, self._root(path), self.annotations, self._splits, progress)

    def _root(self, path: Path) -> Path:
        """Return the folder of the images."""
        if self.images:
            return Path(self.images)
        return path.parent if path.is_file() else path

    @property
    def _splits(self) -> tuple[Split, ...]:
        return (self.split,) if isinstance(self.split, str) else self.split

    @cached_property
    def _asked(self) -> tuple[Asked, ...]:
        if self.embedded:
            gallery = Gallery(self.count, self.seed)
            return tuple(
                (question, objects_image(scene))
                for split in self._splits
                for question, scene in gallery.questions(split)
            )
        if self.path is not None:
            return self._local(Path(self.path))
        if self.hub is not None:
            return tuple(asked for split in self._splits for asked in self._online(self.hub, split))
        raise missing(f"no {NAMES[self.annotations]} data", self.annotations)

    def _local(self, path: Path) -> tuple[Asked, ...]:
        splits = ("popev2",) if self.annotations == "popev2" else self._splits
        if path.is_file() and len(splits) > 1:
            raise TaskError(f"pope: {path} is one file for several splits", hint="give the folder")
        questions = [question for split in splits for question in self._read(path, split)]
        images = find_images(
            self._root(path), [question.image for question in questions], self.annotations
        )
        return tuple((question, images[question.image]) for question in questions)

    def _read(self, path: Path, split: str) -> tuple[Question, ...]:
        own = read_questions(open_file(need_file(path, self.annotations, split)), split)
        if self.annotations != "repope" or path.is_file():
            return own
        # RePOPE's rows are complete; POPE's own file says what was changed, if it is there.
        original = find_file(path, "pope", split)
        return own if original is None else relabel(read_questions(open_file(original), split), own)

    def _online(self, hub: str, split: str) -> Iterator[Asked]:
        table = open_hub(
            hub,
            split=split,
            config=self.config,
            revision=self.revision,
            layout=layout(self.annotations),
        )
        questions = read_questions(table, split)
        if self.annotations == "repope":
            if self.labels is None:
                what = "RePOPE's labels are not on the hub, give their folder by labels=DIR"
                raise missing(what, self.annotations)
            file = need_file(Path(self.labels), "repope", split)
            questions = relabel(questions, read_questions(open_file(file), split))
        for question in questions:
            yield question, image_cell(table, question.row, "image")

    def _remarks(self) -> Iterator[str]:
        twice = duplicates([question for question, _ in self._asked])
        if twice:
            one, other = twice[0]
            named = f"ids {one.id} and {other.id} of {one.split}"
            more = ", ..." if len(twice) > 1 else ""
            yield f"{len(twice)} of {len(self._asked)} questions asked twice: {named}{more}"
        changed = sum(
            question.pope_label not in (None, question.label) for question, _ in self._asked
        )
        if changed:
            yield f"{changed} of {len(self._asked)} labels differ from POPE's"
