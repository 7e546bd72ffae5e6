"""VLMs are Biased (arXiv 2505.23941) as rows: a hub data set, a local copy, or the stand-in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vlm_eval.core.errors import DataError, MissingData, TaskError, did_you_mean
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.cells import image_cell, needed_text, text_cell
from vlm_eval.data.tables import METADATA, CellTable, open_folder, open_hub
from vlm_eval.data.vlmbias.alias import alias_prompt
from vlm_eval.data.vlmbias.synthetic import drawn

PAPER_TOPICS = ("Animals", "Logos", "Flags", "Game Boards")
"""The four topics of VLM-Fix: 546 + 414 + 240 + 168 = 1,368 rows of split ``main``."""

HUB = "anvo25/vlms-are-biased"
LAYOUT = (
    "the data set's Parquet files, or DIR/metadata.jsonl (.csv, .parquet) with ID, image, topic, "
    "prompt, ground_truth, expected_bias, and DIR's images"
)
SYNTHETIC = (
    "synthetic: drawn stand-in pictures, not VLMs are Biased; no number here is a VLMBias result "
    "(give the data: --data vlmbias=PATH or --data vlmbias=hub)"
)
_NEEDED = ("ID", "topic", "prompt", "ground_truth", "expected_bias")
_INTEGER = re.compile(r"-?\d+")
# What tells the files and questions of one object apart: "..._px384", "..._Q1".
_RESOLUTION = re.compile(r"[_-]?(?:px[_-]?\d+|\d+[_-]?px)(?![A-Za-z0-9])", re.IGNORECASE)
_QUESTION = re.compile(r"[_-]?Q[0-9](?![A-Za-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Loaded:
    """Rows of the chosen topics; how many were left out, and why; which topics are not there."""

    rows: tuple[Row, ...]
    left_out: Counter[str]
    absent: tuple[str, ...]


@configurable
class VlmBias:
    """Counting questions about altered pictures, with the answer that prior knowledge gives.

    A row has the fields id, object (the picture without its resolution), image_id, image, topic,
    sub_topic, question, resolution (px, or None), prompt, alias_prompt, alias_fallback (whether the
    prompt has no alias form, so that ``alias_prompt`` is the prompt), answer and bias: the first
    integers of ``ground_truth`` and of ``expected_bias`` (None if it has none).

    Attributes
    ----------
    path
        A table file; a folder with ``metadata.*`` and images; or a folder that ``datasets`` reads.
    hub
        A hub data set id.
    embedded
        Draw the stand-in.
    split, config, revision
        Of the hub data set.
    topics
        Topics to take, a list or one text with "+" between them; ``all`` takes every one. None: the
        paper's four, as far as they are there; a notice names those that are not.
    questions
        Values of ``type_of_question`` to take, where the data has that column. Q3 is identification
        and has no number.
    originals
        Add the unaltered pictures, whose right answer is the one that everybody knows: split
        ``original`` of the hub data set, or drawn ones; a local copy is taken as it is. Rows then
        have a field ``altered`` too, and ``bias`` is never None.
    count, seed
        Number of things drawn and their seed, with ``embedded``.
    """

    path: str | None = None
    hub: str | None = None
    embedded: bool = False
    split: str = "main"
    config: str | None = None
    revision: str | None = None
    topics: tuple[str, ...] | str | None = None
    questions: tuple[str, ...] = ("Q1", "Q2")
    originals: bool = False
    count: Annotated[int, Field(ge=1)] = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if sum((self.path is not None, self.hub is not None, self.embedded)) > 1:
            raise TaskError("vlmbias: more than one of path, hub and embedded", hint="give one")
        if not self._wanted:
            raise TaskError("vlmbias: no topic is named", hint="topics: all takes every one")

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers every text and every image."""
        identity = [
            {key: item.key if isinstance(item, ImageRef) else item for key, item in row.items()}
            for row in self._loaded.rows
        ]
        notices = [SYNTHETIC] if self.embedded else []
        notices += [notice for notice in (self._fallbacks(), self._left_out()) if notice]
        return SourceInfo(
            digest(["vlmbias", identity]), self.embedded, "; ".join(notices) if notices else None
        )

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the chosen topics in the data set's order."""
        yield from self._loaded.rows

    def fields(self, row: Row, condition: Condition) -> Row:  # noqa: ARG002 - prompts are fields
        """Return the row: both prompts are in it."""
        return row

    @property
    def _wanted(self) -> tuple[str, ...]:
        given = self.topics.split("+") if isinstance(self.topics, str) else self.topics
        if given is None:
            return PAPER_TOPICS
        return tuple(topic.strip() for topic in given if topic.strip())

    @cached_property
    def _loaded(self) -> Loaded:
        if self.embedded:
            made = drawn(self.count, self.seed, originals=self.originals)
            return self._chosen(list(made), "drawn")
        table = self._table()
        image = next((name for name in ("image", "image_path") if name in table.columns), "image")
        missing = [name for name in (*_NEEDED, image) if name not in table.columns]
        if missing:
            what = f"no column {', '.join(missing)}; found {', '.join(table.columns) or 'none'}"
            raise DataError(what, where=table.name, hint=f"needed: {', '.join(_NEEDED)}, image")
        if not len(table):
            raise DataError("the table has no rows", where=table.name)
        return self._chosen([_cells(table, row, image) for row in range(len(table))], table.name)

    def _table(self) -> CellTable:
        hub = self.hub
        if self.path is not None:
            folder = Path(self.path)
            if not folder.is_dir() or any((folder / name).is_file() for name in METADATA):
                return open_folder(folder)
            hub = self.path
        if hub is None:
            raise MissingData("no copy of VLMs are Biased is named", layout=LAYOUT, hub=HUB)
        split = f"{self.split}+original" if self.originals else self.split
        return open_hub(hub, split=split, config=self.config, revision=self.revision, layout=LAYOUT)

    def _chosen(self, cells: list[dict[str, Any]], where: str) -> Loaded:
        found = list(dict.fromkeys(row["topic"] for row in cells))
        wanted = tuple(found) if self._wanted == ("all",) else self._wanted
        absent = [topic for topic in wanted if topic not in found]
        if absent and (self.topics is not None or len(absent) == len(wanted)):
            hint = did_you_mean(absent[0], found)
            raise DataError(f"no topic {absent[0]!r}", where=where, hint=hint)
        rows, left_out = [], Counter[str]()
        for row in cells:
            if row["topic"] not in wanted:
                continue
            if row["type_of_question"] not in (None, *self.questions):
                left_out[f"questions other than {', '.join(self.questions)}"] += 1
            elif _first_integer(row["ground_truth"]) is None:
                left_out["right answer is no number"] += 1
            else:
                rows.append(self._with_originals(_row(row)))
        if not rows:
            hint = "check data.split, data.topics and data.questions"
            raise DataError("no row has a number for its answer", where=where, hint=hint)
        return Loaded(tuple(rows), left_out, tuple(absent))

    def _with_originals(self, row: Row) -> Row:
        if not self.originals:
            return row
        bias = row["answer"] if row["bias"] is None else row["bias"]
        return {**row, "bias": bias, "altered": row["answer"] != bias}

    def _fallbacks(self) -> str | None:
        rows = self._loaded.rows
        kept = [row for row in rows if row["alias_fallback"]]
        if not kept:
            return None
        topics = Counter(row["topic"] for row in kept)
        shown = ", ".join(f"{topic} {count}" for topic, count in topics.items())
        return (
            f"{len(kept)} of {len(rows)} prompts have no alias form and are asked unchanged under "
            f"alias ({shown}; field alias_fallback)"
        )

    def _left_out(self) -> str | None:
        parts = [f"{count} rows left out: {why}" for why, count in self._loaded.left_out.items()]
        parts += [f"no rows of topic {topic}" for topic in self._loaded.absent]
        return "; ".join(parts) or None


