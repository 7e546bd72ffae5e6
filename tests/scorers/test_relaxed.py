import pytest

from vlm_eval.scorers.relaxed import Relaxed


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("100", "100", 1),
        ("105", "100", 1),
        ("95", "100", 1),
        ("105.01", "100", 0),
        ("94.99", "100", 0),
        ("-95", "-100", 1),
        ("95", "-100", 0),
        ("0.0", "0", 0),  # no tolerance around nothing: the texts must be equal
        ("0", "0", 1),
        ("40%", "0.41", 1),
        ("40%", "40", 0),
        ("1,000", "1000", 1),
        ("Yes.", "yes", 1),
        ("nan", "nan", 1),
        ("inf", "100", 0),
        ("100 dollars", "100", 0),
    ],
)
def test_five_per_cent(answer, gold, right):
    assert Relaxed()("", answer, gold, {}) == {"accuracy": float(right)}


def test_any_accepted_answer_and_another_tolerance():
    scorer = Relaxed(tolerance=0.5, answers="golds")
    assert scorer("", "7", "x", {"golds": ["1", "10"]})["accuracy"] == 1
    assert scorer("", "4", "x", {"golds": ["1", "10"]})["accuracy"] == 0
