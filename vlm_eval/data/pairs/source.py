"""Minimal pairs as rows: a folder, a hub data set, or the drawn stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Json

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.check import Checkup, Progress
from vlm_eval.data.images import fingerprint
from vlm_eval.data.pairs.check import check_pairs
from vlm_eval.data.pairs.columns import OPTIONAL, column_map
from vlm_eval.data.pairs.composite import side_by_side
from vlm_eval.data.pairs.loader import Loaded, decoded, load_pairs
from vlm_eval.data.pairs.orders import Orders, is_asked
from vlm_eval.data.pairs.synthetic import pairs
from vlm_eval.data.tables import CellTable, open_folder, open_hub

SYNTHETIC = (
    "synthetic: drawn stand-in pairs, not {benchmark}; no number here is a {benchmark} result "
    "(give the data: --data {task}=PATH)"
)
SHOWN = 5
COMPOSITE = "c2i_composite"
SELECTIONS = ("i2c", "c2i", COMPOSITE)
"""Questions with two options; the others are yes/no questions and have no order."""
LAYOUT = (
    "DIR/metadata.jsonl (or .csv, .parquet) with id, image_0, image_1, caption_0, caption_1, "
    "and DIR's images"
)


@configurable
class Pairs:
    """Pairs of images and captions that differ in one thing; image k belongs with caption k.

    A row has the fields id, subset, image_0, image_1, caption_0, caption_1, and label_0, label_1,
    category, source and license, which are None where the data set does not say.

    Attributes
    ----------
    subset
        ``mis`` (safe and unsafe) or ``mic`` (two cultural contexts); None for a data set without
        subsets.
    benchmark
        What the data set is called, for messages.
    path
        A folder with ``metadata.jsonl``, ``.json``, ``.csv`` or ``.parquet`` and its images, or
        that file.
    hub
        A hub data set id (or a folder that ``datasets`` reads), in place of ``path``.
    split, config, revision
        Of the hub data set.
    columns
        Which column is which field, where the names differ: a named column map (``winoground``),
        or a mapping of our names to the data set's, or its JSON text.
    embedded
        Draw the stand-in, as also with neither ``path`` nor ``hub``.
    orders
        Orders in which the options of a choice are asked: ``both``, ``fixed`` or ``hash``.
    count, seed
        Size and seed of the drawn stand-in; the seed is that of hashed orders, too.

    Raises
    ------
    TaskError
        If the options contradict each other.
    """

    subset: Literal["mis", "mic"] | None = None
    benchmark: str = "MiSCHiEF"
    path: str | None = None
    hub: str | None = None
    split: str = "test"
    config: str | None = None
    revision: str | None = None
    columns: Annotated[
        dict[str, str] | Json[dict[str, str]] | str | None, Field(union_mode="left_to_right")
    ] = None
    embedded: bool = False
    orders: Orders = "both"
    count: Annotated[int, Field(ge=1)] = 100
    seed: int = 0

    def __post_init__(self) -> None:
        column_map(self.columns)
        if self.path is not None and self.hub is not None:
            raise TaskError("pairs: both path and hub are given", hint="give one")
        if self.embedded and not self._drawn:
            raise TaskError("pairs: embedded beside path or hub", hint="give one")
        if self.columns is not None and self._drawn and not self.embedded:
            raise TaskError("pairs: columns without data", hint="give path or hub too")

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers every text and every image's fingerprint."""
        identity = [
            {
                name: fingerprint(value) if isinstance(value, ImageRef) else value
                for name, value in row.items()
            }
            for row in self._loaded.rows
        ]
        notice = self._synthetic_notice() if self._drawn else self._dropped_notice()
        return SourceInfo(digest(["pairs", identity]), synthetic=self._drawn, notice=notice)

    def rows(self) -> Iterator[Row]:
        """Yield the pairs in the data set's order."""
        yield from self._loaded.rows

    def fields(self, row: Row, condition: Condition) -> Row:
        """Return the row and what depends on the condition.

        ``label`` of its side; whether the choice is ``asked`` in its order; and, for the question
        ``c2i_composite``, ``composite``: both images as one, in its order. The images are decoded
        once, so that a broken one comes to light before anything is asked about it.
        """
        self._check_images(row)
        if "side" not in condition:
            return row
        question, side = str(condition.get("question")), int(condition["side"])
        made = {**row, "label": row[f"label_{side}"], "asked": True}
        if question not in SELECTIONS:
            return made
        place = 1 if condition.get("order") == "ba" else 0
        made["asked"] = is_asked(self.orders, place, row["id"], question, side, self.seed)
        if question == COMPOSITE:
            images = row["image_0"], row["image_1"]
            made["composite"] = side_by_side(*(images[::-1] if place else images))
        return made

    def check(self, progress: Progress) -> Checkup:
        """Return what the data holds, lacks and has wrong. Raises DataError if there is none."""
        if self._drawn:
            return Checkup(({"drawn pairs": len(self._loaded.rows)},), ())
        return check_pairs(self._table(), column_map(self.columns), self.subset, progress)

    def _check_images(self, row: Row) -> None:
        if row["id"] in self._checked or self._drawn:
            return
        columns = column_map(self.columns)
        for name in ("image_0", "image_1"):
            decoded(row[name], f"{self._loaded.places[row['id']]}, column {columns.column(name)}")
        self._checked.add(row["id"])

    @cached_property
    def _checked(self) -> set[str]:
        return set()

    @property
    def _drawn(self) -> bool:
        return self.path is None and self.hub is None

    @cached_property
    def _loaded(self) -> Loaded:
        if self._drawn:
            unknown = dict.fromkeys(OPTIONAL)
            drawn = pairs(self.subset, self.count, self.seed)
            return Loaded(tuple({**unknown, **row} for row in drawn), ())
        return load_pairs(self._table(), column_map(self.columns), self.subset, decode=False)

    def _table(self) -> CellTable:
        if self.path is not None:
            return open_folder(Path(self.path), *([self.subset] if self.subset else []))
        return open_hub(
            self.hub or "",
            split=self.split,
            config=self.config,
            revision=self.revision,
            layout=LAYOUT,
        )

    def _synthetic_notice(self) -> str:
        return SYNTHETIC.format(
            benchmark=self.benchmark, task=self.subset or self.benchmark.lower()
        )

    def _dropped_notice(self) -> str | None:
        dropped = self._loaded.dropped
        if not dropped:
            return None
        total = len(dropped) + len(self._loaded.rows)
        names = ", ".join(dropped[:SHOWN]) + (", ..." if len(dropped) > SHOWN else "")
        return f"{len(dropped)} of {total} pairs dropped, both images are the same file: {names}"
