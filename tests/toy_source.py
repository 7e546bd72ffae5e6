"""A data source whose rows stand in the task file, for tests of the task layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo


@configurable
class Toy:
    """Rows as given; a text "colour:NAME" becomes an image of that colour.

    The colour "broken" cannot be loaded. Every row gets the field ``seen``: its condition.
    """

    table: tuple[dict[str, Any], ...] = ()
    path: str | None = None
    hub: str | None = None
    kinds: tuple[str, ...] = ()

    def info(self) -> SourceInfo:
        return SourceInfo(digest(self.table), synthetic=True, notice="synthetic: a toy")

    def rows(self) -> Iterator[Row]:
        for row in self.table:
            if not self.kinds or row.get("kind") in self.kinds:
                yield {name: _value(item) for name, item in row.items()}

    def fields(self, row: Row, condition: Condition) -> Row:
        return {**row, "seen": dict(condition)}


def _value(item: Any) -> Any:
    if not (isinstance(item, str) and item.startswith("colour:")):
        return item
    name = item.removeprefix("colour:")

    def load() -> Image.Image:
        if name == "broken":
            raise DataError("cannot be decoded", where=name)
        return Image.new("RGB", (40, 30), name)

    return ImageRef(digest(item), load, name)
