import pytest

from vlm_eval.core.options import build
from vlm_eval.scorers.base import SCORERS


@pytest.mark.parametrize(
    ("answer", "accuracy"), [("Yes", 1.0), ("yes", 0.0), ("No", 0.0), (None, 0.0)]
)
def test_only_the_right_answer_is_right(answer, accuracy):
    scorer = build(SCORERS, "exact", where=None)
    assert scorer("whatever was said", answer, "Yes", {}) == {"accuracy": accuracy}
