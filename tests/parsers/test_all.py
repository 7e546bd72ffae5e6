"""What holds for every parser: nothing raises, answers are choices, time is linear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.base import PARSERS
from vlm_eval.parsers.letter import Letter
from vlm_eval.parsers.yes_no import YesNo

MEGABYTE = 1_000_000
EVERY = {name: PARSERS.get(name)() for name in PARSERS} | {
    **{p: YesNo(policy=p) for p in ("first", "naturalbench", "vlmeval", "pope")},
    "letter with texts": Letter(texts=("a cat", "a cat on a mat")),
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
    assert EVERY[name](text, choices).answer in (None, *choices)


# Each is quadratic, or worse, for a pattern that looks innocent: minutes, where these take seconds.
# The limit is on such minutes and not on speed.
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "unit",
    ["X ", "\n-", "\\boxed{", "<think>", "answer (", "_", '{"a":', "\u0315\u0300", "\u0f73"],
)
def test_a_megabyte_takes_linear_time(unit):
    text = (unit * (MEGABYTE // len(unit) + 1))[:MEGABYTE]
    for name in ("vlm_fix", "label", "yes_no", "vlmeval", "letter with texts"):
        assert EVERY[name](text, ("X", "1")).answer in (None, "X", "1")
