import pytest

from vlm_eval.core.text import without_reasoning


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("X", "X"),
        ("<think>O</think>X", "\nX"),
        ("a<THINKING>O</thinking>b", "a\nb"),
        ("opened by the prompt</think>X", "X"),
        ("<think>never closed", ""),
        ("X<think>O", "X"),
    ],
)
def test_reasoning_is_removed(text, left):
    assert without_reasoning(text) == left
