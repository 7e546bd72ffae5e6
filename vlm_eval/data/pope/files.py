"""Where the files of POPE and its relatives lie in a local copy, and the images with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vlm_eval.core.errors import DataError, MissingData
from vlm_eval.core.types import ImageRef
from vlm_eval.data.images import open_image
from vlm_eval.data.pope.questions import SPLITS

HUBS: Mapping[str, str] = {
    "pope": "lmms-lab/POPE",
    "repope": "lmms-lab/POPE,labels=FOLDER (of RePOPE's coco_repope_random.json, ...)",
}
"""What ``--data TASK=hub:`` takes, where there is a hub data set."""
IMAGES: Mapping[str, str] = {
    "seem_gqa": "DIR/images/*.jpg, the images of GQA",
    "popev2": "DIR/images/*.jpg, DIR/coco/train2017/*.jpg, its edited and its original images",
}
"""The images of a local copy, where they are not those of COCO val2014."""
FILES: Mapping[str, tuple[str, ...]] = {
    "pope": (
        "coco_pope_{split}.json",
        "output/coco/coco_pope_{split}.json",
        "coco/coco_pope_{split}.json",
        "annotations/coco_pope_{split}.json",
    ),
    "repope": (
        "annotations/coco_repope_{split}.json",
        "coco_repope_{split}.json",
        "RePOPE/annotations/coco_repope_{split}.json",
    ),
    "seem_aokvqa": (
        "aokvqa_pope_seem_{split}.json",
        "output/seem/aokvqa/aokvqa_pope_seem_{split}.json",
    ),
    "seem_gqa": (
        "gqa_pope_seem_{split}.json",
        "output/seem/gqa/gqa_pope_seem_{split}.json",
    ),
    "popev2": (
        "popev2_annotations.json",
        "POPEv2/dataset/annotations.json",
        "annotations.json",
    ),
}
"""Question files by annotation, in the order in which they are looked for."""

IMAGE_FOLDERS = (
    "", "val2014", "images", "images/val2014", "coco/val2014", "coco/images/val2014",
    "coco", "train2017", "POPEv2/dataset",
)  # fmt: skip
"""Folders of a local copy in which images are looked for, in this order."""


def find_file(path: Path, annotations: str, split: str) -> Path | None:
    """Return the question file of an annotation and split; None if it is in no known place.

    Parameters
    ----------
    path
        A folder, or the question file itself.
    annotations
        A key of :data:`FILES`.
    split
        Name of the split; not looked at for POPEv2, nor where the path is a file.
    """
    if path.is_file():
        return path
    names = [name.format(split=split) for name in FILES[annotations]]
    return next((path / name for name in names if (path / name).is_file()), None)


def layout(annotations: str) -> str:
    """Return what a local copy of an annotation holds, for messages."""
    first = FILES[annotations][0]
    names = dict.fromkeys(first.format(split=s) for s in SPLITS)
    images = IMAGES.get(annotations, "DIR/val2014/*.jpg, the COCO val2014 images")
    return f"{', '.join(f'DIR/{name}' for name in names)} and {images}"


def missing(what: str, annotations: str) -> MissingData:
    """Return the error that something of an annotation is not there."""
    return MissingData(what, layout=layout(annotations), hub=HUBS.get(annotations))


def need_file(path: Path, annotations: str, split: str) -> Path:
    """Return the question file as `find_file` does; raises MissingData if there is none."""
    found = find_file(path, annotations, split)
    if found is None:
        name = FILES[annotations][0].format(split=split)
        what = f"no {name} in {path}" if path.is_dir() else f"no such file or folder: {path}"
        raise missing(what, annotations)
    return found


def find_images(root: Path, names: Sequence[str], annotations: str) -> dict[str, ImageRef]:
    """Return the images of these names.

    Parameters
    ----------
    root
        The folder that they lie in, or in one of whose :data:`IMAGE_FOLDERS`.
    names
        File names as the question file gives them, folders included.
    annotations
        A key of :data:`FILES`, for messages.

    Raises
    ------
    MissingData
        If none of them is there.
    DataError
        If some are not, or one leads out of the folder.
    """
    wanted = list(dict.fromkeys(names))
    places = {name: image_place(root, name) for name in wanted}
    lost = [name for name, place in places.items() if place is None]
    if lost and len(lost) == len(wanted):
        what = f"none of the {len(wanted)} images is in {root}, such as {lost[0]}"
        raise missing(what, annotations)
    if lost:
        what = f"{len(lost)} of {len(wanted)} images are missing, such as {lost[0]}"
        raise DataError(what, where=str(root), hint="complete the image folder")
    return {name: open_image(place, root=root) for name, place in places.items() if place}


def image_place(root: Path, name: str) -> Path | None:
    """Return the path of an image from the root, None if it is in no known folder."""
    places = (Path(folder) / name for folder in IMAGE_FOLDERS)
    return next((place for place in places if (root / place).is_file()), None)
