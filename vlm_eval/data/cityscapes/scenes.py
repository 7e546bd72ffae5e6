"""The images of a data set with their label maps, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlm_eval.core.errors import DataError, did_you_mean
from vlm_eval.core.hashing import digest, digest_bytes
from vlm_eval.core.types import ImageRef
from vlm_eval.data.cells import image_cell, text_cell
from vlm_eval.data.cityscapes.drawn import Scene, draw_scene, sample_scene
from vlm_eval.data.cityscapes.files import decode_label_map, read_bytes
from vlm_eval.data.cityscapes.labels import (
    BY_NAME,
    IGNORED,
    Encoding,
    LabelMap,
    check_encoding,
    evidence,
    train_ids,
)
from vlm_eval.data.cityscapes.tree import Frame, check_decisive, frames
from vlm_eval.data.images import EncodedImage, fingerprint, open_image
from vlm_eval.data.tables import CellTable


@dataclass(frozen=True)
class View:
    """One image, read when asked for.

    Attributes
    ----------
    id, city, split
        The image's name, and where it belongs; ``city`` is empty where that is unknown.
    image
        Returns the reference to the image; reads the file once, to know its digest.
    train_ids
        Returns the label map as train ids, uint8 of shape (height, width).
    digest
        Returns the digest of what the labels are read from, with the image's name and fingerprint.
        The image's own digest is part of every request that shows it.
    """

    id: str
    city: str
    split: str
    image: Callable[[], ImageRef]
    train_ids: Callable[[], LabelMap]
    digest: Callable[[], str]


def tree_views(root: Path, split: str) -> tuple[View, ...]:
    """Return the images of the official folder tree, sorted by id.

    Raises
    ------
    DataError
        If there are none, one lacks an annotation, or no label map tells its encoding.
    """
    found = frames(root, split)
    check_decisive([frame.annotation for frame in found], root)
    return tuple(_of_frame(frame) for frame in found)


def _of_frame(frame: Frame) -> View:
    def identity() -> str:
        data = read_bytes(frame.annotation.path)
        image = fingerprint(open_image(frame.image))
        return digest([frame.id, frame.annotation.form, digest_bytes(data), image])

    def labels() -> LabelMap:
        made = frame.annotation.train_ids()
        check_size(made, open_image(frame.image), str(frame.annotation.path))
        return made

    return View(
        id=frame.id,
        city=frame.city,
        split=frame.split,
        image=lambda: open_image(frame.image),
        train_ids=labels,
        digest=identity,
    )


def check_size(label_map: LabelMap, image: EncodedImage, where: str) -> None:
    """Check that a label map is as large as its image.

    Raises
    ------
    DataError
        If it is not, naming both; or if the image cannot be read.
    """
    height, width = label_map.shape
    # The header is enough, unless the image is stored on its side.
    if image.stated_size() != (width, height) and image.load().size != (width, height):
        own, other = f"{width} x {height}", "{} x {}".format(*image.load().size)
        raise DataError(
            f"the label map has {own} pixels, its image {image.label} {other}",
            where=where,
            hint="give label maps and images of one release, neither of them resized",
        )


@dataclass(frozen=True)
class Mirror:
    """How a table of images and label maps is read.

    Attributes
    ----------
    columns
        Our names ``image``, ``labels`` and, if there is one, ``id``, to the table's.
    encoding
        What the label maps hold; None to tell from their values.
    id2label
        Names of the classes by number, where the mirror has numbers of its own.
    """

    columns: Mapping[str, str]
    encoding: Encoding | None
    id2label: Mapping[int, str] | None


def table_views(table: CellTable, split: str, mirror: Mirror) -> tuple[View, ...]:
    """Return the images of a table, in its order.

    Raises
    ------
    DataError
        If a column is missing, two rows share an id, or a class of ``id2label`` is unknown.
    """
    for column in mirror.columns.values():
        if column not in table.columns:
            hint = did_you_mean(column, table.columns)
            raise DataError(f"no column {column!r}", where=table.name, hint=hint)
    views = tuple(_of_row(table, row, split, mirror) for row in range(len(table)))
    seen: set[str] = set()
    for row, view in enumerate(views):
        if view.id in seen:
            raise DataError(f"two rows have the id {view.id!r}", where=table.place(row))
        seen.add(view.id)
    return views


def _of_row(table: CellTable, row: int, split: str, mirror: Mirror) -> View:
    where = table.place(row, mirror.columns["labels"])

    def image() -> EncodedImage:
        return image_cell(table, row, mirror.columns["image"])

    def labels() -> LabelMap:
        values = decode_label_map(_encoded(table, row, mirror.columns["labels"]), where)
        made = _mirror_train_ids(values, mirror, where)
        check_size(made, image(), where)
        return made

    def identity() -> str:
        data = _encoded(table, row, mirror.columns["labels"])
        return digest([name, digest_bytes(data), fingerprint(image())])

    column = mirror.columns.get("id")
    name = (text_cell(table, row, column) if column else None) or f"row-{row:06d}"
    return View(name, "", split, image, labels, identity)


def _encoded(table: CellTable, row: int, column: str) -> bytes:
    """Return the bytes of a label map's file."""
    cell: Any = table.cell(row, column)
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if isinstance(data, bytes):
        return data
    path = cell.get("path") if isinstance(cell, dict) else cell
    if not isinstance(path, str) or not path:
        raise DataError("no label map in it", where=table.place(row, column))
    root = next((r for r in table.roots if Path(path).is_relative_to(r)), table.roots[0])
    file = (root / path).resolve()
    if not file.is_relative_to(root.resolve()):
        raise DataError(f"{path!r} leaves the data folder", where=table.place(row, column))
    return read_bytes(file)


