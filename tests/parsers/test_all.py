"""What holds for every parser: nothing raises, answers are choices, time is linear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.base import PARSERS
from vlm_eval.parsers.letter import Letter
from vlm_eval.parsers.letter_literal import LmmsMmmu, VlmEvalKitLetter
from vlm_eval.parsers.number import Number
from vlm_eval.parsers.open_answers import RealWorldQa, ShortAnswer, VqaAnswer
from vlm_eval.parsers.yes_no import YesNo

MEGABYTE = 1_000_000
TEXTS = ("a cat", "a cat on a mat")
EVERY = {name: PARSERS.get(name)() for name in PARSERS} | {
    **{p: YesNo(policy=p) for p in ("first", "naturalbench", "vlmeval", "pope")},
    "letter with texts": Letter(texts=TEXTS),
    "ranked": Letter(texts=TEXTS, policy="ranked"),
    "lmms_mmmu with texts": LmmsMmmu(texts=TEXTS),
    "vlmevalkit_letter with texts": VlmEvalKitLetter(texts=TEXTS),
    "number or word": Number(words=("yes", "no")),
    "textvqa": VqaAnswer(variant="textvqa"),
    "words": ShortAnswer(form="words"),
    "realworldqa with labels": RealWorldQa(labels=("A", "B")),
}
CHOICES = [("X", "O"), ("A", "I"), ("1", "2"), ("Yes", "No"), ("dark red", "red", "C++", "ß")]
PIECES = ["X", "A", "I", "yes", "NO", "red", "not ", "answer", "is", ":", "\\boxed{", "}", "(", ")",
          "1", "<think>", "</think>", " ", "\n", ".", "or", "\\text{", "C++", "ẞ", "İ", "\ud800",
          "\u0301", "ﷺ", "\0", '{"a": "', '"}', "first"]  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
@given(
    text=st.text() | st.text(st.characters()) | st.lists(st.sampled_from(PIECES)).map("".join),
    choices=st.sampled_from(CHOICES),
)
def test_any_text_gives_a_choice_or_nothing(name, text, choices):
    found = EVERY[name](text, choices)
    assert found.answer in (None, *choices)
    assert (found.answer is None) == (found.rule == "none")
    if found.span:
        assert 0 <= found.span[0] < found.span[1] <= len(text)


@pytest.mark.parametrize("name", EVERY)
@given(st.lists(st.text(), max_size=3), st.text())
def test_any_choices_are_survived(name, choices, text):
    answer = EVERY[name](text, choices).answer
    # Without choices the answer is free.
    assert not choices or answer in (None, *choices)
    assert answer is None or isinstance(answer, str)


# Each is quadratic, or worse, for a pattern that looks innocent: minutes, where these take seconds.
# The limit is on such minutes and not on speed.
UNITS = ["X ", "\n-", "\\boxed{", "answer (", "_", '{"a":', "\u0315\u0300", "\u0f73", "1,000,", "9",
         "{", "not ", "A, ", "A or ", "(A) ", "<think>"]  # fmt: skip


def run_of(unit, length):
    return (unit * (length // len(unit) + 1))[:length]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_takes_linear_time(unit):
    text = run_of(unit, MEGABYTE)
    for name in ("vlm_fix", "label", "yes_no", "vlmeval", "letter with texts", "ranked"):
        assert EVERY[name](text, ("X", "1")).answer in (None, "X", "1")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", EVERY)
def test_a_megabyte_of_everything_takes_linear_time(name):
    text = "".join(run_of(unit, MEGABYTE // len(UNITS)) for unit in UNITS)
    assert EVERY[name](text, ("X", "1")).answer in (None, "X", "1")
