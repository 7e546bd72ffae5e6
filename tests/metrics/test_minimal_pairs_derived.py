"""Scores of a sample are written s[image][caption], as log-odds of yes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.options import build
from vlm_eval.metrics.table import METRICS, Table, TableRow

FACTORS = {"question": ("confirm", "reject"), "side": (0, 1), "order": ("ab",)}
NAMES = ("i2c_derived_acc", "c2i_derived_acc", "derived_text", "derived_image", "derived_group")


def row(sample, question, side, margin, **changes):
    gold = "Yes" if question == "confirm" else "No"
    says = "Yes" if margin > 0 else "No"
    fields = {
        "sample_id": sample,
        "cluster": sample,
        "condition": {"question": question, "side": side, "order": "ab"},
        "fields": {"label": ("safe", "unsafe")[side]},
        "gold": gold,
        "answer": says,
        "scores": {"accuracy": float(says == gold)},
        "choices": ("Yes", "No"),
        "logprobs": (margin - 3.0, -3.0),
        "token_counts": (1, 1),
    }
    return TableRow(**{**fields, **changes})


def table(scores, **changes):
    rows = []
    for i, s in enumerate(scores):
        for k in (0, 1):
            rows += [
                row(f"x{i}", "confirm", k, s[k][k], **changes),
                row(f"x{i}", "reject", k, s[k][1 - k], **changes),
            ]
    return Table("mis", FACTORS, tuple(rows))


def estimates(made, where=None, **options):
    found = build(METRICS, {"name": "minimal_pairs", **options}, where=None)(made)
    return {e.name: e for e in found if e.where == (where or {}) and e.name in NAMES}


def values(made, **options):
    return {name: e.value for name, e in estimates(made, **options).items()}


def test_every_comparison_is_of_the_right_two():
    # image 0 likes caption 0 best, image 1 likes caption 0 best; both captions like image 1 best
    assert values(table([[[1, 0], [3, 2]]])) == {
        "i2c_derived_acc": 0.5,  # image 0 right, image 1 wrong
        "c2i_derived_acc": 0.5,  # caption 0 -> image 1 wrong, caption 1 -> image 1 right
        "derived_text": 0,
        "derived_image": 0,
        "derived_group": 0,
    }
    # both captions are told right, and both images name caption 1
    assert values(table([[[1, 2], [0, 5]]])) == {
        "i2c_derived_acc": 0.5,
        "c2i_derived_acc": 1,
        "derived_text": 0,
        "derived_image": 1,
        "derived_group": 0,
    }
    assert set(values(table([[[1, 0], [0, 1]]])).values()) == {1}


def test_it_compares_and_needs_no_threshold():
    assert set(values(table([[[-1, -2], [-5, -0.5]]])).values()) == {1}  # always says no


def test_a_tie_is_wrong():
    assert set(values(table([[[1, 1], [1, 1]]])).values()) == {0}
    found = values(table([[[float("-inf")] * 2] * 2]))
    assert set(found.values()) == {0}


def test_the_chance_is_that_of_continuous_scores():
    s = np.random.default_rng(0).normal(size=(2000, 2, 2))
    found = estimates(table(s.tolist()))
    assert found["derived_group"].chance == pytest.approx(1 / 6)
    assert [found[name].chance for name in NAMES[:4]] == [0.5, 0.5, 0.25, 0.25]
    for name in NAMES:
        assert abs(found[name].value - found[name].chance) < 4 * found[name].se, name
    assert found["i2c_derived_acc"].n == 4000
    assert found["i2c_derived_acc"].clusters == found["derived_group"].n == 2000


def test_without_log_likelihoods_there_are_none():
    assert values(table([[[1, 0], [0, 1]]], logprobs=None, token_counts=None)) == {}


def test_a_failed_trial_drops_what_it_is_part_of():
    made = table([[[1, 0], [0, 1]], [[1, 0], [0, 1]]])
    gone = row("x1", "reject", 0, 0.0, failed=True, scores={}, logprobs=None, answer=None)
    rows = [gone if (r.sample_id, r.condition) == ("x1", gone.condition) else r for r in made.rows]
    found = estimates(Table("mis", FACTORS, tuple(rows)))
    # reject of side 0 is image 0 with caption 1: it decides image 0's caption and caption 1's image
    assert (found["i2c_derived_acc"].n, found["c2i_derived_acc"].n) == (3, 3)
    assert found["derived_group"].n == 1


def test_a_slice_by_label_has_what_one_side_can_tell():
    found = estimates(table([[[1, 0], [0, 1]]]), {"label": "safe"}, by=["label"])
    assert set(found) == {"i2c_derived_acc"}


@given(st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=6))
def test_identities(flat):
    scores = [[each[:2], each[2:]] for each in flat]
    v = values(table(scores))
    text = [s[0][0] > s[0][1] and s[1][1] > s[1][0] for s in scores]
    image = [s[0][0] > s[1][0] and s[1][1] > s[0][1] for s in scores]
    assert v["derived_text"] == pytest.approx(np.mean(text))
    assert v["derived_image"] == pytest.approx(np.mean(image))
    assert v["derived_group"] == pytest.approx(np.mean(np.array(text) & np.array(image)))
    assert v["derived_text"] <= v["i2c_derived_acc"] + 1e-9
    assert v["derived_image"] <= v["c2i_derived_acc"] + 1e-9
