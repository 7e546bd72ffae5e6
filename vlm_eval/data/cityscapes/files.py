"""Reading one annotation file: a label map as PNG, or polygons as JSON."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from vlm_eval.core.errors import DataError, did_you_mean
from vlm_eval.data.cityscapes.labels import BY_NAME, LabelMap
from vlm_eval.data.images import MAX_PIXELS

_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises DataError if it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=str(path)) from error


def decode_label_map(data: bytes, label: str) -> LabelMap:
    """Decode a PNG of class numbers, shape (height, width).

    Palette indices and grey values are taken as they are; colour only where the three channels
    are equal, as some mirrors store it.

    Raises
    ------
    DataError
        If it is no PNG, damaged, too large, has colours, or values above 255.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"more than {MAX_PIXELS:,} pixels", where=label, hint="scale it")
            image.load()
            values = np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError("too many pixels", where=label, hint="scale it") from error
    except _DAMAGE as error:
        raise DataError(
            f"not a readable PNG ({len(data)} bytes)", where=label, hint="replace the file"
        ) from error
    return _single_channel(values, label)


def _single_channel(values: Any, label: str) -> LabelMap:
    if values.ndim == 3:
        if not (values[..., :3] == values[..., :1]).all():
            raise DataError(
                "a colour picture, not a map of class numbers",
                where=label,
                hint="use labelIds, labelTrainIds or polygons: colours do not tell every class",
            )
        values = values[..., 0]
    if values.dtype == bool or values.min() < 0 or values.max() > 255:
        raise DataError(
            "not a map of class numbers 0 to 255",
            where=label,
            hint="instanceIds and black-and-white pictures are not read",
        )
    made: LabelMap = values.astype(np.uint8)
    return made


def draw_polygons(data: bytes, label: str) -> LabelMap:
    """Draw a polygons file as a map of label ids, in the painter's order of the file.

    As ``createLabelImage`` of cityscapesScripts: ``deleted`` objects are skipped, an unknown label
    that ends in ``group`` is that of its members (``cargroup``: car), and a label whose id is below
    0 (license plate) is not drawn. What no polygon covers is unlabeled.

    Raises
    ------
    DataError
        If it is not such a file, or a label is unknown; the message names the object.
    """
    try:
        content = json.loads(data)
        width, height = content["imgWidth"], content["imgHeight"]
        objects = content["objects"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"not a polygons file ({type(error).__name__}: {error})",
            where=label,
            hint="it needs imgWidth, imgHeight and objects",
        ) from error
    if not all(type(n) is int and n > 0 for n in (width, height)) or width * height > MAX_PIXELS:
        raise DataError(f"its size is {width!r} x {height!r}", where=label)
    if not isinstance(objects, list):
        raise DataError("its objects are no list", where=label)
    image = Image.new("L", (width, height), BY_NAME["unlabeled"].id)
    pen = ImageDraw.Draw(image)
    for number, item in enumerate(objects):
        _draw_object(pen, item, f"{label}, object {number}")
    return np.array(image)


def _draw_object(pen: ImageDraw.ImageDraw, item: Any, where: str) -> None:
    if not isinstance(item, dict) or not isinstance(item.get("label"), str):
        raise DataError("an object without a label", where=where)
    if item.get("deleted"):
        return
    number = _label_id(item["label"], where)
    if number < 0:
        return
    try:
        points = [(float(x), float(y)) for x, y in item["polygon"]]
        pen.polygon(points, fill=number)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"its polygon is not a list of [x, y] ({error})", where=where) from error


def _label_id(name: str, where: str) -> int:
    known = BY_NAME.get(name) or BY_NAME.get(name.removesuffix("group"))
    if known is None:
        hint = did_you_mean(name, BY_NAME)
        raise DataError(f"unknown label {name!r}", where=where, hint=hint)
    return known.id