def _cells(table: CellTable, row: int, image: str) -> dict[str, Any]:
    """Return what is used of a table's row, the image undecoded."""
    named = table.cell(row, "ID")
    number = isinstance(named, int) and not isinstance(named, bool)
    where_image = text_cell(table, row, "image_path")
    return {
        "ID": str(named) if number else needed_text(table, row, "ID"),
        "image": image_cell(table, row, image),
        "image_path": where_image,
        "topic": needed_text(table, row, "topic").strip(),
        "sub_topic": text_cell(table, row, "sub_topic"),
        "prompt": needed_text(table, row, "prompt"),
        "ground_truth": table.cell(row, "ground_truth"),
        "expected_bias": table.cell(row, "expected_bias"),
        "type_of_question": text_cell(table, row, "type_of_question"),
        "pixel": table.cell(row, "pixel"),
    }


def _row(cells: dict[str, Any]) -> Row:
    topic, prompt = cells["topic"], cells["prompt"]
    picture = cells["image_path"] or _QUESTION.sub("", cells["ID"])
    alias = alias_prompt(topic, prompt)
    pixel = _first_integer(cells["pixel"])
    return {
        "id": "/".join(
            str(part)
            for part in (topic, cells["ID"], cells["type_of_question"], pixel)
            if part is not None
        ),
        "object": f"{topic}/{_RESOLUTION.sub('', _QUESTION.sub('', Path(picture).stem))}",
        "image_id": picture,
        "image": cells["image"],
        "topic": topic,
        "sub_topic": cells["sub_topic"],
        "question": cells["type_of_question"],
        "resolution": None if pixel is None else int(pixel),
        "prompt": prompt,
        "alias_prompt": prompt if alias is None else alias,
        "alias_fallback": alias is None,
        "answer": _first_integer(cells["ground_truth"]),
        "bias": _first_integer(cells["expected_bias"]),
    }


def _first_integer(value: Any) -> str | None:
    """Return the first integer of a cell as written; the reference of accuracy and of bias."""
    match = None if value is None else _INTEGER.search(str(value))
    return match[0] if match else None
