"""Where parsers say that they read the answer: places in the raw text, whatever was cleaned."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.text import without_reasoning
from vlm_eval.parsers.base import PARSERS
from vlm_eval.parsers.letter import Letter
from vlm_eval.parsers.letter_literal import LmmsMmmu, VlmEvalKitLetter
from vlm_eval.parsers.number import Number
from vlm_eval.parsers.open_answers import RealWorldQa
from vlm_eval.parsers.places import Traced, normalised, unreasoned
from vlm_eval.parsers.text import normalise
from vlm_eval.parsers.yes_no import YesNo

from .test_all import CHOICES, EVERY, PIECES

XO, AB, YN, SAFETY = ("X", "O"), ("A", "B"), ("Yes", "No"), ("safe", "unsafe")
PETS = ("a cat", "two dogs on a mat")
# What is read stands between ⟦ and ⟧; without them there is an answer, and it has no place.
CLEANED = [
    ("label", XO, "⟦X⟧"),
    ("label", XO, " **⟦O⟧**.\n"),
    ("label", XO, "Not O, I think.\nThe answer is: **\\text{⟦X⟧}**!"),
    ("label", XO, "Answer: O? No: \\( \\boxed{\\textbf{\\mathrm{⟦X⟧}}} \\)"),
    ("label", ("Red", "Blue"), "It   is\r\n _clearly_ “⟦red⟧”, really red."),
    ("label", ("Blue", "Ｒｅｄ"), "ﬁne: ⟦ｒｅｄ⟧ ﬁnally"),
    ("label", ("café", "tea"), "I'd take the ⟦cafe\u0301⟧, please"),
    ("yes_no", YN, "⟦yes⟧"),
    ("yes_no", YN, "*⟦No⟧*, there is none. No."),
    ("yes_no", YN, "I see ... `Final answer`: ⟦NO⟧"),
    ("yes_no", YN, "I would think ⟦yes⟧."),
    ("yes_no", YN, '```json\n{"why": "no idea", "answer": "⟦Yes⟧"}\n```'),
    ("yes_no", YN, '{"answer": "\\u0079es"}'),
    ("yes_no", YN, '{"answer": ["x"], "a": "⟦no⟧.", "b": "no"}'),
    ("letter", AB, "**⟦A⟧**"),
    ("letter", AB, "(⟦b⟧)"),
    ("letter", AB, "⟦Option B⟧."),
    ("letter", AB, "⟦The second one⟧"),
    ("letter", AB, "First, I look at it. The answer is **⟦B⟧**"),
    ("letter", AB, "Second, \\text{Option} ⟦B⟧. It is"),
    ("letter", AB, "First, second, and so on. I prefer *option ⟦A⟧*, really"),
    ("letter", AB, "It must be\n`⟦B⟧`."),
    ("letter with texts", AB, "First,  there are ⟦two\n **dogs** on a mat⟧"),
    ("letter with texts", AB, "⟦A  cat⟧."),
    ("ranked", AB, "The answer is ⟦b⟧."),
    ("ranked", AB, "See A) or so. But **⟦B⟧**"),
    ("ranked", AB, "I see ⟦a cat⟧ there"),
    ("number", (), "**⟦007⟧**."),
    ("number", (), "$\\{⟦5⟧\\}$"),
    ("number", (), "{3} no, {about ⟦1,000⟧ of them}"),
    ("number", (), "{ ⟦Seven⟧! }"),
    ("number", (), "I count ⟦５⟧ of them, 5!"),
    ("number", (), "'⟦0.5⟧'"),
    ("number", ("3", "4"), "⟦three⟧"),
    ("number or word", (), "{⟦Yes⟧}"),
    ("vqa_answer", (), " ⟦The two dogs!⟧\n"),
    ("short_answer", ("red car",), "⟦Red   car.⟧"),
    ("realworldqa", (), "\n⟦25 MPH.⟧"),
    ("realworldqa with labels", (), "It is (⟦B⟧)."),
    ("pope_canonical", YN, "**⟦Yes⟧**, no doubt"),
    ("pope_canonical", YN, "There *⟦isn't⟧* one, not here"),
    ("safety", SAFETY, '{"decision": ⟦"NO"⟧, "safe": false}'),
    ("safety", SAFETY, "**Is it safe to proceed?** ⟦No⟧, it is unsafe."),
    ("safety", SAFETY, "I look. The answer is **⟦yes⟧**"),
    ("safety", SAFETY, "Is it safe? Who knows? It is _not_ ⟦safe⟧ here, unsafe."),
    ("mmmu_open", (), "So it is 5 cm."),
    ("mentions", (), "a car"),
]  # fmt: skip
LITERAL = [
    ("vlm_fix", XO, "X, no, ⟦O⟧"),
    ("naturalbench", YN, "Well, ⟦no⟧ or yes"),
    ("vlmeval", YN, "I say (⟦YES⟧), it is"),
    ("vlmeval", YN, "İ say: ⟦n/o⟧, 1,000"),
    ("pope", YN, "There,there is ⟦not⟧, any dog. No"),
    ("pope", YN, ",⟦no⟧,"),
    ("pope", YN, "There is a dog."),
    ("pope_official", YN, "A dog? ⟦No⟧"),
    ("repope", YN, "İ ca⟦nNO⟧T".replace("⟦nNO", "n⟦NO")),
    ("repope", YN, "No, e⟦yes⟧"),
    ("lmms_pope", YN, " ⟦YES⟧\n"),
    ("vlmevalkit_yes_no", YN, "Is it? ⟦Yes⟧, it is"),
    ("first_character", AB, "\n⟦b⟧ut"),
    ("leading_letter", AB, " (⟦B⟧) it is"),
    ("leading_letter", AB, "⟦A⟧. it is"),
    ("lmms_mmmu", AB, ", (A) or (⟦B⟧)!"),
    ("lmms_mmmu", AB, "either A or ⟦B⟧."),
    ("lmms_mmmu with texts", AB, "İ think there are ⟦TWO DOGS on a mat⟧ there!"),
    ("vlmevalkit_letter", AB, "It is:⟦B⟧."),
    ("vlmevalkit_letter with texts", AB, "İ see ⟦a CAT⟧"),
    ("naturalbench_words", YN, "Not ⟦NO⟧, yes"),
    ("vlmbias", (), "{3} \\boxed{ ⟦-4⟧ }"),
    ("lmms_vlmbias", (), "about ⟦23⟧ of them"),
    ("lmms_vlmbias", (), "2 and 3"),
    ("lmms_vlmbias", (), " {⟦Many⟧} "),
]  # fmt: skip
MORE = {
    "pope_official": PARSERS.get("pope")(),
    "naturalbench_words": PARSERS.get("naturalbench")(),
    "naturalbench": YesNo(policy="naturalbench"),
    "pope": YesNo(policy="pope"),
    "letter with texts": Letter(texts=PETS),
    "ranked": Letter(texts=PETS, policy="ranked"),
    "lmms_mmmu with texts": LmmsMmmu(texts=PETS),
    "vlmevalkit_letter with texts": VlmEvalKitLetter(texts=PETS),
    "number or word": Number(words=("yes", "no")),
    "realworldqa with labels": RealWorldQa(labels=AB),
}


def read(marked: str) -> tuple[str, tuple[int, int] | None]:
    """Return a text without the marks, and the span between them."""
    before, opened, rest = marked.partition("⟦")
    inside, _, after = rest.partition("⟧")
    span = (len(before), len(before) + len(inside)) if opened else None
    return before + inside + after, span


def parser(name: str):
    return MORE.get(name) or EVERY[name]


def test_every_parser_has_an_example() -> None:
    literal = {"pope": "pope_official", "naturalbench": "naturalbench_words"}
    known = {name for name, _, _ in (*CLEANED, *LITERAL)}
    assert {literal.get(name, name) for name in PARSERS} <= known


@pytest.mark.parametrize(("name", "choices", "marked"), [*CLEANED, *LITERAL])
def test_what_was_read_is_known_in_the_raw_text(name, choices, marked) -> None:
    text, span = read(marked)
    found = parser(name)(text, choices)
    assert found.answer is not None
    assert found.span == span


WITHIN = st.text(st.characters(exclude_characters="<>")) | st.sampled_from(
    ["no", "X", "\u0301" * 40, "ﷺ", "İ", "**A**", "{3}"]
)


@pytest.mark.parametrize(("name", "choices", "marked"), CLEANED)
@given(inside=WITHIN, after=st.text("\n", max_size=3))
def test_reasoning_before_the_answer_moves_the_place_by_its_length(
    name, choices, marked, inside, after
) -> None:
    text, span = read(marked)
    before = f"<think>{inside}</think>{after}"
    alone, found = parser(name)(text, choices), parser(name)(before + text, choices)
    assert (found.answer, found.rule) == (alone.answer, alone.rule)
    expected = None if span is None else (span[0] + len(before), span[1] + len(before))
    assert found.span == expected


# What may stand for an answer, where it is not spelled out.
NO = ("no", "n't", "none", "cannot")
SERIES = {"A": ("first", "1"), "I": ("second", "2"), "1": ("first", "A"), "2": ("second", "B")}
SAYS = {"Yes": ("yes",), "No": NO, **SERIES}
TEXTS = {0: "a cat", 1: "a cat on a mat"}


@pytest.mark.parametrize("name", EVERY)
@given(
    text=st.text() | st.text(st.characters()) | st.lists(st.sampled_from(PIECES)).map("".join),
    choices=st.sampled_from(CHOICES),
)
def test_what_stands_there_says_the_answer(name, text, choices) -> None:
    found = EVERY[name](text, choices)
    if found.span is None:
        return
    assert found.answer is not None
    said = re.sub(r"\s+", " ", plain(text[slice(*found.span)]))
    words = (found.answer, *SAYS.get(found.answer, ()), TEXTS.get(choices.index(found.answer), ""))
    if name in ("vqa_answer", "textvqa", "words", "short_answer", "realworldqa"):
        assert said == plain(without_reasoning(text)).strip() or name != "short_answer"
    else:
        assert any(word and plain(word) in said for word in words), (said, words)


def plain(text: str) -> str:
    """Return a text as any of the parsers may read it, but for blanks."""
    folded = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return re.sub(r"""[*`"$#_{},/.]|\\text|\\[()\[\]]""", "", folded)


RAW = st.text() | st.text(st.characters()) | st.lists(
    st.sampled_from([*PIECES, "ᄀ", "ᅡ", "ᆨ", "Å", "\u0315\u0300", "ｶ\uff9e", "\\textbf{", "”", "#"])
).map("".join)  # fmt: skip


@given(RAW)
def test_a_text_is_cleaned_alike_with_places_and_without(text) -> None:
    assert unreasoned(text).text == without_reasoning(text)
    traced = normalised(text)
    assert traced is not None
    assert traced.text == normalise(text)
    assert len(traced.text) == len(traced.starts) == len(traced.ends)
    places = list(zip(traced.starts, traced.ends, strict=True))
    assert places == sorted(places)
    for character, (start, end) in zip(traced.text, places, strict=True):
        assert 0 <= start < end <= len(text)
        if end - start == 1 and text[start].isascii() and character != "\n":
            assert character == (" " if text[start].isspace() else text[start])


@given(RAW)
def test_lower_case_keeps_places(text) -> None:
    lowered = Traced.raw(text).lower()
    assert lowered.text == text.lower()
    assert len(lowered.starts) == len(lowered.text)
    for i, start in enumerate(lowered.starts):
        assert lowered.text[i] in text[start].lower() + "ς"


def test_a_stretch_of_nothing_has_no_place() -> None:
    assert Traced.raw("abc").span(1, 1) is None
    assert Traced.raw("  ").whole() is None
    assert Traced.raw("abc").span(2, 9) is None
