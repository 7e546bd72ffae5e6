"""What a data source is.

A source turns its options into rows. A row is a mapping of field names to JSON-able values and
:class:`~vlm_eval.core.types.ImageRef`; the task file's templates make sample ids, prompts and gold
answers from it. What depends on the condition (the drawing style of a board, the prompt of a rule)
is added by :meth:`Source.fields`.

Every source of a data set that can be held elsewhere takes the options ``path`` (a local copy),
``hub`` (a hub id) and ``embedded`` (draw the synthetic stand-in), at most one of them, and raises
:class:`~vlm_eval.core.errors.MissingData` where it has no data. ``--data`` sets them. A class
variable ``own_hub`` names what ``--data TASK=hub`` reads where the task file names nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from vlm_eval.core.registry import Registry
from vlm_eval.core.types import Condition

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class SourceInfo:
    """Where the rows came from, for provenance.

    Attributes
    ----------
    digest
        A digest of the data: of the files read, or of the generator's name, version and options.
        Images are in it by their :func:`~vlm_eval.data.images.fingerprint`.
    synthetic
        True if the rows are a generated stand-in for a data set that is not at hand. Every output
        then says so and nothing computed on it is called a benchmark result.
    notice
        One line that is printed with every result, or None.
    """

    digest: str
    synthetic: bool = False
    notice: str | None = None


class Source(Protocol):
    """Where samples come from. Implementations are ``configurable`` classes."""

    def info(self) -> SourceInfo:
        """Return the provenance. Raises DataError if the data cannot be read."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield the rows in a stable order. Raises DataError, naming file and field."""
        ...

    def fields(self, row: Row, condition: Condition) -> Row:
        """Return the row with what depends on the condition added."""
        ...


SOURCES: Registry[type[Source]] = Registry(
    "data source",
    {
        "boards": "vlm_eval.data.boards.source:Boards",
        "cityscapes": "vlm_eval.data.cityscapes.source:Cityscapes",
        "pairs": "vlm_eval.data.pairs.source:Pairs",
        "sugarcrepe": "vlm_eval.data.pairs.sugarcrepe:SugarCrepe",
        "pope": "vlm_eval.data.pope.source:Pope",
        "scenes": "vlm_eval.data.scenes.source:Scenes",
        "table": "vlm_eval.data.table_source:TableSource",
        "vlmbias": "vlm_eval.data.vlmbias.source:VlmBias",
        "vqa": "vlm_eval.data.vqa.source:Vqa",
    },
    "vlm_eval.sources",
)
