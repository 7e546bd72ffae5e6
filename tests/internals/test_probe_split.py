"""Splits and control labels depend on names and seeds alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.internals.probe_split import control_labels, label_shares, split_groups

NAMES = st.lists(st.text(max_size=5), min_size=3, max_size=60, unique=True)


@given(NAMES, st.integers(0, 2**32))
def test_sixty_twenty_twenty_in_any_order(names: list[str], seed: int) -> None:
    parts = split_groups(names, seed)
    assert set(parts) == set(names)
    count = Counter(parts.values())
    assert count["test"] == count["val"] == max(1, round(0.2 * len(names)))
    assert count["train"] >= 1
    assert split_groups([*reversed(names), names[0]], seed) == parts


def test_another_seed_is_another_split() -> None:
    names = [str(i) for i in range(50)]
    assert split_groups(names, 0) != split_groups(names, 1)
    # Every group is held out sooner or later, and about equally often.
    held = Counter(
        n for seed in range(200) for n, p in split_groups(names, seed).items() if p == "test"
    )
    assert set(held) == set(names)
    assert min(held.values()) > 15


def test_two_groups_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="three parts"):
        split_groups(["a", "b", "a"], 0)


def test_control_labels_are_one_a_type_and_as_frequent_as_the_true_ones() -> None:
    labels = np.array([0, 0, 0, 1] * 500)
    types = [f"type-{i // 2}" for i in range(2000)]
    made = control_labels(labels, types, [""] * 2000, 0)
    assert (made[::2] == made[1::2]).all()
    assert made.mean() == pytest.approx(0.25, abs=0.05)
    assert not np.array_equal(made, control_labels(labels, types, [""] * 2000, 1))
    # They have nothing to do with the true ones.
    assert np.corrcoef(labels, made)[0, 1] == pytest.approx(0, abs=0.1)
    turned = control_labels(labels[::-1], types[::-1], [""] * 2000, 0)
    assert np.array_equal(turned[::-1], made)


def test_control_labels_stay_within_their_stratum() -> None:
    labels = np.array([0, 1, 2, 3] * 50)
    strata = ["low" if label < 2 else "high" for label in labels]
    made = control_labels(labels, [str(i) for i in range(200)], strata, 0)
    assert ((made < 2) == (labels < 2)).all()
    assert set(made.tolist()) == {0, 1, 2, 3}


def test_shares_sum_to_one_in_each_stratum() -> None:
    found = label_shares(np.array([0, 0, 1, 2]), ["a", "a", "a", "b"])
    np.testing.assert_allclose(found["a"], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(found["b"], [0, 0, 1])
