"""Every score of the golden table, by hand; what failed, was unparsed or is not asked."""

import itertools
import math
from dataclasses import replace

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.metrics.minimal_pairs import ORDER, WINOGROUND
from vlm_eval.metrics.table import Table

from .pairs import (
    ASKED,
    COMPOSITE,
    FACTORS,
    GOLDEN,
    KEYS,
    comparisons,
    estimates,
    measure,
    row,
    table,
    values,
)

KEYS += list(itertools.product(("i2c", "c2i"), (0, 1), ("ab", "ba")))


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
