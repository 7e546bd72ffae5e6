"""POPE's question files as published: JSON Lines, JSON arrays, hub tables, three sets of keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from vlm_eval.core.errors import DataError
from vlm_eval.data.cells import needed_text, text_cell
from vlm_eval.data.tables import CellTable

Split: TypeAlias = Literal["random", "popular", "adversarial"]
SPLITS: tuple[Split, ...] = ("random", "popular", "adversarial")
"""How the absent objects were chosen."""

VOWELS = frozenset("aeiou")
_TEMPLATE = re.compile(r"Is there an? (?P<object>.+) in the image\?")


@dataclass(frozen=True)
class Question:
    """One presence question.

    Attributes
    ----------
    split
        ``random``, ``popular`` or ``adversarial``; ``popev2`` there.
    id
        Unique in the split only: the official files number each split from 1.
    image
        The image's name as the file gives it.
    text
        The question, as sent.
    object
        The object asked about; None if the text is not of POPE's template and no column says.
    label
        ``yes`` or ``no``.
    place
        File and line, for messages.
    row
        Number of its row in the table that it was read from, from 0.
    pope_label
        POPE's own label, where another annotation replaces it; None otherwise.
    """

    split: str
    id: str
    image: str
    text: str
    object: str | None
    label: str
    place: str
    row: int = -1
    pope_label: str | None = None

    @property
    def scene(self) -> str:
        """The image's name without folder and ending: what an edited image shares with its own."""
        return PurePosixPath(self.image).stem


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None: there is none."""

    text: str
    label: str
    image: str
    id: str | None = None
    object: str | None = None
    category: str | None = None


LAYOUTS: Mapping[str, Columns] = {
    "POPE": Columns("text", "label", "image", id="question_id"),
    "hub POPE": Columns(
        "question", "answer", "image_source", id="question_id", category="category"
    ),
    "POPEv2": Columns("query", "label", "image_name", object="target_object"),
}


def ask(name: str) -> str:
    """Return POPE's question about an object: ``an`` before the letters a, e, i, o, u.

    >>> ask("apple")
    'Is there an apple in the image?'
    """
    return f"Is there {'an' if name[:1] in VOWELS else 'a'} {name} in the image?"


def object_of(text: str) -> str | None:
    """Return what a question of POPE's template asks about; None if it is not of the template.

    >>> object_of("Is there an traffic light in the image?")
    'traffic light'
    """
    found = _TEMPLATE.fullmatch(text.strip())
    return found["object"] if found else None


def read_questions(table: CellTable, split: str) -> tuple[Question, ...]:
    """Return the questions of one split, in the table's order.

    Parameters
    ----------
    table
        A question file, or the hub data set. Where it has a column ``category``, only the rows of
        the split's category are taken.
    split
        Name of the split.

    Raises
    ------
    DataError
        Naming file, line and column: no known layout, an empty cell, a label other than yes and no,
        an id twice, one question with two labels, no question at all.
    """
    found = []
    for question in each_question(table, split):
        if isinstance(question, DataError):
            raise question
        found.append(question)
    if not found:
        raise DataError(f"no question of the split {split!r}", where=table.name)
    for error in contradictions(found):
        raise error
    return tuple(found)


def each_question(table: CellTable, split: str) -> Iterator[Question | DataError]:
    """Yield the question of each row of a split, or what is wrong with it.

    Parameters are those of `read_questions`.

    Raises
    ------
    DataError
        If the table has no known layout.
    """
    columns = _layout(table)
    seen: dict[str, Question] = {}
    for row in range(len(table)):
        try:
            if _category(table, columns, row) not in (None, split):
                continue
            question = _question(table, columns, split, row)
        except DataError as error:
            yield error
            continue
        other = seen.setdefault(question.id, question)
        if other is question:
            yield question
        else:
            what = f"id {question.id!r} is also that of {other.place}"
            yield DataError(what, where=question.place)


def contradictions(questions: Sequence[Question]) -> Iterator[DataError]:
    """Yield that one question about one image has two labels."""
    for one, other in duplicates(questions):
        if one.label != other.label:
            what = f"{other.text!r} is {other.label}, but {one.label} at {one.place}"
            yield DataError(what, where=other.place, hint="keep one of the two")


def duplicates(questions: Sequence[Question]) -> list[tuple[Question, Question]]:
    """Return what is asked twice of one image in one split: first and repeated question."""
    first: dict[tuple[str, str, str], Question] = {}
    pairs = []
    for question in questions:
        earlier = first.setdefault((question.split, question.image, question.text), question)
        if earlier is not question:
            pairs.append((earlier, question))
    return pairs


def relabel(questions: Sequence[Question], revised: Sequence[Question]) -> tuple[Question, ...]:
    """Return the questions that a revised annotation keeps, with its labels, joined by id.

    Parameters
    ----------
    questions
        One split of POPE.
    revised
        The same split of RePOPE, which leaves out what its annotators found ambiguous.

    Raises
    ------
    DataError
        If a revised row has an id that POPE has not, or another text or image.
    """
    known = {question.id: question for question in questions}
    kept = {}
    for new in revised:
        old = known.get(new.id)
        if old is None:
            raise DataError(f"POPE has no question {new.id!r}", where=new.place)
        if (old.text, old.scene) != (new.text, new.scene):
            what = f"{new.text!r} on {new.image} is {old.text!r} on {old.image} at {old.place}"
            raise DataError(what, where=new.place, hint="give the files of one release")
        kept[new.id] = replace(old, label=new.label, pope_label=old.label)
    return tuple(kept[question.id] for question in questions if question.id in kept)


def _layout(table: CellTable) -> Columns:
    for columns in LAYOUTS.values():
        if {columns.text, columns.label, columns.image} <= set(table.columns):
            return columns
    known = "; ".join(
        f"{name}: {', '.join(filter(None, vars(columns).values()))}"
        for name, columns in LAYOUTS.items()
    )
    what = f"the columns {', '.join(table.columns) or '(none)'} are no POPE questions"
    raise DataError(what, where=table.name, hint=f"known are {known}")


def _category(table: CellTable, columns: Columns, row: int) -> str | None:
    if columns.category is None:
        return None
    value = text_cell(table, row, columns.category)
    return value.strip().lower() if value else None


def _question(table: CellTable, columns: Columns, split: str, row: int) -> Question:
    text = needed_text(table, row, columns.text)
    label = needed_text(table, row, columns.label).strip().lower()
    if label not in ("yes", "no"):
        where = table.place(row, columns.label)
        raise DataError(f"the label is yes or no, not {label!r}", where=where)
    named = None if columns.object is None else text_cell(table, row, columns.object)
    return Question(
        split=split,
        id=str(row + 1) if columns.id is None else _identity(table, columns.id, row),
        image=needed_text(table, row, columns.image).lstrip("/"),
        text=text,
        object=named or object_of(text),
        label=label,
        place=table.place(row),
        row=row,
    )


def _identity(table: CellTable, column: str, row: int) -> str:
    value: Any = table.cell(row, column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return needed_text(table, row, column)
