"""Numbers that papers have published, each file with its source, to compare with and to test by."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple


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


class Printed(NamedTuple):
    """One printed cell of "Beyond Perception Errors".

    Attributes
    ----------
    table, table_name
        Where it is printed, short (``T2_direct_base``) and in words (``Table 2``, ``Figure 5``).
    model, group, config
        Row and column: ``group`` is a game, a topic or ``macro``, their mean.
    metric, value
        ``std`` and ``inv`` are accuracies under each rule, ``acc`` and ``bias`` those of VLMBias;
        in percent.
    p_adjusted
        As printed, against the base of the row: ``<0.01``, ``~0.09``; empty where there is none.
    """

    table: str
    model: str
    group: str
    config: str
    metric: str
    value: float
    p_adjusted: str

    @property
    def table_name(self) -> str:
        """Return where it is printed, in words."""
        number = self.table.partition("_")[0]
        if number.startswith("Fig"):
            return f"Figure {number.removeprefix('Fig')} (digitised)"
        return f"Table {number.removeprefix('T')}"


@functools.cache
def vlm_fix() -> tuple[str, tuple[Printed, ...]]:
    """Return the source and the printed tables of "Beyond Perception Errors: Semantic ...".

    arXiv:2604.12119, Tables 2 to 22 and the digitised Figures 4, 5, 11 and 12.
    """
    text = resources.files(__package__).joinpath("vlm-fix.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return "arXiv:2604.12119", tuple(
        Printed(
            row["table"], row["model"], row["group"], row["config"], row["metric"],
            float(row["value"]), row["p_adj"],
        )
        for row in rows
    )  # fmt: skip
