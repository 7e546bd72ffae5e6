"""Outcomes of a sample are written as twelve marks: 1 right, 0 wrong, ? unparsed, ! failed.

In order: confirm of sides 0, 1; reject of sides 0, 1; i2c and c2i, each of side 0 in the orders ab
and ba, then of side 1.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.minimal_pairs import ORDER, WINOGROUND
from vlm_eval.metrics.minimal_pairs_units import score_units
from vlm_eval.metrics.table import METRICS, Table, TableRow
from vlm_eval.stats.results import Comparison, Estimate

FACTORS = {"question": ("confirm", "reject", "i2c", "c2i"), "side": (0, 1), "order": ("ab", "ba")}
KEYS = [(question, side, "ab") for question in ("confirm", "reject") for side in (0, 1)]
KEYS += list(itertools.product(("i2c", "c2i"), (0, 1), ("ab", "ba")))
COMPOSITE = [("c2i_composite", side, order) for side in (0, 1) for order in ("ab", "ba")]
ASKED = tuple(name for name in ORDER if "composite" not in name and "derived" not in name)
OPTIONS = {"confirm": ("Yes", "No"), "reject": ("No", "Yes"), "i2c": "AB", "c2i": "12",
           "c2i_composite": "12"}  # fmt: skip

GOLDEN = {
    "s1": "11 11 11 11 11 11",
    "s2": "11 01 10 11 11 01",
    "s3": "1? 00 11 00 ?0 01",
    "s4": "01 10 11 11 00 11",
    "s5": "11 00 11 11 11 11",
}
LABELS = {"s1": ("safe", "unsafe"), "s2": ("unsafe", "safe")}


def row(sample, key, mark, labels=("safe", "unsafe"), **extra):
    question, side, order = key
    right, wrong = OPTIONS[question]
    if question not in ("confirm", "reject") and (side == 0) != (order == "ab"):
        right, wrong = wrong, right
    condition = {"question": question, "side": side, "order": order, **extra}
    return TableRow(
        sample_id=sample,
        cluster=sample,
        condition=condition,
        fields={"category": None, "label": labels[side]},
        gold=right,
        answer={"1": right, "0": wrong}.get(mark),
        scores={} if mark == "!" else {"accuracy": float(mark == "1")},
        failed=mark == "!",
    )


def table(outcomes, keys=KEYS, factors=FACTORS):
    rows = [
        row(sample, key, mark, LABELS.get(sample, ("safe", "unsafe")))
        for sample, marks in outcomes.items()
        for key, mark in zip(keys, marks.replace(" ", ""), strict=True)
    ]
    return Table("mis", factors, tuple(rows), chance=0.5)


def measure(made, **options):
    return build(METRICS, {"name": "minimal_pairs", **options}, where=None)(made)


def estimates(made, where=None, **options):
    found = [r for r in measure(made, **options) if isinstance(r, Estimate)]
    return {e.name: e for e in found if e.where == (where or {})}


def values(made, where=None, **options):
    return {name: e.value for name, e in estimates(made, where, **options).items()}


def comparisons(made):
    return [r for r in measure(made) if isinstance(r, Comparison)]


def test_every_score_of_the_golden_table_is_as_by_hand():
    assert values(table(GOLDEN)) == pytest.approx(
        {
            "confirm_acc": 8 / 10,  # 2 + 2 + 1 + 1 + 2
            "reject_acc": 4 / 10,  # 2 + 1 + 0 + 1 + 0
            "itm_acc": 12 / 20,
            "confirm_minus_reject": 4 / 10,
            # "yes": 8 right confirms, 6 wrong rejects; the unparsed confirm is neither
            "yes_rate": 14 / 20,
            "i2c_acc": 17 / 20,  # 4 + 3 + 2 + 4 + 4
            "c2i_acc": 14 / 20,  # 4 + 3 + 1 + 2 + 4
            "i2c_minus_c2i": 3 / 20,
            "i2c_consistent_acc": 8 / 10,  # 2 + 1 + 1 + 2 + 2 sides
            "c2i_consistent_acc": 6 / 10,  # 2 + 1 + 0 + 1 + 2
            # the first option is right for (0, ab) and (1, ba), wrong for (0, ba) and (1, ab)
            "i2c_position_bias": (2 + 3 + 2 + 2 + 2) / 20 - 1 / 2,
            "c2i_position_bias": (2 + 3 + 3 + 2 + 2) / 20 - 1 / 2,
            "i2c_pair_score": 7 / 10,  # ab, ba: 2 + 1 + 0 + 2 + 2
            "c2i_pair_score": 5 / 10,  # 2 + 1 + 0 + 0 + 2
            "selection_group": 4 / 10,  # 2 + 0 + 0 + 0 + 2
            "itm_I_acc": 3 / 10,  # confirm k and reject k: 2 + 1 + 0 + 0 + 0
            "itm_Q_acc": 4 / 10,  # confirm k and reject 1 - k: 2 + 1 + 0 + 1 + 0
            "itm_group": 1 / 5,
            "holistic_group": 2 / 10,
            "pairing_suspect": 0,
            "confirm_invalid_rate": 1 / 10,
            "reject_invalid_rate": 0,
            "itm_invalid_rate": 1 / 20,
            "i2c_invalid_rate": 0,
            "c2i_invalid_rate": 1 / 20,
        }
    )


def test_errors_and_intervals_are_clustered_by_sample():
    found = estimates(table(GOLDEN))
    confirm = found["confirm_acc"]  # sample means 1, 1, 1/2, 1/2, 1
    assert (confirm.n, confirm.clusters) == (10, 5)
    assert confirm.se == pytest.approx(math.sqrt(0.30 / 4 / 5))
    difference = found["confirm_minus_reject"]  # sample means 0, 1/2, 1/2, 0, 1
    assert difference.se == pytest.approx(math.sqrt(0.70 / 4 / 5))
    half = 2.7764451 * math.sqrt(0.70 / 4 / 5)  # Student's t, 4 degrees of freedom
    assert difference.low == pytest.approx(0.4 - half, abs=1e-6)
    assert difference.high == pytest.approx(0.4 + half, abs=1e-6)
    assert difference.signed
    bias = found["i2c_position_bias"]
    assert (bias.low + bias.high) / 2 == pytest.approx(bias.value)
    assert bias.signed
    assert found["c2i_invalid_rate"].lower_is_better


def test_results_come_in_one_order_and_the_chance_is_that_of_coins():
    found = estimates(table(GOLDEN))
    assert tuple(found) == ASKED
    chance = {name: e.chance for name, e in found.items() if e.chance is not None}
    assert chance == {
        "confirm_acc": 0.5,
        "reject_acc": 0.5,
        "itm_acc": 0.5,
        "i2c_acc": 0.5,
        "c2i_acc": 0.5,
        "i2c_consistent_acc": 0.25,
        "c2i_consistent_acc": 0.25,
        "i2c_pair_score": 0.25,
        "c2i_pair_score": 0.25,
        "selection_group": 0.0625,
        "itm_Q_acc": 0.25,
        "itm_I_acc": 0.25,
        "itm_group": 0.0625,
        "holistic_group": 0.5**8,
        "pairing_suspect": 0.0625,
    }


def test_the_two_differences_are_paired_comparisons_too():
    confirm, select = comparisons(table(GOLDEN))
    assert (confirm.factor, confirm.baseline, confirm.level) == ("question", "reject", "confirm")
    assert (select.factor, select.baseline, select.level) == ("question", "c2i", "i2c")
    assert (confirm.difference, select.difference) == pytest.approx((0.4, 0.15))
    assert (confirm.n_pairs, confirm.n_clusters) == (10, 5)
    assert (select.n_pairs, select.n_clusters) == (20, 5)
    # pairs (reject, confirm) by side: 11 11 | 01 11 | 01 0? | 10 01 | 01 01
    assert (confirm.right_to_wrong, confirm.wrong_to_right) == (1, 5)
    assert (confirm.parse_failures_level, confirm.parse_failures_baseline) == (1, 0)
    assert confirm.family == select.family == 2
    assert confirm.p_adjusted >= confirm.p


def test_questions_that_all_failed_are_unknown_and_never_zero():
    single_image = {name: marks[:12] + "!! !!" for name, marks in GOLDEN.items()}
    found = estimates(table(single_image))
    unknown = {name for name, e in found.items() if e.value is None}
    assert unknown == {
        "c2i_acc",
        "c2i_consistent_acc",
        "c2i_position_bias",
        "c2i_pair_score",
        "c2i_invalid_rate",
        "i2c_minus_c2i",
        "selection_group",
        "holistic_group",
        "pairing_suspect",
    }
    assert all((found[name].n, found[name].method) == (0, "none") for name in unknown)
    assert found["i2c_acc"].value == pytest.approx(17 / 20)
    select = comparisons(table(single_image))[1]
    assert (select.difference, select.n_pairs, select.dropped["failed"]) == (None, 0, 20)


def test_a_failed_trial_drops_only_the_units_that_it_is_part_of():
    found = estimates(table({**GOLDEN, "s1": "11 !1 11 11 11 11"}))
    assert (found["reject_acc"].value, found["reject_acc"].n) == (pytest.approx(3 / 9), 9)
    assert (found["confirm_acc"].value, found["confirm_acc"].n) == (pytest.approx(8 / 10), 10)
    assert (found["itm_I_acc"].value, found["itm_I_acc"].n) == (pytest.approx(2 / 9), 9)
    assert (found["itm_group"].value, found["itm_group"].n) == (0, 4)
    assert (found["selection_group"].value, found["holistic_group"].n) == (pytest.approx(0.4), 8)
    assert found["itm_invalid_rate"].value == pytest.approx(1 / 19)
    # confirm and reject of one side are a pair
    assert found["confirm_minus_reject"].n == 9


def test_unparsed_answers_are_wrong_and_stay_in_every_denominator():
    found = values(table({"a": "?? ?? ?? ?? ?? ??"}))
    assert {name for name, value in found.items() if value == 1} == {
        name for name in ASKED if name.endswith("invalid_rate")
    }
    assert found["yes_rate"] == found["itm_acc"] == found["i2c_acc"] == 0
    assert found["i2c_position_bias"] == -0.5


def test_constant_answers_show_as_biases():
    yes = values(table({"a": "11 00 10 01 10 01", "b": "11 00 10 01 10 01"}))
    assert (yes["confirm_acc"], yes["reject_acc"], yes["yes_rate"]) == (1, 0, 1)
    assert yes["confirm_minus_reject"] == 1
    assert yes["itm_Q_acc"] == yes["itm_I_acc"] == 0
    # the first option every time
    assert (yes["i2c_acc"], yes["i2c_position_bias"]) == (0.5, 0.5)
    assert yes["i2c_consistent_acc"] == yes["i2c_pair_score"] == 0


def test_the_label_is_read_and_not_the_index():
    outcomes = {"s1": GOLDEN["s1"], "s2": GOLDEN["s2"]}  # s1: side 0 is safe; s2: side 1 is
    safe = values(table(outcomes), {"label": "safe"}, by=["label"])
    unsafe = values(table(outcomes), {"label": "unsafe"}, by=["label"])
    assert (safe["reject_acc"], unsafe["reject_acc"]) == (1, 0.5)
    assert (safe["i2c_acc"], unsafe["i2c_acc"]) == (1, 3 / 4)
    assert (safe["c2i_acc"], unsafe["c2i_acc"]) == (3 / 4, 1)
    assert (safe["confirm_minus_reject"], unsafe["confirm_minus_reject"]) == (0, 0.5)
    assert safe["itm_I_acc"] == 1
    absent = {"i2c_pair_score", "c2i_pair_score", "selection_group", "itm_Q_acc", "itm_group"}
    assert not {*absent, "holistic_group"} & safe.keys()


def test_a_field_that_no_sample_fills_in_is_passed_over_but_an_unknown_one_is_an_error():
    assert len(measure(table(GOLDEN), by=["category", "label"])) == len(
        measure(table(GOLDEN), by=["label"])
    )
    with pytest.raises(TaskError, match="did you mean category"):
        measure(table(GOLDEN), by=["categry"])


def test_further_factors_are_kept_apart():
    factors = {**FACTORS, "blur": (0, 5)}
    rows = [
        row(sample, key, mark, blur=blur)
        for blur, sample in ((0, "s1"), (5, "s2"))
        for key, mark in zip(KEYS, GOLDEN[sample].replace(" ", ""), strict=True)
    ]
    made = Table("mis", factors, tuple(rows))
    assert values(made) == {}
    assert values(made, {"blur": 0})["i2c_acc"] == 1
    assert values(made, {"blur": 5})["i2c_acc"] == 3 / 4


def test_one_order_and_fewer_questions_give_what_they_can():
    keys = [key for key in KEYS if key[2] == "ab" and key[0] != "c2i"]
    factors = {"question": ("confirm", "reject", "i2c"), "side": (0, 1), "order": ("ab",)}
    found = estimates(table({"a": "11 10 11", "b": "11 11 01"}, keys, factors))
    assert not [
        name for name in found if "c2i" in name or name in ("selection_group", "pairing_suspect")
    ]
    assert found["i2c_pair_score"].value == 0.5
    assert found["i2c_consistent_acc"].value == found["i2c_acc"].value == 0.75
    assert found["i2c_consistent_acc"].chance == 0.5
    bare = {"question": ("i2c",), "side": (0, 1)}
    plain = table({"a": "10"}, [("i2c", 0, "ab"), ("i2c", 1, "ab")], bare)
    without_order = [
        replace(r, condition={k: v for k, v in r.condition.items() if k != "order"})
        for r in plain.rows
    ]
    assert values(Table("mis", bare, tuple(without_order)))["i2c_acc"] == 0.5


def test_an_empty_table_has_every_score_and_no_value():
    found = estimates(table({}))
    assert tuple(found) == ORDER
    assert all(e.value is None and e.n == 0 for e in found.values())


@pytest.mark.parametrize("factor", ["question", "side"])
def test_a_task_without_the_factors_is_refused(factor):
    factors = {name: levels for name, levels in FACTORS.items() if name != factor}
    with pytest.raises(TaskError, match=repr(factor)):
        measure(Table("other", factors, ()))


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


def test_a_composite_is_a_question_of_its_own():
    factors = {**FACTORS, "question": ("c2i", "c2i_composite")}
    keys = [key for key in KEYS if key[0] == "c2i"] + COMPOSITE
    made = table({"a": "11 10 0000", "b": "01 11 11?1"}, keys, factors)
    found = values(made)
    assert found["c2i_acc"] == 6 / 8
    assert found["c2i_composite_acc"] == 3 / 8
    assert found["c2i_composite_consistent_acc"] == 1 / 4
    assert found["c2i_composite_pair_score"] == 1 / 4  # sample b under ba
    assert found["c2i_composite_invalid_rate"] == 1 / 8
    assert found["c2i_minus_c2i_composite"] == pytest.approx(3 / 8)
    assert "selection_group" not in found
    (comparison,) = comparisons(made)
    assert (comparison.baseline, comparison.level) == ("c2i_composite", "c2i")


def test_winograds_names_rename_and_change_nothing():
    usual, theirs = values(table(GOLDEN)), values(table(GOLDEN), names="winoground")
    assert {WINOGROUND.get(name, name): value for name, value in usual.items()} == theirs
    assert {"text_score", "image_score", "group_score"} <= theirs.keys()


def test_pairs_whose_images_are_exchanged_are_suspect():
    """A perfect model on a set in which every pairing is reversed."""
    found = estimates(table({"a": "00 00 0000 0000", "b": "00 00 0000 0000"}))
    assert found["pairing_suspect"].value == 1
    assert found["selection_group"].value == 0
    assert found["pairing_suspect"].lower_is_better
    unparsed = values(table({"a": "00 00 0?00 0000", "b": "00 00 0000 0000"}))
    assert unparsed["pairing_suspect"] == 3 / 4  # no answer is no choice of the other


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
