"""SugarCrepe (arXiv 2306.14610) as rows: one image, its caption and a hard negative one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vlm_eval.core.errors import DataError, MissingData, TaskError, did_you_mean
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.cells import image_cell, needed_text, text_cell
from vlm_eval.data.check import Checkup, Progress, broken
from vlm_eval.data.images import fingerprint, open_image
from vlm_eval.data.pairs.orders import Orders, is_asked
from vlm_eval.data.pairs.synthetic import pairs
from vlm_eval.data.tables import CellTable, open_hub

SUBSETS = {
    "add_att": (692,), "add_obj": (2062,), "replace_att": (788,), "replace_obj": (1652,),
    "replace_rel": (1406,), "swap_att": (666,), "swap_obj": (246, 245),
}  # fmt: skip
"""Items as released: 7,512 in the paper; a later swap_obj has one less."""

ORDERS = ("positive_first", "negative_first")
LAYOUT = (
    "DIR/swap_obj.json and the other six files of the release, in DIR or DIR/data, and COCO's "
    "val2017 images in DIR/val2017, DIR/images or option images=FOLDER"
)
SYNTHETIC = (
    "synthetic: drawn stand-in pairs, not SugarCrepe; no number here is a SugarCrepe result "
    "(give the data: --data sugarcrepe=PATH)"
)
_TEXTS = ("caption", "negative_caption")


@configurable
class SugarCrepe:
    """Images with a caption and a negative one, from the release's files or a hub data set.

    A row has the fields id, subset, form (add, replace or swap), image, filename, caption and
    negative_caption; under a condition with an ``order`` also ``asked``.

    Attributes
    ----------
    path
        A folder with the files ``<subset>.json``, or one such file.
    hub
        A hub data set with the columns image, caption and negative_caption, and subset, if it has
        several.
    embedded
        Draw the stand-in.
    split, config, revision
        Of the hub data set.
    images
        Folder of COCO's val2017 images, if it is none of ``val2017``, ``images`` and the folder of
        the files itself.
    subsets
        Subsets to take, a list or one text with "+" between them. None: all that are there.
    orders
        Orders in which the captions are asked: ``both``, ``fixed`` (positive first) or ``hash``.
    count, seed
        Size and seed of the stand-in; the seed is that of hashed orders, too.
    """

    path: str | None = None
    hub: str | None = None
    embedded: bool = False
    split: str = "test"
    config: str | None = None
    revision: str | None = None
    images: str | None = None
    subsets: tuple[str, ...] | str | None = None
    orders: Orders = "both"
    count: Annotated[int, Field(ge=1)] = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if sum((self.path is not None, self.hub is not None, self.embedded)) > 1:
            raise TaskError("sugarcrepe: more than one of path, hub and embedded", hint="give one")
        for name in self._wanted or ():
            if name not in SUBSETS:
                raise TaskError(
                    f"sugarcrepe: unknown subset {name!r}", hint=did_you_mean(name, SUBSETS)
                )

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers every text and every image."""
        identity = [
            {
                key: fingerprint(item) if isinstance(item, ImageRef) else item
                for key, item in row.items()
            }
            for row in self._rows
        ]
        notice = SYNTHETIC if self.embedded else None
        return SourceInfo(digest(["sugarcrepe", identity]), self.embedded, notice)

    def rows(self) -> Iterator[Row]:
        """Yield the items, subset by subset."""
        yield from self._rows

    def fields(self, row: Row, condition: Condition) -> Row:
        """Return the row and whether it is ``asked`` in the condition's order."""
        if "order" not in condition:
            return row
        place = ORDERS.index(str(condition["order"]))
        return {**row, "asked": is_asked(self.orders, place, row["id"], "i2c", 0, self.seed)}

    @property
    def _wanted(self) -> tuple[str, ...] | None:
        given = self.subsets.split("+") if isinstance(self.subsets, str) else self.subsets
        return None if given is None else tuple(name.strip() for name in given)

    @cached_property
    def _rows(self) -> tuple[Row, ...]:
        if self.embedded:
            return tuple(_drawn(self.count, self.seed))
        if self.hub is not None:
            return tuple(self._hub_rows(self.hub))
        if self.path is None:
            raise MissingData("no copy of SugarCrepe is named", layout=LAYOUT)
        rows: list[Row] = []
        for _, row in self._local():
            if isinstance(row, DataError):
                raise row
            rows.append(row)
        return tuple(rows)

    def _local(self) -> Iterator[tuple[str, Row | DataError]]:
        """Yield the subset and the row of each item, or what is first wrong with it."""
        root = self._images()
        image = cache(lambda name: _image(root, name))
        for subset, file in self._files().items():
            try:
                items = list(_items(file))
            except DataError as error:
                yield subset, error
                continue
            for key, item in items:
                where = f"{file}, item {key}"
                try:
                    filename = _text(item, "filename", where)
                    texts = [_text(item, name, where) for name in _TEXTS]
                    yield subset, _row(subset, key, image(filename), filename, texts, where)
                except DataError as error:
                    yield subset, error

    def check(self, progress: Progress) -> Checkup:
        """Return what the data holds, lacks and has wrong. Raises DataError if there is none."""
        if self.path is None:
            return Checkup(
                tuple(_counts(self._rows)), tuple(broken(_pictures(self._rows), progress))
            )
        found = list(self._local())
        rows = [row for _, row in found if not isinstance(row, DataError)]
        faults = [f"{row.where}: {row.what}" for _, row in found if isinstance(row, DataError)]
        faults = list(dict.fromkeys(faults))  # of an image that several items show
        notes = [f"the layout is {LAYOUT}"] if faults else []
        for name, published in SUBSETS.items():
            there = sum(subset == name for subset, _ in found)
            if there not in published:
                notes.append(f"{name}: {there or 'no'} items, {published[0]} as published")
        faults += broken(_pictures(rows), progress)
        return Checkup(tuple(_counts(rows)), tuple(faults), tuple(notes))

    def _files(self) -> dict[str, Path]:
        path = Path(self.path or "")
        if path.is_file():
            if path.stem not in SUBSETS:
                hint = did_you_mean(path.stem, SUBSETS)
                raise DataError("its name is no subset of SugarCrepe", where=str(path), hint=hint)
            return {path.stem: path}
        if not path.is_dir():
            raise DataError("no such file or folder", where=str(path), hint=LAYOUT)
        found = {
            name: file
            for name in SUBSETS
            for file in (path / "data" / f"{name}.json", path / f"{name}.json")
            if file.is_file()
        }
        wanted = self._wanted or tuple(found)
        missing = [name for name in wanted if name not in found]
        if missing or not found:
            names = ", ".join(f"{name}.json" for name in missing or SUBSETS)
            raise DataError(f"no {names} in it", where=str(path), hint=LAYOUT)
        return {name: found[name] for name in wanted}

    def _images(self) -> Path:
        path = Path(self.path or "")
        folder = path.parent if path.is_file() else path
        if self.images is not None:
            if not Path(self.images).is_dir():
                raise DataError("no such folder of images", where=self.images, hint=LAYOUT)
            return Path(self.images)
        inside = (folder / name for name in ("val2017", "images"))
        return next((place for place in inside if place.is_dir()), folder)

    def _hub_rows(self, hub: str) -> Iterator[Row]:
        table = open_hub(
            hub, split=self.split, config=self.config, revision=self.revision, layout=LAYOUT
        )
        missing = [name for name in ("image", *_TEXTS) if name not in table.columns]
        if missing:
            what = f"no column {', '.join(missing)}; found {', '.join(table.columns)}"
            raise DataError(what, where=table.name)
        for index in range(len(table)):
            subset = text_cell(table, index, "subset") or self.config or "unknown"
            if self._wanted is None or subset in self._wanted:
                yield _table_row(table, index, subset)


