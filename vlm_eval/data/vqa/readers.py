"""From a row in a benchmark's own schema to an item: one function for each way of writing one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from vlm_eval.core.hashing import digest
from vlm_eval.data.vqa.cells import Cells
from vlm_eval.data.vqa.inline import inline_options
from vlm_eval.data.vqa.item import Item, Kind, UnaskableError, letters

Reader: TypeAlias = Callable[[Cells], Item]
GROUPS = ("category", "subcategory", "topic", "group", "asked", "figure", "expected_bias")
"""Fields to group by. ``asked`` and ``figure`` say which question and picture of a group it is."""

_WORDS = {"yes": "Yes", "no": "No", "1": "Yes", "0": "No", "true": "Yes", "false": "No"}
_WHOLE = re.compile(r"-?\d+")


def _item(cells: Cells, kind: Kind, gold: str) -> Item:
    """Return what every row has; an id is made of the content where the data set has none."""
    question, images = cells.text("question"), cells.images()
    groups = {name: cells.text(name) or None for name in GROUPS if cells.named(name)}
    name = cells.identity()
    if not name:
        keys = [[number, image.key] for number, image in images.items()]
        name = digest([question, gold, cells.texts("options"), keys])[:16]
    hint = cells.text("hint")
    return Item(name, question, images, kind, gold, (gold,), hint=hint, groups=groups)


def lettered(cells: Cells) -> Item:
    """Options in columns or a list, the answer a letter or the option's index from 0."""
    options = cells.texts("options")
    while len(cells.named("options")) > 1 and options and not options[-1].strip():
        options = options[:-1]  # A to D are columns, and two options fill only A and B
    known = letters(len(options))
    item = _item(cells, "mcq", _letter(cells.text("answer"), known))
    return replace(item, options=options, letters=known)


def inline(cells: Cells) -> Item:
    """Options inside the question, or in a text of their own; the answer a letter."""
    own = cells.text("options_text")
    found = inline_options(own or cells.text("question"))
    if found is None:
        raise UnaskableError("list no options that can be read")
    known = letters(len(found.options))
    item = _item(cells, "mcq", _letter(cells.text("answer"), known))
    item = replace(item, options=found.options, letters=known)
    return item if own else replace(item, stem=found.stem, spans=found.spans)


def laid_out(cells: Cells) -> Item:
    """Options in a list and, in the same words, inside the question; the answer a letter.

    Where the question has them in other words, only the letters are known.
    """
    options = cells.texts("options")
    known = letters(len(options))
    item = _item(cells, "mcq", _letter(cells.text("answer"), known))
    found = inline_options(item.question)
    if found is None or found.options != tuple(text.strip() for text in options):
        return replace(item, letters=known)
    item = replace(item, options=found.options, letters=known)
    return replace(item, stem=found.stem, spans=found.spans)


def _letter(answer: str, known: tuple[str, ...]) -> str:
    bare = answer.strip().strip("().").upper()
    if bare.isdecimal():
        place = int(bare)
        return known[place] if place < len(known) else bare
    return bare


def yes_no(cells: Cells) -> Item:
    """The answer yes or no, in any case, or 1 or 0."""
    answer = cells.text("answer").strip().lower()
    return _item(cells, "yes_no", _WORDS.get(answer, answer))


def open_answer(cells: Cells) -> Item:
    """A free answer, or ten of annotators; the most frequent, first of equals, is the gold."""
    value = cells.value("answers")
    if isinstance(value, dict):  # a list of structs, as older versions of `datasets` give it
        value = value["answer"]
    if isinstance(value, list):
        answers = [a["answer"] if isinstance(a, dict) else a for a in value]
    else:
        answers = list(cells.texts("answers"))
    texts = [str(answer) for answer in answers if answer is not None]
    gold = cells.text("answer") or (max(texts, key=texts.count) if texts else "")
    return replace(_item(cells, "open", gold), answers=tuple(texts) or (gold,))


def mmmu(cells: Cells) -> Item:
    """MMMU: options are a list written as text; an open answer may be such a list too."""
    if cells.text("question_type") != "open":
        item = lettered(cells)
    else:
        answer = cells.text("answer")
        written_list = answer.lstrip().startswith("[")
        answers = cells.texts("answer") if written_list else (answer,)
        gold = answers[0] if answers else ""
        item = replace(_item(cells, "open", gold), answers=answers)
    subject = re.fullmatch(r"[^_]+_(.+)_\d+", item.id)  # validation_Accounting_1
    category = subject[1] if subject else None
    return replace(item, groups={**item.groups, "category": category}, interleaved=True)


