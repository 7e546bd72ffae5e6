"""The table of benchmarks, ``benchmarks.yaml`` beside this file, checked and typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict

from vlm_eval.core.errors import DataError, TaskError, did_you_mean
from vlm_eval.data.vqa.item import Kind
from vlm_eval.data.vqa.readers import READERS


def _known(name: str) -> str:
    if name not in READERS:
        raise ValueError(f"no reader {name!r}")
    return name


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Layout(_Frozen):
    """One published schema of a benchmark.

    Attributes
    ----------
    columns
        Our field to the data set's column, or columns in order; a table has this schema if it has
        all of them.
    optional
        Further columns, empty where the table has none.
    only
        Rows with these values in these columns alone belong to the benchmark.
    read
        Which of :data:`READERS` makes an item of a row.
    """

    columns: Mapping[str, str | tuple[str, ...]]
    optional: Mapping[str, str | tuple[str, ...]] = {}
    only: Mapping[str, str] = {}
    read: Annotated[str, AfterValidator(_known)]

    @property
    def needed(self) -> tuple[str, ...]:
        """All columns that a table must have."""
        names: list[str] = list(self.only)
        for column in self.columns.values():
            names += [column] if isinstance(column, str) else column
        return tuple(dict.fromkeys(names))


class Join(_Frozen):
    """Where a benchmark keeps its pictures apart from its questions.

    Attributes
    ----------
    config
        Configuration of the hub data set, and folder of a local copy.
    key, image
        Columns of the pictures' table: what questions call a picture, and the picture.
    """

    config: str
    key: str
    image: str


class Benchmark(_Frozen):
    """A benchmark.

    Attributes
    ----------
    title
        Its name in messages.
    hub, config, split
        Of its public copy; several configurations are read one after the other.
    layouts
        Its schemas; the first that fits is read.
    join
        Where its pictures are, if in a table of their own.
    suffix
        By kind, what ends the prompt.
    listed
        Whether the prompt lays the options out below the question, ``A. text`` on a line each;
        otherwise the question is sent as published, its options in it.
    lead
        What stands between the question and the options below it.
    preface
        What comes first of all, with ``{letters}`` (A, B, ...) in it.
    context
        What comes before the question if there is a hint, with ``{hint}`` in it.
    capitalise
        Whether the question is sent through ``str.capitalize``, as lmms-eval does for TextVQA.
    """

    title: str
    hub: str
    split: str
    layouts: tuple[Layout, ...]
    config: str | tuple[str, ...] | None = None
    join: Join | None = None
    suffix: Mapping[Kind, str] = {}
    listed: bool = True
    lead: str = ""
    preface: str = ""
    context: str = ""
    capitalise: bool = False

    def layout(self, found: Collection[str], *, where: str) -> Layout:
        """Return the layout of a table with these columns.

        Raises
        ------
        DataError
            If none fits; lists the columns found, needed and missing.
        """
        for layout in self.layouts:
            if set(layout.needed) <= set(found):
                return layout
        nearest = min(self.layouts, key=lambda layout: len(set(layout.needed) - set(found)))
        missing = [name for name in nearest.needed if name not in found]
        raise DataError(
            f"no column {', '.join(missing)}; found {', '.join(found) or 'none'}",
            where=where,
            hint=f"{self.title} is read from the columns {', '.join(nearest.needed)}",
        )

    def describe(self) -> str:
        """Return what a local copy holds, for messages."""
        configs = (self.config,) if isinstance(self.config, str) else self.config
        where = f"config {' and '.join(configs)}, " if configs else ""
        columns = ", ".join(self.layouts[0].needed)
        return (
            f"a .parquet, .jsonl or .tsv file, or a folder of them, in the hub's own schema: "
            f"{where}split {self.split}, columns {columns}"
        )


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """Return all benchmarks by name."""
    text = (
        resources.files("vlm_eval.data.vqa").joinpath("benchmarks.yaml").read_text(encoding="utf-8")
    )
    table: dict[str, Any] = yaml.safe_load(text)["benchmarks"]
    return {name: Benchmark.model_validate(entry) for name, entry in table.items()}


def benchmark(name: str) -> Benchmark:
    """Return a benchmark. Raises TaskError, with the nearest name, if there is none."""
    known = benchmarks()
    if name not in known:
        raise TaskError(f"unknown benchmark {name!r}", hint=did_you_mean(name, known))
    return known[name]
