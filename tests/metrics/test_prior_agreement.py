import dataclasses

import numpy as np
import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.table import METRICS, Table, TableRow

LEVELS = ("clean", "shift_1", "shift_2", "turn", "white", "text_only")
SPEC = {
    "name": "prior_agreement",
    "families": {"shift": "shift_*", "turn": "turn"},
    "blanks": ["white", "text_only"],
}


def row(name, level, margin, gold, *, scored=True, cluster=None):
    """Return a trial with this yes-no margin; None failed."""
    answer = None if margin is None else "Yes" if margin > 0 else "No"
    return TableRow(
        sample_id=name,
        cluster=cluster or name,
        condition={"perturbation": level},
        fields={},
        gold=gold,
        answer=answer,
        scores={} if margin is None else {"accuracy": float(answer == gold)},
        failed=margin is None,
        choices=("Yes", "No"),
        logprobs=(margin, 0.0) if scored and margin is not None else None,
    )


def table(samples, **options):
    rows = [
        row(name, level, margin, gold, **options)
        for name, (gold, margins) in samples.items()
        for level, margin in zip(LEVELS, margins, strict=True)
    ]
    return Table("pope", {"perturbation": LEVELS}, tuple(rows))


def estimates(made, **options):
    return build(METRICS, {**SPEC, **options}, where=None)(made)


def values(made, where=None, **options):
    return {e.name: e.value for e in estimates(made, **options) if e.where == (where or {})}


GOLDEN = {
    # clean, shift_1, shift_2, turn, white, text_only
    "a": ("Yes", (2.0, 1.0, -1.0, -0.5, -2.0, 4.0)),
    "b": ("Yes", (1.0, -1.0, 2.0, -2.0, -1.0, -1.0)),
    "c": ("No", (-1.0, 1.0, -2.0, None, -3.0, -1.05)),
    "d": ("No", (0.5, -0.5, 0.25, 0.25, -1.5, -0.5)),
}


def test_agreement_with_the_blank_answer_by_hand():
    made = table(GOLDEN)
    # flips of shift: a to No, b to No, c to Yes, d to No; white says No to all
    assert values(made, {"family": "shift", "blank": "white"})["agree_prior"] == 3 / 4
    # text only says Yes to a and No to the rest
    assert values(made, {"family": "shift", "blank": "text_only"})["agree_prior"] == 2 / 4
    assert values(made, {"blank": "white"})["agree_prior"] == 5 / 6


def test_drift_to_prior_by_hand():
    made = table(GOLDEN)
    drift = values(made, {"family": "shift", "blank": "white"})["drift_to_prior"]
    shares = [0.25, 0.75, 1.0, -0.5, -1.0, 0.5, 0.5, 0.125]
    assert drift == pytest.approx(np.median(shares))
    # c's blank margin is within 0.1 of its clean one, and means nothing there
    only = {"c": GOLDEN["c"]}
    assert values(table(only), {"blank": "text_only"})["drift_to_prior"] is None


def test_a_blank_between_both_answers_is_no_answer_but_has_a_margin():
    made = table({"a": ("Yes", (2.0, 1.0, -1.0, 2.0, 0.0, 4.0))})
    rows = [dataclasses.replace(r, answer=r.answer if r.logprobs[0] else None) for r in made.rows]
    found = values(dataclasses.replace(made, rows=tuple(rows)), {"blank": "white"})
    assert found["drift_to_prior"] == 0.5  # of 0.5, 1.5 and 0
    assert found["agree_prior"] is None


def test_drift_is_winsorised():
    made = table({"a": ("Yes", (1.0, 100.0, 100.0, 100.0, 2.0, -1.0))})
    assert values(made, {"blank": "white"})["drift_to_prior"] == 3.0
    assert values(made, {"blank": "text_only"})["drift_to_prior"] == -2.0


def test_rates_change_by_hand():
    found = values(table(GOLDEN), {"family": "shift"})
    assert found == pytest.approx(
        {
            "fpr_change": (1 + 0 - 1 + 0) / 4,
            "recall_change": (0 - 1 - 1 + 0) / 4,
            "yes_ratio_change": -2 / 8,
        }
    )
    assert values(table(GOLDEN), {"family": "turn"})["fpr_change"] == 0  # c failed
    shifts = values(table(GOLDEN), {"family": "shift", "gold": "No"})
    assert shifts == {"margin_shift": pytest.approx((2 - 1 - 1 - 0.25) / 4)}


def test_the_interval_of_the_median_is_clustered_and_holds_it():
    rng = np.random.default_rng(0)
    samples = {
        str(i): ("Yes", (2.0, *(2 - 4 * rng.normal(0.4, 0.3, 3)), -2.0, -2.0)) for i in range(60)
    }
    found = next(e for e in estimates(table(samples)) if e.name == "drift_to_prior")
    assert found.clusters == 60
    assert found.low < found.value < found.high
    # 120 values of spread 0.3: the median's error is about 1.25 * 0.3 / sqrt(120)
    assert found.se == pytest.approx(0.034, rel=0.4)
    rows = [
        row(f"{name}-{copy}", level, margin, gold, cluster=name)
        for name, (gold, margins) in samples.items()
        for level, margin in zip(LEVELS, margins, strict=True)
        for copy in range(4)
    ]
    copied = estimates(Table("pope", {"perturbation": LEVELS}, tuple(rows)))
    again = next(e for e in copied if e.name == "drift_to_prior")
    assert (again.value, again.clusters) == (pytest.approx(found.value), 60)
    assert again.se == pytest.approx(found.se, rel=0.25)


def test_generated_answers_have_agreement_and_no_drift():
    made = table(GOLDEN, scored=False)
    found = values(made, {"blank": "white"})
    assert found == {"agree_prior": 5 / 6, "drift_to_prior": None}


def test_a_model_that_ignores_the_image_does_not_change():
    made = table({n: ("Yes" if n < "c" else "No", (1.0,) * 6) for n in "abcd"})
    assert values(made, {"blank": "white"}) == {"agree_prior": None, "drift_to_prior": None}
    assert set(values(made).values()) == {0.0}


def test_an_empty_table_gives_unknown_values_and_finds_wrong_options():
    empty = Table("pope", {"perturbation": LEVELS}, ())
    assert {e.value for e in estimates(empty)} == {None}
    with pytest.raises(TaskError, match="did you mean white"):
        estimates(empty, blanks=["whit"])
