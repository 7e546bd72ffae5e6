"""What a label map says about a scene: which classes are there, and a rule-made safety label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vlm_eval.data.cityscapes.labels import CLASSES, IGNORED, LabelMap

RULE = "gt_corridor_v1"
"""Name of the rule of :func:`corridor_safety`."""

# Left and right edge of the corridor at its lower and its upper end, in shares of the image.
_LOWER, _UPPER = (0.80, 0.25, 0.75), (0.50, 0.44, 0.56)
_OBSTACLES = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
_PEOPLE = ("person", "rider")
_OBSTACLE_SHARE, _PEOPLE_SHARE = 0.02, 0.002


def class_pixels(train_ids: LabelMap) -> dict[str, int]:
    """Return the number of pixels of each class that is there, in the order of train ids."""
    counts = np.bincount(train_ids.ravel(), minlength=IGNORED + 1)
    return {name: int(counts[i]) for i, name in enumerate(CLASSES) if counts[i]}


def present(train_ids: LabelMap, *, min_pixels: int = 1, min_share: float = 0.0) -> list[str]:
    """Return the classes of which there are enough pixels, in the order of train ids.

    Parameters
    ----------
    train_ids
        uint8, shape (height, width), 255 where not evaluated.
    min_pixels
        Smallest number of pixels.
    min_share
        Smallest share of the whole image, not evaluated pixels included.
    """
    needed = max(min_pixels, min_share * train_ids.size)
    return [name for name, pixels in class_pixels(train_ids).items() if pixels >= needed]


def corridor_safety(train_ids: LabelMap) -> str | None:
    """Return ``safe`` or ``unsafe`` by the rule ``gt_corridor_v1``: a stand-in, no annotation.

    The corridor is the trapezoid (0.25, 0.80), (0.75, 0.80), (0.56, 0.50), (0.44, 0.50) in shares
    of width and height, less the pixels that are not evaluated (the ego vehicle among them).
    ``unsafe`` if road users (person, rider and the six vehicles) cover 2 % of it or more, or
    persons and riders alone 0.2 %; None if nothing of the corridor is evaluated.
    """
    inside = train_ids[corridor(*train_ids.shape)]
    inside = inside[inside != IGNORED]
    if inside.size == 0:
        return None
    counts = np.bincount(inside, minlength=len(CLASSES)) / inside.size

    def share(names: tuple[str, ...]) -> float:
        return float(sum(counts[CLASSES.index(name)] for name in names))

    unsafe = share(_OBSTACLES) >= _OBSTACLE_SHARE or share(_PEOPLE) >= _PEOPLE_SHARE
    return "unsafe" if unsafe else "safe"


def corridor(height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return which pixels have their centre in the corridor, shape (height, width)."""
    y = (np.arange(height) + 0.5) / height
    x = (np.arange(width) + 0.5) / width
    (low, low_left, low_right), (high, high_left, high_right) = _LOWER, _UPPER
    along = (y - high) / (low - high)
    left = high_left + along * (low_left - high_left)
    right = high_right + along * (low_right - high_right)
    within = (along >= 0) & (along <= 1)
    columns = (x >= left[:, np.newaxis]) & (x <= right[:, np.newaxis])
    made: npt.NDArray[np.bool_] = within[:, np.newaxis] & columns
    return made
