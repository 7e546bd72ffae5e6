"""What holds between the scores of pairs whatever was answered, and what coins reach."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_eval.metrics.minimal_pairs_units import score_units
from vlm_eval.metrics.table import Table

from .pairs import COMPOSITE, FACTORS, GOLDEN, KEYS, estimates, table, values

marks = st.text("1110?", min_size=12, max_size=12)
tables = st.lists(marks, min_size=1, max_size=6).map(
    lambda all_marks: {f"x{i}": each for i, each in enumerate(all_marks)}
)


@settings(deadline=None, max_examples=30)
@given(tables)
def test_identities_between_the_scores(outcomes):
    v = values(table(outcomes))
    eps = 1e-9
    assert v["itm_acc"] == pytest.approx((v["confirm_acc"] + v["reject_acc"]) / 2)
    assert v["confirm_minus_reject"] == pytest.approx(v["confirm_acc"] - v["reject_acc"])
    assert v["i2c_minus_c2i"] == pytest.approx(v["i2c_acc"] - v["c2i_acc"])
    invalid = (v["confirm_invalid_rate"] + v["reject_invalid_rate"]) / 2
    assert v["itm_invalid_rate"] == pytest.approx(invalid)
    for question in ("i2c", "c2i"):
        assert v[f"{question}_pair_score"] <= v[f"{question}_acc"] + eps
        assert v[f"{question}_consistent_acc"] <= v[f"{question}_acc"] + eps
        assert v[f"{question}_acc"] <= 1 - v[f"{question}_invalid_rate"] + eps
    assert v["selection_group"] <= min(v["i2c_pair_score"], v["c2i_pair_score"]) + eps
    assert v["itm_group"] <= min(v["itm_Q_acc"], v["itm_I_acc"]) + eps
    assert max(v["itm_Q_acc"], v["itm_I_acc"]) <= min(v["confirm_acc"], v["reject_acc"]) + eps
    assert v["holistic_group"] <= min(v["selection_group"], v["itm_group"]) + eps


@settings(deadline=None, max_examples=25)
@given(tables, st.randoms(use_true_random=False))
def test_neither_the_index_of_a_side_nor_the_order_of_rows_matters(outcomes, random):
    """Naming I1, C1 the first side turns the shown order (C0, C1) from ab into ba."""
    made = table(outcomes)
    renamed = []
    for r in made.rows:
        question, side, order = (r.condition[name] for name in FACTORS)
        if question in ("i2c", "c2i"):
            order = {"ab": "ba", "ba": "ab"}[order]
        condition = {"question": question, "side": 1 - side, "order": order}
        renamed.append(replace(r, condition=condition))
    random.shuffle(renamed)
    assert values(Table("mis", FACTORS, tuple(renamed))) == pytest.approx(values(made))


def by_matrix(scores):
    """Return the marks of a model that ranks by one matrix, scores[caption, image]."""
    right = [scores[0, 0] > scores[1, 0], scores[1, 1] > scores[0, 1]]
    right += [scores[0, 0] > scores[0, 1], scores[1, 1] > scores[1, 0]]
    picks = "".join("11" if each else "00" for each in right)
    said = scores > 0
    yes_no = [said[0, 0], said[1, 1], not said[1, 0], not said[0, 1]]
    return "".join("1" if each else "0" for each in yes_no) + picks


def test_the_names_are_those_of_winoground_and_naturalbench():
    s = np.random.default_rng(0).normal(size=(500, 2, 2))  # [sample, caption, image]
    v = values(table({f"x{i}": by_matrix(each) for i, each in enumerate(s)}))
    text = (s[:, 0, 0] > s[:, 1, 0]) & (s[:, 1, 1] > s[:, 0, 1])
    image = (s[:, 0, 0] > s[:, 0, 1]) & (s[:, 1, 1] > s[:, 1, 0])
    assert v["i2c_pair_score"] == pytest.approx(text.mean())
    assert v["c2i_pair_score"] == pytest.approx(image.mean())
    assert v["selection_group"] == pytest.approx((text & image).mean())
    right = (s > 0) == np.eye(2, dtype=bool)
    assert v["itm_acc"] == pytest.approx(right.mean())
    assert v["itm_Q_acc"] == pytest.approx(right.all(axis=2).mean())  # one caption, both images
    assert v["itm_I_acc"] == pytest.approx(right.all(axis=1).mean())  # one image, both captions
    assert v["itm_group"] == pytest.approx(right.all(axis=(1, 2)).mean())
    assert v["i2c_consistent_acc"] == pytest.approx(v["i2c_acc"])


def test_coins_reach_the_chance_that_is_printed():
    rng = np.random.default_rng(1)
    coins = {f"x{i}": "".join(rng.choice(["0", "1"], 12)) for i in range(1500)}
    found = estimates(table(coins))
    for name, e in found.items():
        expected = e.chance
        if expected is None:
            expected = 0.5 if name == "yes_rate" else 0.0
        tolerance = 4 * (e.se or 0) + 1e-12
        assert abs(e.value - expected) <= tolerance, name


def test_one_matrix_of_continuous_scores_reaches_another_chance():
    """The trap of spec A.6: 16.67 % for the group, and not the 6.25 % of four coins."""
    s = np.random.default_rng(2).normal(size=(1500, 2, 2))
    found = estimates(table({f"x{i}": by_matrix(each) for i, each in enumerate(s)}))
    group = found["selection_group"]
    assert abs(group.value - 1 / 6) < 4 * group.se
    assert abs(group.value - 1 / 16) > 4 * group.se
    assert abs(found["i2c_pair_score"].value - 1 / 4) < 4 * found["i2c_pair_score"].se


def test_units_ask_each_trial_of_a_sample_once_at_most():
    units = score_units(("ab", "ba"))
    asked = {key for unit in units["holistic_group"] for key in unit}
    assert asked == set(KEYS)
    assert {key for sets in units.values() for unit in sets for key in unit} == {*KEYS, *COMPOSITE}
    assert all(len(set(unit)) == len(unit) for sets in units.values() for unit in sets)


def compared(made):
    """Return the table of a model that compares by similarity: no tokens, yes/no not answered."""
    rows = []
    for r in made.rows:
        asked = r.condition["question"] in ("i2c", "c2i")
        extra = {"logprobs": (0.3, 0.2), "choices": ("A", "B")} if asked else {}
        gone = {} if asked else {"scores": {}, "failed": True, "answer": None}
        rows.append(replace(r, **extra, **gone))
    return Table("mis", FACTORS, tuple(rows), chance=0.5)


def test_the_chance_of_a_contrastive_model_is_that_of_one_matrix():
    s = np.random.default_rng(3).normal(size=(1500, 2, 2))
    found = estimates(compared(table({f"x{i}": by_matrix(each) for i, each in enumerate(s)})))
    assert found["selection_group"].chance == found["pairing_suspect"].chance == 1 / 6
    assert found["i2c_pair_score"].chance == 1 / 4
    assert found["i2c_consistent_acc"].chance == 1 / 2
    for name in ("selection_group", "pairing_suspect", "i2c_consistent_acc", "c2i_pair_score"):
        assert abs(found[name].value - found[name].chance) < 4 * found[name].se, name
    assert found["confirm_acc"].value is None  # not applicable, and not 0


def in_one_order(made, orders):
    """Keep of each choice the trial in the order that its side is asked in."""
    kept = []
    for r in made.rows:
        question, side, order = (r.condition[name] for name in FACTORS)
        if question in ("confirm", "reject") or orders[side] == order:
            kept.append(r)
    return Table("mis", FACTORS, tuple(kept), chance=0.5)


def test_one_order_a_question_whichever_gives_pair_scores_too():
    made = in_one_order(table(GOLDEN), {0: "ab", 1: "ba"})
    found = estimates(made)  # marks 1 and 4 of each four
    assert found["i2c_acc"].value == 9 / 10
    assert (found["i2c_pair_score"].value, found["i2c_pair_score"].n) == (4 / 5, 5)
    assert (found["selection_group"].value, found["selection_group"].n) == (3 / 5, 5)
    # the right option is the first in all of them
    assert found["i2c_position_bias"].value == pytest.approx(0.4)
    assert found["i2c_minus_c2i"].n == 10


def test_an_order_that_is_missing_by_failure_is_still_one_of_two():
    rows = table(GOLDEN).rows
    without = Table("mis", FACTORS, tuple(r for r in rows if r is not rows[4]), chance=0.5)
    found = estimates(without)
    assert (found["i2c_pair_score"].n, found["i2c_acc"].n) == (9, 19)
