"""Street scenes as rows: the official folder tree, a mirror, or the drawn stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Json

from vlm_eval.core.errors import DataError, MissingData, TaskError, did_you_mean
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.check import Checkup, Progress
from vlm_eval.data.cityscapes.labels import CRITICAL, Encoding, LabelMap
from vlm_eval.data.cityscapes.safety import FILES, SafetyLabels, read_safety_labels
from vlm_eval.data.cityscapes.scenes import Mirror, View, drawn_views, table_views, tree_views
from vlm_eval.data.cityscapes.tree import IMAGES, LAYOUT, SPLITS
from vlm_eval.data.cityscapes.truth import RULE, class_pixels, corridor_safety, present
from vlm_eval.data.tables import open_folder, open_hub

SYNTHETIC = (
    "synthetic: drawn street scenes, not Cityscapes; no number here is a Cityscapes result "
    "(give the data: --data TASK=PATH)"
)
MARKER = "SYNTHETIC.txt"
"""A file of this name in a data folder says that its scenes are drawn."""
SUBSET_SIZE = 50


@configurable
class Cityscapes:
    """Street scenes with the classes that are in them, by the label map of the clean image.

    A row has the fields ``image_id``, ``city``, ``split`` and ``image``; ``present``, the classes
    with at least one pixel, and ``present_area``, those that cover at least 0.0005 of the image
    (in the order of train ids); ``largest``, the class with most pixels; ``critical``, the preset's
    classes, and ``critical_preset``, its name; ``safety``, the label or None; ``questions``, what
    is asked about it.

    Attributes
    ----------
    path
        The root of the official folder tree; or, with ``columns``, a table of a mirror.
    hub, config, revision
        A mirror on the hub, in place of ``path``; needs ``columns``. Test that images and label
        maps of a mirror belong together: some do not.
    embedded
        Draw the synthetic stand-in.
    split
        ``val``, or ``train``. ``test`` has no labels.
    columns
        Of a mirror: which column is ``image``, ``labels`` and, if there is one, ``id``; a mapping,
        or its JSON text.
    encoding
        Of a mirror: what its label maps hold, ``ids`` or ``train_ids``; None to tell by values.
    id2label
        Of a mirror with numbers of its own: the Cityscapes name of each.
    subset
        ``all``; ``paper_n50``, the first 50 of the sorted list; ``seeded_n50``, 50 drawn by seed.
    critical
        Preset of safety-critical classes: ``fig4_8``, ``vru6`` or ``text3``.
    safety
        Safety labels: ``auto`` (the root's ``safety_labels.csv`` or ``.jsonl``, otherwise the
        rule), ``gt_corridor_v1`` (the rule, a synthetic stand-in for annotators), ``none``, or a
        file of ``image_id,label[,annotator]``.
    min_area
        Share of the image that a class of ``present_area`` covers at least.
    count, seed
        Number of drawn scenes; seed of them and of ``seeded_n50``.

    Raises
    ------
    TaskError
        If the options contradict each other or one is unknown.
    """

    path: str | None = None
    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    embedded: bool = False
    split: str = "val"
    columns: dict[str, str] | Json[dict[str, str]] | None = None
    encoding: Encoding | None = None
    id2label: dict[int, str] | Json[dict[int, str]] | None = None
    subset: Literal["all", "paper_n50", "seeded_n50"] = "all"
    critical: str = "fig4_8"
    safety: str = "auto"
    min_area: Annotated[float, Field(ge=0, le=1)] = 0.0005
    count: Annotated[int, Field(ge=1)] = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if sum([self.path is not None, self.hub is not None, self.embedded]) > 1:
            raise TaskError("cityscapes: more than one of path, hub and embedded", hint="give one")
        if self.critical not in CRITICAL:
            hint = did_you_mean(self.critical, CRITICAL)
            raise TaskError(f"cityscapes: unknown preset critical {self.critical!r}", hint=hint)
        # A mirror may call its splits as it likes, but nobody has labels of the test split.
        if self.split == "test" or (self.columns is None and self.split not in SPLITS):
            why = "which has no labels" if self.split == "test" else "which there is not"
            raise TaskError(f"cityscapes: split {self.split!r}, {why}", hint="val or train")
        if self.hub is not None and self.columns is None:
            raise TaskError(
                "cityscapes: a hub mirror needs columns",
                hint="columns: {image: its name, labels: its name, id: its name if there is one}",
            )
        if self.columns is not None and not {"image", "labels"} <= self.columns.keys() <= {
            "image", "labels", "id",
        }:  # fmt: skip
            raise TaskError("cityscapes: columns names image, labels and, if wanted, id")
        if self.columns is None and (self.encoding or self.id2label):
            raise TaskError(
                "cityscapes: encoding and id2label are for mirrors", hint="give columns"
            )

    def info(self) -> SourceInfo:
        """Return the provenance.

        The digest covers every label file, the safety labels, the options, and the name and
        fingerprint of every image; an image's content is part of each request that shows it.
        """
        options = [self.split, self.subset, self.critical, self.safety, self.min_area, self.seed]
        labels = self._safety_file.digest if self._safety_file else None
        parts = [view.digest() for view in self._views]
        return SourceInfo(
            digest(["cityscapes", options, labels, parts]), self._drawn, "; ".join(self._notices())
        )

    def rows(self) -> Iterator[Row]:
        """Yield image_id, city and split of the images, sorted by id (a mirror's in its order)."""
        for view in self._views:
            yield {"image_id": view.id, "city": view.city, "split": view.split}

    def fields(self, row: Row, condition: Condition) -> Row:  # noqa: ARG002 - of the clean image
        """Return the row with its image and what the label map says; reads both, once."""
        known = self._known.get(row["image_id"])
        if known is None:
            known = self._known[row["image_id"]] = self._read(self._by_id[row["image_id"]])
        return {**row, **known}

    def train_ids(self, image_id: str) -> LabelMap:
        """Return the label map of an image as train ids, uint8 of shape (height, width).

        Raises
        ------
        DataError
            If it cannot be read.
        """
        return self._by_id[image_id].train_ids()

    def check(self, progress: Progress) -> Checkup:
        """Return what the data holds, lacks and has wrong; of a tree, all of it is looked at.

        Raises
        ------
        DataError
            If there is none.
        """
        from vlm_eval.data.cityscapes.check import survey  # which knows this module

        if self.path is not None and self.columns is None:
            return survey(Path(self.path), progress).checkup()
        faults = []
        for done, view in enumerate(self._views):
            progress("images", done, len(self._views))
            try:
                view.train_ids()
                view.image().load()
            except DataError as error:
                faults.append(str(error))
        return Checkup(({"split": self.split, "images": len(self._views)},), tuple(faults))

    def _read(self, view: View) -> dict[str, Any]:
        train_ids = view.train_ids()
        pixels = class_pixels(train_ids)
        if not pixels:
            raise DataError("nothing in it is evaluated", where=view.id, hint="check the labels")
        safety = self._safety_of(view.id, corridor_safety(train_ids))
        asked = ["description", *CRITICAL[self.critical], *(["safety"] if safety else [])]
        return {
            "image": view.image(),
            "present": present(train_ids),
            "present_area": present(train_ids, min_share=self.min_area),
            "largest": max(pixels, key=lambda name: pixels[name]),
            "critical": list(CRITICAL[self.critical]),
            "critical_preset": self.critical,
            "safety": safety,
            "questions": asked,
        }

    def _safety_of(self, image_id: str, by_rule: str | None) -> str | None:
        if self._safety_file is not None:
            return self._safety_file.labels.get(image_id)
        return None if self.safety == "none" else by_rule

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _by_id(self) -> dict[str, View]:
        return {view.id: view for view in self._views}

    @cached_property
    def _views(self) -> tuple[View, ...]:
        views = self._all_views()
        if self.subset == "seeded_n50":
            chosen = sorted(views, key=lambda view: digest([self.seed, "seeded_n50", view.id]))
            views = tuple(sorted(chosen[:SUBSET_SIZE], key=lambda view: view.id))
        return views[:SUBSET_SIZE] if self.subset == "paper_n50" else views

    def _all_views(self) -> tuple[View, ...]:
        if self.embedded:
            return drawn_views(self.count, self.seed)
        if self.path is None and self.hub is None:
            raise MissingData(
                "Cityscapes may not be redistributed and has no official hub copy", layout=LAYOUT
            )
        if self.columns is not None:
            mirror = Mirror(self.columns, self.encoding, self.id2label)
            return table_views(self._table(), self.split, mirror)
        root = Path(self.path or "")
        if not root.is_dir():
            raise MissingData(f"there is no folder {root}", layout=LAYOUT)
        if not (root / IMAGES).is_dir():
            raise MissingData(f"{root} has no folder {IMAGES}", layout=LAYOUT)
        return tree_views(root, self.split)

    def _table(self) -> Any:
        if self.path is not None:
            return open_folder(Path(self.path), self.split)
        return open_hub(
            self.hub or "",
            split=self.split,
            config=self.config,
            revision=self.revision,
            layout=LAYOUT,
        )

    @cached_property
    def _safety_file(self) -> SafetyLabels | None:
        if self.safety in ("none", RULE):
            return None
        if self.safety != "auto":
            return read_safety_labels(Path(self.safety))
        here = [Path(self.path) / name for name in FILES] if self.path else []
        found = [file for file in here if file.is_file()]
        if len(found) > 1:
            raise DataError(f"both {FILES[0]} and {FILES[1]}", where=self.path, hint="keep one")
        return read_safety_labels(found[0]) if found else None

    @property
    def _drawn(self) -> bool:
        return self.embedded or (self.path is not None and (Path(self.path) / MARKER).is_file())

    def _notices(self) -> Iterator[str]:
        if self._drawn:
            yield SYNTHETIC
        if self.split == "train":
            yield "warning: the train split, which models may have been trained on"
        yield f"critical classes: {self.critical}"
        if self._safety_file is not None:
            missing = sum(view.id not in self._safety_file.labels for view in self._views)
            yield f"safety labels: {self._safety_file.file}" + (
                f" ({missing} of {len(self._views)} images have none)" if missing else ""
            )
        elif self.safety == "none":
            yield "safety labels: none, so no SMR"
        else:
            yield f"safety labels: synthetic, by the rule {RULE}, no annotator's"