def vlms_are_biased(cells: Cells) -> Item:
    """VLMs are Biased: a count or yes/no, asked for in braces; and what a prior would say."""
    gold, kind = _braced(cells.text("answer"))
    item = _item(cells, kind, gold)
    bias = cells.text("expected_bias")
    return replace(
        item, groups={**item.groups, "expected_bias": _braced(bias)[0] if bias else None}
    )


def _braced(text: str) -> tuple[str, Kind]:
    bare = text.strip().strip("{}").strip()
    return _free(bare)


def _free(text: str) -> tuple[str, Kind]:
    """Return a free answer and what it is by its looks."""
    if text.lower() in {"yes", "no"}:
        return _WORDS[text.lower()], "yes_no"
    if _WHOLE.fullmatch(text):
        return text, "number"
    return text, "open"


def realworldqa(cells: Cells) -> Item:
    """RealWorldQA: a letter where the question lists options, else yes or no, a number, a word."""
    answer = cells.text("answer").strip().rstrip(".")
    if re.fullmatch("[A-Z]", answer):
        return inline(cells)
    gold, kind = _free(answer)
    return _item(cells, kind, gold)


# Question i of image i is right with yes or A: q0i0, q0i1, q1i0, q1i1 (NaturalBench, lmms-eval).
_NATURALBENCH = (0, 1, 1, 0)


def naturalbench(cells: Cells) -> Item:
    """NaturalBench: four rows a group, two questions by two images; the row's number is its place.

    The table holds no answers: which of the four is right with the first answer is the design's.
    """
    number = cells.text("id")
    if not number.isdecimal():
        raise UnaskableError("have no row number")
    group, place = divmod(int(number), 4)
    groups: dict[str, str | None] = {"group": str(group), "category": cells.text("category")}
    groups |= {"asked": f"q{place // 2}", "figure": f"i{place % 2}"}
    wrong = _NATURALBENCH[place]
    if cells.text("category") == "yes_no":
        return replace(_item(cells, "yes_no", ("Yes", "No")[wrong]), groups=groups)
    item = replace(_item(cells, "mcq", ("A", "B")[wrong]), letters=letters(2), groups=groups)
    found = inline_options(item.question)
    if found is None or len(found.options) != 2:
        return item
    return replace(item, options=found.options, stem=found.stem, spans=found.spans)


# MMVP's answers to questions 99, 100, 279 and 280 are exchanged in its first release; lmms-eval
# asks for these (issue 30 of tsb0601/MMVP).
_MMVP_CORRECTED = {"99": "B", "100": "A", "279": "B", "280": "A"}


def mmvp(cells: Cells) -> Item:
    """MMVP: two options ``(a) .. (b) ..``; questions 2k - 1 and 2k are pair k."""
    item = inline(cells)
    gold = _MMVP_CORRECTED.get(item.id, item.gold)
    pair = str((int(item.id) + 1) // 2) if item.id.isdecimal() else None
    return replace(item, gold=gold, answers=(gold,), groups={**item.groups, "group": pair})


_CIRCLE = 1_000_000  # index % this is the same for one question in all orders of its options


def mmbench(cells: Cells) -> Item:
    """MMBench: two to four options; the same question again with its options moved on."""
    item = lettered(cells)
    options = item.options
    while options and options[-1].strip() in {"", "nan"}:
        options = options[:-1]
    group = str(int(item.id) % _CIRCLE) if item.id.isdecimal() else None
    hint = "" if item.hint == "nan" else item.hint
    groups = {**item.groups, "group": group}
    return replace(item, options=options, letters=letters(len(options)), hint=hint, groups=groups)


_MME_COGNITION = frozenset(
    ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
)


def mme(cells: Cells) -> Item:
    """MME: two yes/no questions about a picture share an id; its own last words are not asked."""
    item = yes_no(cells)
    question = item.question.strip().replace(" Please answer yes or no.", "")
    category = item.groups["category"]
    topic = "cognition" if category in _MME_COGNITION else "perception"
    name = f"{item.id}-{digest(question)[:8]}"
    return replace(item, id=name, question=question, groups={**item.groups, "topic": topic})


READERS: Mapping[str, Reader] = {
    reader.__name__: reader
    for reader in (
        inline, laid_out, lettered, mmbench, mme, mmmu, mmvp, naturalbench, open_answer,
        realworldqa, vlms_are_biased, yes_no,
    )
}  # fmt: skip
"""Every reader by the name that ``benchmarks.yaml`` calls it."""
