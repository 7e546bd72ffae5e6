"""What a Cityscapes folder holds: what is there, what is missing and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.data.check import Checkup, Progress
from vlm_eval.data.cityscapes.files import read_bytes
from vlm_eval.data.cityscapes.labels import LabelMap, train_ids
from vlm_eval.data.cityscapes.safety import FILES, read_safety_labels
from vlm_eval.data.cityscapes.source import MARKER
from vlm_eval.data.cityscapes.tree import (
    ANNOTATIONS,
    IMAGES,
    LAYOUT,
    SPLITS,
    SUFFIXES,
    Annotation,
    annotation_files,
    check_decisive,
    folders,
    frames,
)
from vlm_eval.data.images import decode

_NAME = re.compile(r"(?P<city>.+)_\d{6}_\d{6}_leftImg8bit\.png")
_IMAGE = "_leftImg8bit.png"


@dataclass(frozen=True)
class City:
    """The files of one city of one split.

    Attributes
    ----------
    split, name
        Its folders.
    images, forms
        Number of images, and of annotation files by form.
    faults
        What keeps the split from being used, each with its file.
    remarks
        What does not.
    """

    split: str
    name: str
    images: int
    forms: dict[str, int]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What is known about a folder.

    Attributes
    ----------
    cities
        By split and name.
    faults, remarks
        What concerns no single city.
    """

    cities: tuple[City, ...]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing is wrong with the labelled splits, and there is one."""
        labelled = [city for city in self.cities if city.split in SPLITS]
        wrong = bool(self.faults) or any(city.faults for city in labelled)
        return not wrong and any(city.images for city in labelled)

    def checkup(self) -> Checkup:
        """Return it in the form that all data sets share. The test split's faults are notes."""
        counts: tuple[dict[str, str | int], ...] = tuple(
            {
                "split": city.split,
                "city": city.name,
                "images": city.images,
                **city.forms,
                "faults": len(city.faults),
                "remarks": len(city.remarks),
            }
            for city in self.cities
        )
        labelled = [fault for c in self.cities if c.split in SPLITS for fault in c.faults]
        unused = [fault for c in self.cities if c.split not in SPLITS for fault in c.faults]
        remarks = [note for city in self.cities for note in city.remarks]
        return Checkup(counts, (*self.faults, *labelled), (*self.remarks, *unused, *remarks))


