"""What a copy of POPE, or of what was made of it, holds, lacks and has wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlm_eval.core.errors import DataError
from vlm_eval.data.check import Checkup, Progress, broken
from vlm_eval.data.images import open_image
from vlm_eval.data.pope.files import FILES, find_file, image_place, layout
from vlm_eval.data.pope.questions import (
    SPLITS,
    Question,
    contradictions,
    duplicates,
    each_question,
)
from vlm_eval.data.tables import open_file

PUBLISHED: Mapping[tuple[str, str], int] = {
    **{("pope", split): 3000 for split in SPLITS},
    **{(f"seem_{name}", split): 3000 for name in ("aokvqa", "gqa") for split in SPLITS},
    ("repope", "random"): 2774,
    ("repope", "popular"): 2727,
    ("repope", "adversarial"): 2684,
    ("popev2", "popev2"): 1000,
}
"""Questions of each annotation and split, as released."""


def check_copy(
    path: Path, images: Path, annotations: str, asked: Sequence[str], progress: Progress
) -> Checkup:
    """Look at every question of every split that is there; all their images are decoded.

    Parameters
    ----------
    path, images
        Folder (or file) of the questions; folder of the images.
    annotations
        A key of :data:`~vlm_eval.data.pope.files.FILES`.
    asked
        The splits that are needed; others may be missing.
    progress
        Told of the images.
    """
    counts: list[dict[str, str | int]] = []
    faults: list[str] = []
    notes: list[str] = []
    asked = ("popev2",) if annotations == "popev2" else asked
    splits = asked if annotations == "popev2" or path.is_file() else SPLITS
    wanted: dict[str, None] = {}
    for split in splits:
        file = find_file(path, annotations, split)
        if file is None:
            name = FILES[annotations][0].format(split=split)
            (faults if split in asked else notes).append(f"split {split}: no {name} in {path}")
            continue
        questions, wrong = _questions(file, split)
        faults += wrong
        notes += _notes(questions, annotations, split)
        counts.append(_count(questions, split))
        wanted |= dict.fromkeys(question.image for question in questions)
    places = {name: image_place(images, name) for name in wanted}
    lost = [name for name, place in places.items() if place is None]
    if lost and len(lost) == len(wanted):
        faults.append(f"none of the {len(wanted)} images is in {images}, such as {lost[0]}")
    else:
        faults += [f"image {name} is in no known folder of {images}" for name in lost]
    if lost:
        notes.append(f"the layout is {layout(annotations)}")
    there = []
    for place in filter(None, places.values()):
        try:
            there.append(open_image(place, root=images))
        except DataError as error:
            faults.append(str(error))
    faults += broken(there, progress)
    return Checkup(tuple(counts), tuple(faults), tuple(notes))


def _questions(file: Path, split: str) -> tuple[list[Question], list[str]]:
    """Return the questions of a file, and what is wrong with the others."""
    try:
        found = list(each_question(open_file(file), split))
    except DataError as error:
        return [], [str(error)]
    questions = [one for one in found if isinstance(one, Question)]
    faults = [str(one) for one in found if isinstance(one, DataError)]
    if not found:
        faults.append(f"{file}: no question of the split {split!r}")
    return questions, [*faults, *map(str, contradictions(questions))]


def _count(questions: Sequence[Question], split: str) -> dict[str, str | int]:
    labels = Counter(question.label for question in questions)
    return {
        "split": split,
        "questions": len(questions),
        "yes": labels["yes"],
        "no": labels["no"],
        "images": len({question.image for question in questions}),
    }


def _notes(questions: Sequence[Question], annotations: str, split: str) -> list[str]:
    notes = []
    published = PUBLISHED.get((annotations, split))
    if questions and published not in (None, len(questions)):
        notes.append(f"split {split}: {len(questions)} questions, {published} as published")
    twice = duplicates(questions)
    if twice:
        one, other = twice[0]
        places = f"{one.place} and {other.place}"
        notes.append(f"split {split}: {len(twice)} questions are there twice, such as {places}")
    return notes
