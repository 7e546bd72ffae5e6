"""Debiased linear CKA: its closed identities, its null, and its error against resampling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats.cka import PERMUTATIONS, align, debiased_cka, gram, hsic

RNG = np.random.default_rng(7)


def biased_cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    return float((x.T @ y).ravel() @ (x.T @ y).ravel()) / (
        np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    )


def test_a_representation_is_aligned_with_itself() -> None:
    x = RNG.normal(size=(20, 50))
    assert debiased_cka(x, x) == pytest.approx(1, abs=1e-12)


def test_shift_rotation_and_scale_change_nothing() -> None:
    x, y = RNG.normal(size=(2, 25, 8))
    y = y + x
    turn, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    expected = debiased_cka(x, y)
    assert 0.2 < expected < 0.9
    assert debiased_cka(x, 3.7 * y @ turn + 11) == pytest.approx(expected, abs=1e-10)
    assert debiased_cka(y, x) == pytest.approx(expected, abs=1e-12)
    stretched = y * np.array([9, 1, 1, 1, 1, 1, 1, 1])  # not isotropic: CKA does change
    assert abs(debiased_cka(x, stretched) - expected) > 0.02


def test_unrelated_representations_are_near_zero_where_the_biased_one_is_not() -> None:
    found = [debiased_cka(*RNG.normal(size=(2, 30, 300))) for _ in range(40)]
    biased = [biased_cka(*RNG.normal(size=(2, 30, 300))) for _ in range(5)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 40**0.5
    assert abs(np.mean(found)) < 0.03
    assert min(biased) > 0.85


def test_hsic_is_the_mean_over_quadruples() -> None:
    """Song et al.'s U-statistic, written out over all ordered quadruples of rows."""
    x, y = RNG.normal(size=(2, 7, 3))
    k, n = gram(x), gram(y)
    terms = [
        k[i, j] * (n[i, j] + n[q, r] - 2 * n[i, q])
        for i, j, q, r in itertools.permutations(range(7), 4)
    ]
    assert hsic(k, n) == pytest.approx(np.mean(terms))


def test_leaving_each_row_out_is_computed_from_sums() -> None:
    x = RNG.normal(size=(12, 5))
    y = x + RNG.normal(size=(12, 5))
    without = np.array([debiased_cka(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(12)])
    se = np.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
    found = align(gram(x), [gram(y)], derive_rng(0, "a")).cka
    assert found.value == pytest.approx(debiased_cka(x, y))
    assert found.se == pytest.approx(se)
    assert found.low < found.value < found.high <= 1
    assert (found.n, found.clusters, found.method) == (12, 12, "jackknife")


def test_the_jackknife_covers_the_spread_of_fresh_samples() -> None:
    rng = np.random.default_rng(11)
    values, errors = [], []
    for _ in range(60):
        x = rng.normal(size=(40, 6))
        y = x + 0.7 * rng.normal(size=(40, 6))
        found = align(gram(x), [gram(y)], rng).cka
        values.append(found.value)
        errors.append(found.se)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def test_the_null_of_related_and_of_unrelated_rows() -> None:
    x, noise = RNG.normal(size=(2, 40, 10))
    related = align(gram(x), [gram(x + 0.3 * noise)], derive_rng(0, "b"))
    assert related.p == 1 / (PERMUTATIONS + 1)
    assert abs(related.null) < 0.02
    ps = [
        align(gram(RNG.normal(size=(15, 4))), [gram(RNG.normal(size=(15, 4)))], RNG).p
        for _ in range(40)
    ]
    assert 0.3 < np.mean(ps) < 0.7
    assert sum(p <= 0.05 for p in ps) <= 6


def test_several_others_are_averaged_and_permuted_together() -> None:
    x, a, b = RNG.normal(size=(3, 20, 5))
    both = align(gram(x), [gram(x + a), gram(x + b)], derive_rng(0, "c"))
    each = [debiased_cka(x, x + other) for other in (a, b)]
    assert both.cka.value == pytest.approx(np.mean(each))
    same = align(gram(x), [gram(x), gram(x)], derive_rng(0, "c")).cka
    assert (same.value, same.low) == (pytest.approx(1), None)


def test_nothing_to_align() -> None:
    x = RNG.normal(size=(10, 3))
    assert debiased_cka(x, np.ones((10, 3)) * 0.1) is None
    assert debiased_cka(x[:3], x[:3]) is None
    assert gram(x[:3]) is None
    assert align(gram(x[:4]), [gram(x[:4] + x[1:5])], RNG).cka.method == "none"