def survey(root: Path, progress: Progress = lambda *_: None) -> Survey:
    """Look at every file of a tree; images and annotations are decoded.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    if not root.is_dir():
        raise DataError("no such folder", where=str(root), hint=f"the layout is {LAYOUT}")
    places = sorted(
        {
            (split.name, city.name)
            for kind in (IMAGES, ANNOTATIONS)
            for split in folders(root / kind)
            for city in folders(split)
        }
    )
    cities = []
    for number, (split, name) in enumerate(places):
        progress("cities", number, len(places))
        cities.append(_city(root, split, name))
    return Survey(tuple(cities), tuple(_faults(root, cities)), tuple(_remarks(root, cities)))


def _faults(root: Path, cities: list[City]) -> Iterator[str]:
    for kind in (IMAGES, ANNOTATIONS):
        if not (root / kind).is_dir():
            yield f"there is no folder {kind}"
    labelled = {city.split for city in cities if city.split in SPLITS and city.images}
    if not labelled:
        yield f"no images of the splits {' or '.join(SPLITS)}"
    for split in sorted(labelled):
        whole = not any(city.faults for city in cities if city.split == split)
        if whole:
            try:
                check_decisive([frame.annotation for frame in frames(root, split)], root)
            except DataError as error:
                yield str(error)
    found = [root / name for name in FILES if (root / name).is_file()]
    if len(found) > 1:
        yield f"both {FILES[0]} and {FILES[1]}: keep one"
    for file in found[:1]:
        try:
            read_safety_labels(file)
        except DataError as error:
            yield str(error)


def _remarks(root: Path, cities: list[City]) -> Iterator[str]:
    splits = {city.split for city in cities}
    if "val" not in splits:
        yield "split val is not there, which the tasks use unless told split=train"
    if "test" in splits:
        yield "split test has no labels and is never used"
    if not any((root / name).is_file() for name in FILES):
        yield f"no {FILES[0]}: safety labels would be those of the rule gt_corridor_v1"
    yield from _unlabelled(root)
    if (root / MARKER).is_file():
        yield f"{MARKER}: the scenes are drawn, and every result is labelled synthetic"


def _unlabelled(root: Path) -> Iterator[str]:
    """Yield what the safety labels lack, and what they name that is not there."""
    images = {
        _stem(path) for split in SPLITS for path in (root / IMAGES / split).glob(f"*/*{_IMAGE}")
    }
    for file in (root / name for name in FILES if (root / name).is_file()):
        try:
            labelled = set(read_safety_labels(file).labels)
        except DataError:
            continue
        if images - labelled:
            yield f"{file.name}: no label of {len(images - labelled)} of {len(images)} images"
        if labelled - images:
            unknown = sorted(labelled - images)
            yield f"{file.name}: {len(unknown)} of its ids are of no image, such as {unknown[0]}"


def _city(root: Path, split: str, name: str) -> City:
    images = sorted((root / IMAGES / split / name).glob(f"*{_IMAGE}"))
    labels = root / ANNOTATIONS / split / name
    stems = {path.name.removesuffix(_IMAGE) for path in images}
    forms = {suffix: sorted(labels.glob(f"*{suffix}")) for suffix in SUFFIXES}
    faults: list[str] = []
    remarks = [
        f"{path}: belongs with no image"
        for suffix, paths in forms.items()
        for path in paths
        if path.name.removesuffix(suffix) not in stems
    ]
    for path in images:
        match = _NAME.fullmatch(path.name)
        if match is None or match["city"] != name:
            remarks.append(f"{path}: not named CITY_SEQUENCE_FRAME{_IMAGE}")
        wrong, besides = _image(path, annotation_files(root, split, name, _stem(path)), split)
        faults += wrong
        remarks += besides
    counts = {Annotation(Path(f"x{s}"), e).form: len(forms[s]) for s, e in SUFFIXES.items()}
    return City(split, name, len(images), counts, tuple(faults), tuple(remarks))


def _stem(path: Path) -> str:
    return path.name.removesuffix(_IMAGE)


def _image(
    path: Path, annotations: tuple[Annotation, ...], split: str
) -> tuple[list[str], list[str]]:
    """Return what is wrong with an image and its preferred annotation, and with the others."""
    faults: list[str] = []
    size = None
    try:
        size = decode(read_bytes(path), str(path)).size
    except DataError as error:
        faults.append(str(error))
    if split not in SPLITS:
        return faults, []
    if not annotations:
        return [*faults, f"{path}: no annotation"], []
    maps = [_map(annotation, size) for annotation in annotations]
    faults += [fault for fault in (maps[0][1],) if fault]
    remarks = [fault for _, fault in maps[1:] if fault]
    first = maps[0][0]
    for annotation, (other, _) in zip(annotations[1:], maps[1:], strict=True):
        if first is not None and other is not None and not np.array_equal(first, other):
            share = float(np.mean(first != other)) if first.shape == other.shape else 1.0
            remarks.append(
                f"{annotation.path}: differs from {annotations[0].form} in {share:.2%} of pixels"
            )
    return faults, remarks


def _map(annotation: Annotation, size: tuple[int, int] | None) -> tuple[LabelMap | None, str]:
    """Return the train ids of an annotation, or None and why not."""
    try:
        made = train_ids(annotation.label_map(), annotation.encoding)
    except DataError as error:
        return None, str(error)
    if size is not None and made.shape != (size[1], size[0]):
        height, width = made.shape
        what = f"{width} x {height} pixels, its image {size[0]} x {size[1]}"
        return None, f"{annotation.path}: {what}"
    return made, ""
