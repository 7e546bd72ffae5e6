"""Numbers that papers have published, each file with its source, to compare with and to test by."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any


@functools.cache
def cityscapes() -> Mapping[str, Any]:
    """Return the tables of "Semantic Misalignment ... under Perceptual Degradation", version 1.

    arXiv:2601.08355. Keys: ``source``; ``conditions``, the ten in order; ``table3_miou``, mIoU in
    [0, 1] of each segmentation model; ``tables456_vlm``, HR, COR and SMR in [0, 1] of each
    vision-language model; ``table2_deeplab_class_iou_percent``; ``notes``, what is doubtful. Lists
    are in the order of ``conditions``.
    """
    text = resources.files(__package__).joinpath("cityscapes.json").read_text(encoding="utf-8")
    tables: Mapping[str, Any] = json.loads(text)
    return tables
