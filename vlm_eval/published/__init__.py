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
    tables: Mapping[str, Any] = json.loads(_text("cityscapes.json"))
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
    rows = csv.DictReader(_text("vlm-fix.csv").splitlines())
    return "arXiv:2604.12119", tuple(
        Printed(
            row["table"], row["model"], row["group"], row["config"], row["metric"],
            float(row["value"]), row["p_adj"],
        )
        for row in rows
    )  # fmt: skip


class Counted(NamedTuple):
    """How many of the boards that it was asked about a model answered rightly.

    Attributes
    ----------
    prompt, rule
        How was asked: ``base``, ``alias`` or ``semalias``; ``standard`` or ``inverse``.
    model
        The model.
    right, asked
        Of the four games together; direct, canonical drawing, image first, the winner asked for.
    """

    prompt: str
    rule: str
    model: str
    right: int
    asked: int


@functools.cache
def vlm_fix_counts() -> tuple[Counted, ...]:
    """Return the counts of four models that VLM-Fix's released code states, exact."""
    return tuple(
        Counted(row["prompt"], row["rule"], row["model"], int(row["right"]), int(row["asked"]))
        for row in csv.DictReader(_text("vlm-fix-counts.csv").splitlines())
    )


class Steered(NamedTuple):
    """One point of a curve of App. D of "Beyond Perception Errors", read off the figure.

    Attributes
    ----------
    task, model, group
        ``vlm_fix`` with a game, or ``vlmbias_animals_2v3`` (two legs or three) with ``animals``.
    layer
        Where is written, from 1; None of what is not steered.
    metric
        ``base_acc``, ``patched_acc``, ``routing_rule_acc``, ``routing_answer_acc``; of VLMBias also
        ``source_sft_acc``, the trained model that the centroids are of.
    value
        In percent.
    """

    task: str
    model: str
    group: str
    layer: int | None
    metric: str
    value: float


@functools.cache
def vlm_fix_steering() -> tuple[Steered, ...]:
    """Return the digitised curves of VLM-Fix's steering, arXiv:2604.12119, App. D."""
    return tuple(
        Steered(
            row["task"], row["model"], row["group"],
            None if row["layer_1based"] == "all" else int(row["layer_1based"]),
            row["metric"], float(row["value"]),
        )
        for row in csv.DictReader(_text("vlm-fix-steering.csv").splitlines())
    )  # fmt: skip


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
