"""The official folder tree: which frames there are, and what belongs to each.

::

    ROOT/leftImg8bit/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png
    ROOT/gtFine/SPLIT/CITY/CITY_SEQUENCE_FRAME_gtFine_labelIds.png
    (or ..._gtFine_labelTrainIds.png, or ..._gtFine_polygons.json)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.files import decode_label_map, draw_polygons, read_bytes
from vlm_eval.data.cityscapes.labels import Encoding, LabelMap, check_encoding, train_ids

IMAGES, ANNOTATIONS = "leftImg8bit", "gtFine"
LAYOUT = (
    "ROOT/leftImg8bit/val/CITY/*_leftImg8bit.png with ROOT/gtFine/val/CITY/*_gtFine_labelIds.png, "
    "*_gtFine_labelTrainIds.png or *_gtFine_polygons.json"
)
SPLITS = ("val", "train")

_IMAGE = "_leftImg8bit.png"
SUFFIXES: dict[str, Encoding] = {
    "_gtFine_labelIds.png": "ids",
    "_gtFine_labelTrainIds.png": "train_ids",
    "_gtFine_polygons.json": "ids",
}
"""Annotation files in the order of preference, with what their names declare them to hold."""


@dataclass(frozen=True)
class Annotation:
    """The label map of a frame, read when asked for.

    Attributes
    ----------
    path
        A ``labelIds`` or ``labelTrainIds`` PNG, or a ``polygons`` JSON.
    encoding
        What the file's name declares.
    """

    path: Path
    encoding: Encoding

    @property
    def form(self) -> str:
        """``labelIds``, ``labelTrainIds`` or ``polygons``."""
        return self.path.stem.rpartition("_")[2]

    def label_map(self) -> LabelMap:
        """Return the map in the file's encoding, shape (height, width).

        Raises
        ------
        DataError
            If it cannot be read, or its values cannot be of the encoding that the name declares.
        """
        data, label = read_bytes(self.path), str(self.path)
        if self.form == "polygons":
            return draw_polygons(data, label)
        made = decode_label_map(data, label)
        check_encoding(np.unique(made).tolist(), self.encoding, where=label)
        return made

    def train_ids(self) -> LabelMap:
        """Return the map as train ids, uint8 of shape (height, width), 255 where not evaluated."""
        return train_ids(self.label_map(), self.encoding)


@dataclass(frozen=True)
class Frame:
    """One image of the tree with its annotations, the preferred first.

    Attributes
    ----------
    id
        The file name without its suffix: ``frankfurt_000000_000294``.
    city, split
        Folders that it lies in.
    image
        The PNG, which may be missing where an annotation is an orphan.
    annotations
        The annotation files that exist.
    """

    id: str
    city: str
    split: str
    image: Path
    annotations: tuple[Annotation, ...]

    @property
    def annotation(self) -> Annotation:
        """The preferred annotation. Raises DataError if there is none."""
        if not self.annotations:
            raise DataError(
                f"no annotation of {self.id}",
                where=str(self.image),
                hint=f"needed is one of {', '.join('*' + s for s in SUFFIXES)}",
            )
        return self.annotations[0]


def frames(root: str | Path, split: str) -> tuple[Frame, ...]:
    """Return the frames of a split that have an image, sorted by id.

    Raises
    ------
    DataError
        If the split has no images.
    """
    folder = Path(root) / IMAGES / split
    found = [
        Frame(name, city.name, split, path, annotation_files(Path(root), split, city.name, name))
        for city in folders(folder)
        for path in sorted(city.glob(f"*{_IMAGE}"))
        for name in [path.name.removesuffix(_IMAGE)]
    ]
    if not found:
        raise DataError("no images in it", where=str(folder), hint=f"the layout is {LAYOUT}")
    return tuple(sorted(found, key=lambda frame: frame.id))


def annotation_files(root: Path, split: str, city: str, name: str) -> tuple[Annotation, ...]:
    """Return the annotation files of a frame that exist, the preferred first."""
    folder = root / ANNOTATIONS / split / city
    files = [(folder / f"{name}{suffix}", encoding) for suffix, encoding in SUFFIXES.items()]
    return tuple(Annotation(path, encoding) for path, encoding in files if path.is_file())


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; none if there is no such folder."""
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def check_decisive(maps: Iterable[Annotation], root: Path) -> None:
    """Refuse maps of which each may be of either encoding, so that only their names would tell.

    Raises
    ------
    DataError
        If so, or if one cannot be of the encoding that its name declares.
    """
    for annotation in maps:
        if annotation.form == "polygons":
            return
        values = np.unique(annotation.label_map()).tolist()
        if check_encoding(values, annotation.encoding, where=str(annotation.path)):
            return
    raise DataError(
        "no label map has a value above 18, so that nothing tells label ids from train ids",
        where=str(root),
        hint="id 7 is road and train id 7 is traffic sign: give the polygons files alone, or maps "
        "of whole frames",
    )
