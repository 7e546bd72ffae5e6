"""What a copy of a data set holds, lacks and has wrong.

A source may say so itself, by a method ``check`` (:class:`Checkable`), which goes on after a fault
and so finds all of them. Any other is read once, and its images are decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from vlm_eval.core.errors import DataError
from vlm_eval.core.types import ImageRef
from vlm_eval.data.base import Source

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is looked at, how many are done, and of how many."""


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes
    ----------
    counts
        What is there: rows of a table, each with the same columns.
    faults
        What keeps the data from being used, each with its place.
    notes
        What does not.
    """

    counts: tuple[Mapping[str, str | int], ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def usable(self) -> bool:
        """Whether there is something, and nothing is wrong with it."""
        return bool(self.counts) and not self.faults


@runtime_checkable
class Checkable(Protocol):
    """A source that can say all that is wrong with its data."""

    def check(self, progress: Progress) -> Checkup:
        """Look at everything. Raises MissingData if there is nothing to look at."""
        ...


def check_source(source: Source, progress: Progress = lambda *_: None) -> Checkup:
    """Return what a source's data holds, lacks and has wrong.

    Raises
    ------
    MissingData
        If it has no data at all.
    """
    if isinstance(source, Checkable):
        return source.check(progress)
    rows = list(source.rows())
    images = [item for row in rows for item in row.values() if isinstance(item, ImageRef)]
    faults = tuple(broken(images, progress))
    notice = source.info().notice
    counts = {
        "rows": len(rows),
        "images": len({image.label for image in images}),
        "broken": len(faults),
    }
    return Checkup((counts,) if rows else (), faults, (notice,) if notice else ())


def broken(images: Iterable[ImageRef], progress: Progress) -> Iterator[str]:
    """Decode each image once and yield what is wrong with those that do not decode."""
    distinct: dict[str, ImageRef] = {}
    for image in images:
        distinct.setdefault(image.label, image)
    for done, image in enumerate(distinct.values()):
        progress("images", done, len(distinct))
        try:
            image.load()
        except DataError as error:
            yield str(error) if error.where else f"{image.label}: {error}"
