"""The 35 labels of Cityscapes, their two encodings, and which of the two a label map uses.

An ``ids`` map holds label ids (0 to 33: 7 is road), a ``train_ids`` map holds train ids (0 to 18,
and 255 where a pixel is not evaluated: 7 is traffic sign). A map must never be read as the other.
Facts: ``helpers/labels.py`` of mcordts/cityscapesScripts (0bcc4a72).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vlm_eval.core.errors import DataError

Encoding: TypeAlias = Literal["ids", "train_ids"]
LabelMap: TypeAlias = npt.NDArray[np.uint8]

IGNORED = 255
"""The train id of pixels that are not evaluated."""


class Label(NamedTuple):
    """A label; ``train_id`` is 255 where it is not evaluated, ``id`` -1 where it is never drawn."""

    name: str
    id: int
    train_id: int
    category: str


LABELS: tuple[Label, ...] = (
    Label("unlabeled", 0, IGNORED, "void"),
    Label("ego vehicle", 1, IGNORED, "void"),
    Label("rectification border", 2, IGNORED, "void"),
    Label("out of roi", 3, IGNORED, "void"),
    Label("static", 4, IGNORED, "void"),
    Label("dynamic", 5, IGNORED, "void"),
    Label("ground", 6, IGNORED, "void"),
    Label("road", 7, 0, "flat"),
    Label("sidewalk", 8, 1, "flat"),
    Label("parking", 9, IGNORED, "flat"),
    Label("rail track", 10, IGNORED, "flat"),
    Label("building", 11, 2, "construction"),
    Label("wall", 12, 3, "construction"),
    Label("fence", 13, 4, "construction"),
    Label("guard rail", 14, IGNORED, "construction"),
    Label("bridge", 15, IGNORED, "construction"),
    Label("tunnel", 16, IGNORED, "construction"),
    Label("pole", 17, 5, "object"),
    Label("polegroup", 18, IGNORED, "object"),
    Label("traffic light", 19, 6, "object"),
    Label("traffic sign", 20, 7, "object"),
    Label("vegetation", 21, 8, "nature"),
    Label("terrain", 22, 9, "nature"),
    Label("sky", 23, 10, "sky"),
    Label("person", 24, 11, "human"),
    Label("rider", 25, 12, "human"),
    Label("car", 26, 13, "vehicle"),
    Label("truck", 27, 14, "vehicle"),
    Label("bus", 28, 15, "vehicle"),
    Label("caravan", 29, IGNORED, "vehicle"),
    Label("trailer", 30, IGNORED, "vehicle"),
    Label("train", 31, 16, "vehicle"),
    Label("motorcycle", 32, 17, "vehicle"),
    Label("bicycle", 33, 18, "vehicle"),
    Label("license plate", -1, IGNORED, "vehicle"),
)

BY_NAME = {label.name: label for label in LABELS}

CLASSES: tuple[str, ...] = tuple(
    label.name
    for label in sorted(LABELS, key=lambda label: label.train_id)
    if label.train_id != IGNORED
)
"""The 19 evaluated classes; the index of each is its train id."""

OBJECTS: tuple[str, ...] = (
    "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    "traffic light", "traffic sign",
)  # fmt: skip
"""The ten countable classes."""

CRITICAL: dict[str, tuple[str, ...]] = {
    "fig4_8": (
        "car", "truck", "bus", "motorcycle", "bicycle", "person", "traffic light", "traffic sign",
    ),
    "vru6": ("person", "rider", "motorcycle", "bicycle", "traffic light", "traffic sign"),
    "text3": ("person", "rider", "traffic sign"),
}  # fmt: skip
"""Presets of safety-critical classes: the keys of the paper's Figure 4, vulnerable road users with
what they are hit by or obey, and the three examples of the paper's text."""

_MAX_ID = max(label.id for label in LABELS)
_MAX_TRAIN_ID = len(CLASSES) - 1


def train_ids(label_map: npt.NDArray[Any], encoding: Encoding) -> LabelMap:
    """Return the train ids of a label map.

    Parameters
    ----------
    label_map
        Integers, any shape.
    encoding
        What the integers are: ``ids`` or ``train_ids``.

    Returns
    -------
    uint8 array of the same shape, 0 to 18 and 255 where the pixel is not evaluated.

    Raises
    ------
    DataError
        If a value does not belong to the encoding.
    """
    values = np.unique(label_map)
    if encoding not in evidence(values.tolist()):
        raise DataError(f"values {_shown(values.tolist())} are no {encoding}")
    if encoding == "train_ids":
        return label_map.astype(np.uint8)
    table = np.full(_MAX_ID + 1, IGNORED, dtype=np.uint8)
    for label in LABELS:
        if label.id >= 0:
            table[label.id] = label.train_id
    made: LabelMap = table[label_map]
    return made


def evidence(values: Iterable[int]) -> frozenset[Encoding]:
    """Return the encodings that a set of values may belong to.

    Both for values up to 18 alone, which say nothing; none for a mixture, or other values.
    """
    found = set(values)
    encodings: set[Encoding] = set()
    if all(0 <= value <= _MAX_ID for value in found):
        encodings.add("ids")
    if all(0 <= value <= _MAX_TRAIN_ID or value == IGNORED for value in found):
        encodings.add("train_ids")
    return frozenset(encodings)


def check_encoding(values: Iterable[int], encoding: Encoding, *, where: str) -> bool:
    """Check that a file's values may belong to the encoding that its name declares.

    Returns
    -------
    Whether they can belong to no other: a file of values up to 18 alone decides nothing.

    Raises
    ------
    DataError
        If they cannot belong to it; the message says what they look like instead.
    """
    found = set(values)
    possible = evidence(found)
    if encoding in possible:
        return len(possible) == 1
    other = next(iter(possible), None)
    what = f"it holds {other}" if other else "it is neither ids nor train_ids"
    raise DataError(
        f"named as {encoding}, but {what} (values {_shown(found)})",
        where=where,
        hint="id 7 is road and train id 7 is traffic sign: rename the file, or write it anew",
    )


def _shown(values: Iterable[int]) -> str:
    ordered = sorted(values)
    return ", ".join(map(str, ordered[:8])) + (f", ... {ordered[-1]}" if len(ordered) > 8 else "")
