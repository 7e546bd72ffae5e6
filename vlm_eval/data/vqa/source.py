"""Published visual question answering sets as rows: a local copy, the hub, or a drawn stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.check import Checkup, Progress
from vlm_eval.data.images import fingerprint
from vlm_eval.data.tables import CellTable
from vlm_eval.data.vqa.benchmarks import Benchmark, benchmark
from vlm_eval.data.vqa.cells import Pictures
from vlm_eval.data.vqa.check import check_items
from vlm_eval.data.vqa.item import Item, Kind
from vlm_eval.data.vqa.load import Loaded, Place, load, open_tables
from vlm_eval.data.vqa.prompts import Style, prompt
from vlm_eval.data.vqa.readers import GROUPS
from vlm_eval.data.vqa.synthetic import stand_in

IMAGE_ID = "image_id"
SYNTHETIC = (
    "synthetic: questions about drawn scenes in the form of {title}, not {title}; no number here "
    "is a {title} result (give the data: --data TASK=PATH)"
)


@configurable
class Vqa:
    """Questions about pictures of one published benchmark, whatever its schema, in one form.

    A row has the fields id, benchmark, image_id (a digest of the first picture: rows of one picture
    share it), image, image_1, ..., question, options, letters, letter, answer, answers, gold,
    choices, kind, hint, category, subcategory, topic, group, asked, figure, expected_bias, and as
    the prompt: prompt (its text), chunks (its texts between pictures, one more than there are
    pictures) and shown (the image fields between them). ``content`` gives for each letter the
    letter that the same option has in the published order. What the benchmark lacks is None or
    empty.

    Attributes
    ----------
    benchmark
        A name of ``benchmarks.yaml``, or a list of one.
    path
        A local copy: a file or a folder in the hub's own schema (for MMVP, SEED-Bench and others
        also a VLMEvalKit file).
    hub
        A hub id.
    org
        Owner of the hub data set in place of the one that ``hub`` names: ``lmms-lab``.
    split, config, revision
        Of the hub data set; the benchmark's own if None.
    embedded
        Draw the stand-in.
    prompt_style
        ``own``: the benchmark's own prompt. ``vlmevalkit``: VLMEvalKit's for letters and yes/no.
        ``open``, ``open_options``: a free answer, without and with the options in sight.
    options_order
        Position p shows option (p + options_order) mod n. A factor of this name takes its place.
    kinds
        Which kinds of questions: mcq, yes_no, number, open; None: all.
    offset, length
        Which of the benchmark's rows, from row ``offset`` on; None: to the end.
    count, seed
        Size and seed of the stand-in.

    Raises
    ------
    TaskError
        If the benchmark is unknown or the options contradict each other.
    """

    benchmark: str | tuple[str, ...]
    path: str | None = None
    hub: str | None = None
    org: str | None = None
    split: str | None = None
    config: str | None = None
    revision: str | None = None
    embedded: bool = False
    prompt_style: Style = "own"
    options_order: Annotated[int, Field(ge=0)] = 0
    kinds: tuple[Kind, ...] | None = None
    offset: Annotated[int, Field(ge=0)] = 0
    length: Annotated[int, Field(ge=1)] | None = None
    count: Annotated[int, Field(ge=1)] = 48
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.benchmark, str) and len(self.benchmark) != 1:
            raise TaskError("vqa: benchmark is one name", hint="write one task for each")
        benchmark(self.name)
        if sum((self.path is not None, self.hub is not None, self.embedded)) > 1:
            raise TaskError("vqa: more than one of path, hub and embedded", hint="give one")

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.benchmark if isinstance(self.benchmark, str) else self.benchmark[0]

    def info(self) -> SourceInfo:
        """Return the provenance; the digest covers every text and every picture's fingerprint."""
        identity = [
            {
                name: fingerprint(row[name]) if isinstance(row[name], ImageRef) else row[name]
                for name in row
                if name != IMAGE_ID
            }
            for row in self.rows()
        ]
        notice = self._notice()
        return SourceInfo(digest(["vqa", identity]), synthetic=self.embedded, notice=notice)

    def rows(self) -> Iterator[Row]:
        """Yield the questions in the data set's order."""
        for item in self._loaded.items:
            yield self._row(item, self.options_order)

    def fields(self, row: Row, condition: Condition) -> Row:
        """Return the row with its options in the order that the condition asks for."""
        order = condition.get("options_order", self.options_order)
        if not isinstance(order, int):
            raise TaskError(f"options_order has no level {order!r}", hint="levels are 0, 1, ...")
        if order == self.options_order:
            return row
        return self._row(self._by_id[row["id"]], order)

    def check(self, progress: Progress) -> Checkup:
        """Return what the data holds, lacks and has wrong. Raises MissingData if there is none."""
        return check_items(self._its, *self._tables(), progress)

    @property
    def _its(self) -> Benchmark:
        return benchmark(self.name)

    @cached_property
    def _loaded(self) -> Loaded:
        end = sys.maxsize if self.length is None else self.offset + self.length
        tables, pictures = self._tables()
        return load(
            self._its,
            tables,
            pictures,
            wanted=range(self.offset, end),
            kinds=self.kinds,
        )

    def _tables(self) -> tuple[list[CellTable], Pictures | None]:
        its = self._its
        if self.embedded:
            return [stand_in(self.name, self.count, self.seed)], None
        hub = self.hub or its.hub
        if self.org is not None:
            hub = f"{self.org}/{hub.rpartition('/')[2]}"
        config, split = self.config or its.config, self.split or its.split
        return open_tables(its, Place(self.path, hub, config, split, self.revision))

    @cached_property
    def _by_id(self) -> dict[str, Item]:
        return {item.id: item for item in self._loaded.items}

    def _row(self, item: Item, order: int) -> Row:
        turned = item.shifted(order)
        made = prompt(turned, self._its, self.prompt_style)
        place = {option: letter for letter, option in zip(item.letters, item.options, strict=False)}
        names = [f"image_{number}" for number in made.pictures]
        first = item.images[min(item.images)]
        fields: dict[str, Any] = {
            **dict.fromkeys(GROUPS),
            **item.groups,
            "id": item.id,
            "benchmark": self.name,
            "kind": item.kind,
            "image": first,
            **{f"image_{number}": image for number, image in item.images.items()},
            "question": turned.stem or turned.question,
            "hint": item.hint or None,
            "options": list(turned.options),
            "letters": list(turned.letters),
            "letter": turned.gold if item.kind == "mcq" else None,
            "content": [place[option] for option in turned.options] or list(item.letters),
            "answer": turned.answer,
            "answers": list(item.answers),
            "gold": turned.gold,
            "choices": list(turned.choices),
            "prompt": "".join(made.chunks),
            "chunks": list(made.chunks),
            "shown": names,
        }
        return _PictureRow(fields, first)

    def _notice(self) -> str | None:
        if self.embedded:
            return SYNTHETIC.format(title=self._its.title)
        dropped = self._loaded.dropped
        if not dropped:
            return None
        total = dropped.total() + len(self._loaded.items)
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        return f"{dropped.total()} of {total} questions of {self._its.title} left out: {reasons}"


class _PictureRow(Mapping[str, Any]):
    """Fields, and ``image_id``, which is found out when it is asked for: that reads the picture."""

    def __init__(self, fields: Mapping[str, Any], first: ImageRef) -> None:
        self._fields, self._first = fields, first

    def __getitem__(self, name: str) -> Any:
        return self._first.key[:16] if name == IMAGE_ID else self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._fields, IMAGE_ID))

    def __len__(self) -> int:
        return len(self._fields) + 1
