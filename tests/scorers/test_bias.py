import pytest

from vlm_eval.scorers.bias import Bias


@pytest.mark.parametrize(
    ("answer", "scores"),
    [
        ("5", {"accuracy": 1.0, "bias": 0.0}),
        ("4", {"accuracy": 0.0, "bias": 1.0}),
        ("7", {"accuracy": 0.0, "bias": 0.0}),
        (None, {"accuracy": 0.0, "bias": 0.0}),
    ],
)
def test_an_answer_is_right_or_what_everybody_knows_or_neither(answer, scores):
    assert Bias()("", answer, "5", {"bias": "4"}) == scores


def test_both_where_prior_knowledge_is_right():
    assert Bias()("", "4", "4", {"bias": "4"}) == {"accuracy": 1.0, "bias": 1.0}


def test_an_unknown_prior_gives_no_bias_and_not_0():
    assert Bias()("", "5", "5", {"bias": None}) == {"accuracy": 1.0}
    assert Bias(prior="known")("", "4", "5", {"known": 4}) == {"accuracy": 0.0, "bias": 1.0}
