"""The answer normaliser of the VQA challenges, in its two published variants.

VQAv2 (Goyal et al. 2017; the evaluation code of Antol et al. 2015), which OK-VQA and VizWiz share,
and TextVQA (Singh et al. 2019, EvalAI's answer processor), which tokenises first.

One difference from the published code, which passes a flag where a count goes and so deletes at
most 32 periods: here all go.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Variant: TypeAlias = Literal["vqav2", "textvqa"]

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""Deleted or replaced by a blank. The apostrophe and the colon are not among them."""

ARTICLES = frozenset({"a", "an", "the"})

NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip

_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
    might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
    shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
    someone's something'd something'd've something'll that's there'd there'd've there're there's
    they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
    what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
    why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're
    you've
"""


def _one_apostrophe_less() -> dict[str, str]:
    """Return the table: each form is restored from itself without any one of its apostrophes."""
    table = {
        form[:at] + form[at + 1 :]: form
        for form in _CONTRACTED.split()
        for at, character in enumerate(form)
        if character == "'"
    }
    # The published table has this one entry the wrong way round.
    return {**table, "somebody'd": "somebodyd"}


CONTRACTIONS = _one_apostrophe_less()
"""Misspelt contraction to its form. The published entries in capitals (Im, Ive) can never match,
because the text is in lower case by then, and are left out."""

_DIGIT_COMMA = re.compile(r"\d,\d")
PERIOD = re.compile(r"\.(?!\d)")


def normalise_vqa(text: str, variant: Variant = "vqav2") -> str:
    """Return an answer as the VQA challenges compare it; possibly empty.

    Line ends and tabs become blanks; punctuation is deleted or becomes a blank; periods go unless
    a digit follows; words are lowered, numbers up to ten become digits, articles are dropped and
    the apostrophes of contractions restored. ``textvqa`` first lowers the text, drops ``,`` and
    ``?`` and splits off ``'s``.

    >>> normalise_vqa("The two dogs, I dont know!")
    "2 dogs i don't know"
    >>> normalise_vqa("a man's hat", "textvqa")
    "man 's hat"
    """
    if variant == "textvqa":
        text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    text = text.replace("\n", " ").replace("\t", " ").strip()
    words = (NUMBERS.get(word, word) for word in without_punctuation(text).lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def without_punctuation(text: str) -> str:
    """Return a text after the punctuation pass alone: marks deleted or replaced by a blank.

    >>> without_punctuation("Yes, it is: a dog.")
    'Yes it is: a dog'
    """
    return PERIOD.sub("", text.translate(punctuation(text)))


def punctuation(text: str) -> dict[int, str]:
    """Return what becomes of each mark of a text: nothing, or a blank.

    All marks of a kind go where one stands beside a blank; all marks, if a comma joins digits.
    """
    number = _DIGIT_COMMA.search(text) is not None
    return {
        ord(mark): "" if number or f"{mark} " in text or f" {mark}" in text else " "
        for mark in PUNCTUATION
    }