def _mirror_train_ids(values: LabelMap, mirror: Mirror, where: str) -> LabelMap:
    if mirror.id2label is not None:
        return _renamed(values, mirror.id2label, where)
    found = np.unique(values).tolist()
    encoding = mirror.encoding or _told(found, where)
    check_encoding(found, encoding, where=where)
    return train_ids(values, encoding)


def _told(values: list[int], where: str) -> Encoding:
    """Return the one encoding that values may be of."""
    possible = evidence(values)
    if len(possible) != 1:
        what = "may be label ids or train ids" if possible else "are neither ids nor train_ids"
        raise DataError(f"its values {what}", where=where, hint="give encoding: ids or train_ids")
    return next(iter(possible))


def _renamed(values: LabelMap, names: Mapping[int, str], where: str) -> LabelMap:
    """Return train ids of a map whose numbers have names; what has no name is not evaluated."""
    table = np.full(256, IGNORED, dtype=np.uint8)
    for number, name in names.items():
        if name not in BY_NAME:
            hint = did_you_mean(name, BY_NAME)
            raise DataError(f"id2label: unknown class {name!r}", where=where, hint=hint)
        if not 0 <= number <= 255:
            raise DataError(f"id2label: {number} is no value of a label map", where=where)
        table[number] = BY_NAME[name].train_id
    return table[values]


def drawn_views(count: int, seed: int) -> tuple[View, ...]:
    """Return drawn scenes, as :func:`vlm_eval.data.cityscapes.export.export_drawn` writes them."""
    scenes = sorted((sample_scene(seed, i) for i in range(count)), key=lambda scene: scene.id)
    return tuple(map(_of_scene, scenes))


def _of_scene(scene: Scene) -> View:
    def load() -> Image.Image:
        return draw_scene(scene)[0]

    return View(
        id=scene.id,
        city=scene.city,
        split="val",
        image=lambda: ImageRef(scene.key, load, scene.id),
        train_ids=lambda: train_ids(np.asarray(draw_scene(scene)[1]), "ids"),
        digest=lambda: scene.key,
    )
