import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.presence import RATES
from vlm_eval.metrics.table import METRICS, Table, TableRow

ANSWERS = {"y": "Yes", "n": "No", "?": None}


def row(index, gold, mark, *, image=None, condition=None, also=None, **fields):
    answer, right = ANSWERS.get(mark), "Yes" if gold == "y" else "No"
    scores = {} if mark == "!" else {"accuracy": float(answer == right)}
    others = {name: ANSWERS[m] for name, m in (also or {}).items()}
    scores |= {f"accuracy_{name}": float(a == right) for name, a in others.items()}
    return TableRow(
        sample_id=str(index),
        cluster=str(image if image is not None else index),
        condition=condition or {},
        fields=fields,
        gold=right,
        answer=answer,
        scores=scores,
        failed=mark == "!",
        also=others,
    )


def table(golds, marks, *, alone=False, **extra):
    """Return a table of six questions an image, or of one."""
    pairs = enumerate(zip(golds, marks, strict=True))
    rows = [row(i, g, m, image=i if alone else i // 6, **extra) for i, (g, m) in pairs]
    return Table("pope", {}, tuple(rows))


def estimates(made, where=None, **options):
    found = build(METRICS, {"name": "presence", **options}, where=None)(made)
    return {e.name: e for e in found if e.where == (where or {})}


def values(made, where=None, **options):
    return {name: e.value for name, e in estimates(made, where, **options).items()}


BALANCED = "yn" * 300
ALWAYS_YES = {
    "accuracy": 0.5, "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "yes_ratio": 1.0, "fpr": 1.0,
    "balanced_accuracy": 0.5, "unparsed_rate": 0.0,
}  # fmt: skip
ALWAYS_NO = {
    "accuracy": 0.5, "precision": 0.0, "recall": 0.0, "f1": 0.0, "yes_ratio": 0.0, "fpr": 0.0,
    "balanced_accuracy": 0.5, "unparsed_rate": 0.0,
}  # fmt: skip
NEVER_PARSED = dict.fromkeys(RATES, 0.0) | {"unparsed_rate": 1.0}


@pytest.mark.parametrize(
    ("mark", "golden"), [("y", ALWAYS_YES), ("n", ALWAYS_NO), ("?", NEVER_PARSED)]
)
def test_constant_models_have_the_published_values(mark, golden):
    assert values(table(BALANCED, mark * 600)) == pytest.approx(golden)


def test_an_unparsed_answer_stays_in_every_denominator_and_is_never_right():
    # gold yes: 3 yes, 1 no, 2 unparsed; gold no: 1 yes, 2 no, 1 unparsed
    found = values(table("yyyyyynnnn", "yyyn??ynn?"))
    assert found == pytest.approx(
        {
            "accuracy": 5 / 10,
            "precision": 3 / 4,
            "recall": 3 / 6,
            "f1": 2 * (3 / 4 * 3 / 6) / (3 / 4 + 3 / 6),
            "yes_ratio": 4 / 10,
            "fpr": 1 / 4,
            "balanced_accuracy": (3 / 6 + 2 / 4) / 2,
            "unparsed_rate": 3 / 10,
        }
    )


def test_the_yes_ratio_is_that_of_the_answers_not_of_the_gold_answers():
    assert values(table("yn" * 50, "y" * 30 + "n" * 70))["yes_ratio"] == 0.3


def test_a_failed_trial_is_no_answer():
    assert values(table("yyyn", "y!!n"))["recall"] == 1.0
    assert estimates(table("yyyn", "y!!n"))["accuracy"].n == 2


def test_parsers_stand_side_by_side():
    rows = [
        row(i, g, m, also={"repope": r})
        for i, (g, m, r) in enumerate(zip("yynn", "yy?n", "ynyn", strict=True))
    ]
    made = Table("pope", {}, tuple(rows))
    scores = ["accuracy", "accuracy_repope"]
    own = values(made, scores=scores)
    assert (own["accuracy"], own["accuracy_repope"]) == (0.75, 0.5)
    assert (own["unparsed_rate"], own["unparsed_rate_repope"]) == (0.25, 0.0)
    assert (own["f1"], own["f1_repope"]) == (1.0, 0.5)
    assert list(own)[:4] == ["accuracy", "accuracy_repope", "precision", "precision_repope"]


def test_the_macro_mean_weighs_splits_alike():
    rows = [row(i, "y", "y", image=i, split="random") for i in range(8)]
    rows += [row(f"p{i}", "y", "yn"[i], image=i, split="popular") for i in range(2)]
    made = Table("pope", {}, tuple(rows))
    found = estimates(made, macro="split")
    assert found["recall"].value == pytest.approx((1 + 0.5) / 2)
    assert found["recall"].clusters == 8
    assert found["recall"].low < 0.75 < found["recall"].high
    assert values(made)["recall"] == pytest.approx(9 / 10)
    assert values(made, {"split": "popular"}, macro="split")["recall"] == 0.5


def test_the_macro_mean_of_one_split_is_the_split():
    rows = [row(i, "y", "yn"[i % 2], image=i, split="random") for i in range(8)]
    made = Table("pope", {}, tuple(rows))
    assert estimates(made, macro="split") == estimates(made)


def test_intervals_are_clustered_by_image():
    rng = np.random.default_rng(0)
    golds, marks = "yn" * 150, "".join(rng.choice(list("yn"), 50).repeat(6))
    pooled = estimates(table(golds, marks))
    alone = estimates(table(golds, marks, alone=True))
    for name in ("yes_ratio", "fpr", "recall"):
        assert pooled[name].se > 1.4 * alone[name].se
        assert pooled[name].clusters == 50
    for name in ("f1", "yes_ratio"):
        assert pooled[name].low < pooled[name].value < pooled[name].high


def test_the_interval_of_f1_is_near_its_delta_method():
    rng = np.random.default_rng(1)
    golds = "yn" * 1500
    right = rng.random(3000) < 0.8
    marks = "".join(g if ok else "ny"[g == "n"] for g, ok in zip(golds, right, strict=True))
    f1 = estimates(table(golds, marks, alone=True))["f1"]
    said, yes = np.array([m == "y" for m in marks]), np.array([g == "y" for g in golds])
    # F1 = 2A / B with A = said and yes, B = said + yes: linearised about the means
    a, b = (said & yes).astype(float), said.astype(float) + yes
    influence = 2 * (a - f1.value / 2 * b) / b.mean()
    assert f1.se == pytest.approx(influence.std(ddof=1) / math.sqrt(3000), rel=0.1)
    assert f1.value == pytest.approx(2 * a.sum() / b.sum())


def test_conditions_are_never_pooled():
    rows = [row(i, "y", "y", condition={"perturbation": "clean"}) for i in range(4)]
    rows += [row(i, "y", "n", condition={"perturbation": "rotate"}) for i in range(4)]
    made = Table("pope", {"perturbation": ("clean", "rotate")}, tuple(rows))
    assert values(made) == {}
    assert values(made, {"perturbation": "clean"})["recall"] == 1.0
    assert values(made, {"perturbation": "rotate"})["recall"] == 0.0


def test_an_empty_table_gives_unknown_values_and_finds_wrong_options():
    empty = Table("pope", {"perturbation": ("clean", "rotate")}, ())
    found = estimates(empty, macro="split")
    assert set(found) == set(RATES)
    assert all(estimate.value is None for estimate in found.values())
    with pytest.raises(TaskError, match="accuracy_nope"):
        estimates(table("yn", "yn"), scores=["accuracy_nope"])
    with pytest.raises(TaskError, match="split"):
        estimates(table("yn", "yn", spilt="random"), macro="split")


def test_directions_of_the_numbers():
    found = estimates(table("yn", "yn"))
    assert {name for name, e in found.items() if e.lower_is_better} == {"fpr", "unparsed_rate"}


@given(st.lists(st.tuples(st.sampled_from("yn"), st.sampled_from("yn?")), min_size=1, max_size=40))
def test_identities(pairs):
    found = values(table("".join(g for g, _ in pairs), "".join(m for _, m in pairs)))
    precision, recall = found["precision"], found["recall"]
    if precision + recall:
        assert found["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    yes = sum(g == "y" for g, _ in pairs) / len(pairs)
    assert found["yes_ratio"] == pytest.approx(recall * yes + found["fpr"] * (1 - yes))
    assert all(0 <= value <= 1 for value in found.values())
