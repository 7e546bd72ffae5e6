from dataclasses import replace

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.table import METRICS

FACTORS = {"order": ("positive_first", "negative_first")}


def measure(table, **options):
    found = build(METRICS, {"name": "order_consistency", **options}, where=None)(table)
    return {(e.name, *e.where.values()): e for e in found}


def answers(marks):
    """Return what answers by two marks a sample, one an order; ``!`` fails, ``?`` is unparsed."""

    def answer(trial):
        mark = marks[trial["id"]][FACTORS["order"].index(trial["order"])]
        if mark == "!":
            raise KeyError
        return {"1": "right", "0": "wrong", "?": None}[mark]

    return answer


def table(make_table, **marks):
    samples = [{"id": name, "subset": name[0]} for name in marks]
    return make_table(samples, FACTORS, answers(marks))


def test_right_in_both_orders_and_the_taste_for_the_first(make_table):
    found = measure(table(make_table, a1="11", a2="10", b1="10", b2="01"), by=["subset"])
    assert found["consistent_accuracy",].value == 1 / 4
    assert found["consistent_accuracy", "a"].value == 1 / 2
    assert found["position_bias",].value == pytest.approx((3 / 4 - 2 / 4) / 2)
    assert found["position_bias",].signed
    assert found["consistent_accuracy",].chance == 0.25


@pytest.mark.parametrize(("marks", "bias"), [("10", 0.5), ("01", -0.5), ("11", 0), ("00", 0)])
def test_constant_choices(make_table, marks, bias):
    found = measure(table(make_table, a=marks, b=marks))
    assert found["position_bias",].value == bias


def test_a_failure_drops_its_sample_and_an_unparsed_answer_is_wrong(make_table):
    found = measure(table(make_table, a="1!", b="1?", c="11"))
    assert (found["consistent_accuracy",].value, found["consistent_accuracy",].n) == (1 / 2, 2)
    assert found["position_bias",].value == pytest.approx((1 - 1 / 2) / 2)


def test_similarities_do_not_see_an_order(make_table):
    made = table(make_table, a="11", b="00")
    compared = replace(made, rows=tuple(replace(row, logprobs=(0.2, 0.1)) for row in made.rows))
    assert measure(compared)["consistent_accuracy",].chance == 0.5
    scored = replace(
        made,
        rows=tuple(replace(row, logprobs=(-1.0, -2.0), token_counts=(1, 1)) for row in made.rows),
    )
    assert measure(scored)["consistent_accuracy",].chance == 0.25


def test_an_empty_table_has_no_value_and_a_missing_factor_is_an_error(make_table):
    assert all(e.value is None for e in measure(make_table([], FACTORS, answers({}))).values())
    with pytest.raises(TaskError, match="'order'"):
        measure(make_table([], {"side": (0, 1)}, answers({})))