def _table_row(table: CellTable, index: int, subset: str) -> Row:
    texts = [needed_text(table, index, name) for name in _TEXTS]
    image = image_cell(table, index, "image")
    name = text_cell(table, index, "filename") or image.key[:12]
    return _row(subset, str(index), image, name, texts, table.place(index))


def _pictures(rows: Iterable[Row]) -> Iterator[ImageRef]:
    return (row["image"] for row in rows)


def _counts(rows: Sequence[Row]) -> Iterator[dict[str, str | int]]:
    for subset in dict.fromkeys(row["subset"] for row in rows):
        names = [row["filename"] for row in rows if row["subset"] == subset]
        yield {"subset": subset, "items": len(names), "images": len(set(names))}


def _items(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the items of a file: an object of objects by number, or a list of them."""
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"not readable JSON: {error}", where=str(file)) from error
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, item in items:
        if not isinstance(item, dict):
            raise DataError(f"item {key} is no object", where=str(file))
        yield str(key), item


def _text(item: dict[str, Any], name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{name} is empty or missing", where=where)
    return value


def _image(root: Path, filename: str) -> ImageRef:
    try:
        return open_image(filename, root=root)
    except DataError as error:
        raise DataError(error.what, where=f"{root}, {filename}", hint=LAYOUT) from error


def _row(
    subset: str, key: str, image: ImageRef, filename: str, texts: list[str], where: str
) -> Row:
    caption, negative = texts
    if caption.strip() == negative.strip():
        raise DataError(f"both captions are {caption!r}", where=where)
    return {
        "id": f"{subset}-{key}",
        "subset": subset,
        "form": subset.split("_")[0],
        "image": image,
        "filename": filename,
        "caption": caption,
        "negative_caption": negative,
    }


def _drawn(count: int, seed: int) -> Iterator[Row]:
    """Yield drawn pairs, either side's image in turn; they differ in an object, so replace_obj."""
    for index, pair in enumerate(pairs(None, count, seed)):
        side = index // 2 % 2
        texts = [pair[f"caption_{side}"], pair[f"caption_{1 - side}"]]
        image: ImageRef = pair[f"image_{side}"]
        yield _row("replace_obj", str(index), image, f"{pair['id']}.png", texts, pair["id"])
