r"""Centred kernel alignment of two sets of vectors of the same rows, linear and without bias.

With K = X Xᵀ and L = Y Yᵀ, diagonals set to 0, of n rows (Song et al. 2012, *JMLR* 13, eq. 5)::

    HSIC₁(K, L) = [tr(K L) + 1ᵀK1 1ᵀL1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1ᵀK L 1] / (n (n - 3))
    CKA(X, Y)   = HSIC₁(K, L) / sqrt(HSIC₁(K, K) HSIC₁(L, L))

HSIC₁ is unbiased: of independent X and Y its expectation is 0 however many columns there are, where
the usual estimator goes to 1 as columns outnumber rows (Kornblith et al. 2019; Nguyen et al. 2021).
It is the inner product of the U-centred matrices (Székely and Rizzo 2014) over n (n - 3), so CKA
lies in [-1, 1]; it is 1 for equal X and Y, and does not change with a shift, an orthogonal map or
an isotropic scale of either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlm_eval.stats.clusters import FloatArray
from vlm_eval.stats.intervals import UNKNOWN, Interval, student_t
from vlm_eval.stats.mean import Mean

LEAST_ROWS = 4
"""HSIC₁ divides by n - 3."""
PERMUTATIONS = 999
_CONSTANT = 1e-20  # Squared spread over squared size of rows that differ by rounding only.


class Alignment(NamedTuple):
    """The alignment of representations, and what it would be of unrelated ones.

    Attributes
    ----------
    cka
        With a delete-one jackknife interval; None if it cannot be computed.
    p
        Share of permutations of the rows of one side with at least this CKA, (b + 1) / (m + 1).
    null
        Mean CKA of these permutations.
    """

    cka: Mean
    p: float | None
    null: float | None


def gram(vectors: NDArray[np.floating]) -> FloatArray | None:
    """Return the Gram matrix of centred rows with a zero diagonal, shape (rows, rows).

    Parameters
    ----------
    vectors
        Shape (rows, width).

    Returns
    -------
    array or None
        None if all rows are alike, or there are fewer than `LEAST_ROWS`.
    """
    values = np.asarray(vectors, dtype=np.float64)
    if len(values) < LEAST_ROWS:
        return None
    centred = values - values.mean(axis=0)
    if np.vdot(centred, centred) <= _CONSTANT * np.vdot(values, values):
        return None
    products: FloatArray = centred @ centred.T
    np.fill_diagonal(products, 0.0)
    return products


def hsic(one: FloatArray, other: FloatArray) -> float:
    """Return HSIC₁ of two Gram matrices with zero diagonals, 4 rows or more."""
    return float(_hsic(_Sums.of(one, other), len(one)))


def debiased_cka(x: NDArray[np.floating], y: NDArray[np.floating]) -> float | None:
    """Return the debiased linear CKA of X and Y, shapes (rows, width) and (rows, any width).

    Returns
    -------
    float or None
        In [-1, 1]; None with fewer than four rows, or if the rows of a side are all alike.
    """
    one, other = gram(x), gram(y)
    if one is None or other is None:
        return None
    return _cka(one, other) if hsic(one, one) * hsic(other, other) > 0 else None


def align(clean: FloatArray, others: Sequence[FloatArray], rng: np.random.Generator) -> Alignment:
    """Return the mean CKA of one representation with several others of the same rows.

    Parameters
    ----------
    clean
        Its Gram matrix, from :func:`gram`; rows are independent.
    others
        The Gram matrices of the others, at least one.
    rng
        For the permutations, the same ones for all others.
    """
    rows = len(clean)
    value = float(np.mean([_cka(clean, other) for other in others]))
    without = np.mean([_cka_without_each(clean, other) for other in others], axis=0)
    cka = Mean(value, *_jackknife(value, without), n=rows, clusters=rows)
    return Alignment(cka, *_permuted(clean, others, rng))


def _cka(one: FloatArray, other: FloatArray) -> float:
    found = hsic(one, other) / math.sqrt(hsic(one, one) * hsic(other, other))
    return max(-1.0, min(1.0, found))  # rounding


class _Sums(NamedTuple):
    """What HSIC₁ is made of: tr(KL), 1ᵀK1, 1ᵀL1 and 1ᵀKL1."""

    trace: FloatArray
    one: FloatArray
    other: FloatArray
    cross: FloatArray

    @classmethod
    def of(cls, k: FloatArray, l: FloatArray) -> _Sums:  # noqa: E741
        """Return the sums over all rows."""
        rows, others = k.sum(axis=1), l.sum(axis=1)
        found = np.vdot(k, l), rows.sum(), others.sum(), rows @ others
        return cls(*(np.asarray(number, dtype=np.float64) for number in found))

    @classmethod
    def without_each(cls, k: FloatArray, l: FloatArray) -> _Sums:  # noqa: E741
        """Return the sums without row i, for each i: arrays of shape (rows,)."""
        whole = cls.of(k, l)
        rows, others, products = k.sum(axis=1), l.sum(axis=1), (k * l).sum(axis=1)
        return cls(
            whole.trace - 2 * products,
            whole.one - 2 * rows,
            whole.other - 2 * others,
            whole.cross - rows * others - l @ rows - k @ others + products,
        )


def _hsic(sums: _Sums, n: int) -> FloatArray:
    found: FloatArray = sums.trace + sums.one * sums.other / ((n - 1) * (n - 2))
    return (found - 2 / (n - 2) * sums.cross) / (n * (n - 3))


def _cka_without_each(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the CKA without row i, for each i, shape (rows,); NaN where it has none."""
    left = len(one) - 1
    if left < LEAST_ROWS:
        return np.full(len(one), np.nan)
    cross, first, second = (
        _hsic(_Sums.without_each(*pair), left)
        for pair in ((one, other), (one, one), (other, other))
    )
    size = np.sqrt(np.maximum(first, 0) * np.maximum(second, 0))
    found = np.full(len(one), np.nan)
    np.divide(cross, size, out=found, where=size > 0)
    return found


def _jackknife(value: float, without: FloatArray) -> tuple[float | None, *Interval]:
    """Return standard error, ends and method: Student's t about the value."""
    n = len(without)
    if not np.isfinite(without).all():
        return None, *UNKNOWN
    se = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    if se <= 1e-9:  # rounding: equal representations stay equal whatever is left out
        return None, *UNKNOWN
    low, high, _ = student_t(value, se, n - 1)
    return se, max(-1.0, low or 0.0), min(1.0, high or 0.0), "jackknife"


def _permuted(
    clean: FloatArray, others: Sequence[FloatArray], rng: np.random.Generator
) -> tuple[float, float]:
    """Return p and the mean under permutation: the mean CKA is linear in the normed U-centred L."""
    one = _normed(clean)
    other = np.mean([_normed(matrix) for matrix in others], axis=0)
    observed = float(np.vdot(one, other))
    found = np.empty(PERMUTATIONS)
    for i in range(PERMUTATIONS):
        order = rng.permutation(len(one))
        found[i] = np.vdot(one, other[np.ix_(order, order)])
    p = (int((found >= observed - 1e-12).sum()) + 1) / (PERMUTATIONS + 1)
    return p, float(found.mean())


def _normed(matrix: FloatArray) -> FloatArray:
    """Return the U-centred matrix, off the diagonal, with norm 1."""
    n = len(matrix)
    rows = matrix.sum(axis=1) / (n - 2)
    centred = matrix - rows[:, None] - rows[None, :] + matrix.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    normed: FloatArray = centred / np.linalg.norm(centred)
    return normed
