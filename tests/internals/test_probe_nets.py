"""Probes: their shape, what decides when they end, and that their probabilities mean something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vlm_eval.internals.probe_nets import (
    Examples,
    Training,
    class_weights,
    fit,
    fit_temperature,
)

SMALL = Training(hidden=(32, 16), epochs=40)


def blobs(rows: int, seed: int, *, spread: float = 1.0, classes: int = 2) -> Examples:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    centres = np.random.default_rng(9).normal(size=(classes, 8))
    states = (centres[labels] + spread * rng.normal(size=(rows, 8))).astype(np.float32)
    return Examples(states, labels)


def test_the_mlp_is_the_one_of_the_specification() -> None:
    net: Any = fit("mlp", blobs(50, 0), blobs(20, 1), 3, Training(epochs=1), 0).net
    kinds = [type(layer) for layer in net]
    assert kinds == [nn.Linear, nn.GELU, nn.Dropout, nn.Linear, nn.GELU, nn.Dropout, nn.Linear]
    assert [(one.in_features, one.out_features) for one in net[::3]] == [
        (8, 1024), (1024, 256), (256, 3),
    ]  # fmt: skip
    assert net[2].p == net[5].p == 0.1
    linear: Any = fit("linear", blobs(50, 0), blobs(20, 1), 3, Training(epochs=1), 0).net
    assert [type(layer) for layer in linear] == [nn.Linear]


def test_defaults_are_those_of_the_specification() -> None:
    made = Training()
    assert (made.lr, made.weight_decay, made.batch) == (1e-3, 1e-2, 256)
    assert (made.epochs, made.patience) == (100, 10)


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_it_learns_and_repeats(kind: Any) -> None:
    train, val, test = blobs(400, 0), blobs(150, 1), blobs(200, 2)
    before = torch.random.get_rng_state()
    one, other, third = (fit(kind, train, val, 2, SMALL, seed) for seed in (5, 5, 6))
    assert torch.equal(before, torch.random.get_rng_state())
    found = one.probabilities(test.states)
    assert (found.argmax(1) == test.classes).mean() > 0.85
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(found, other.probabilities(test.states))
    assert not np.array_equal(found, third.probabilities(test.states))


def test_the_scale_and_place_of_states_do_not_matter() -> None:
    train, val, test = blobs(200, 0), blobs(80, 1), blobs(50, 2)
    scale = (10.0 ** np.arange(-3, 5)).astype(np.float32)

    def moved(part: Examples) -> Examples:
        return Examples(part.states * scale + 7 * scale, part.classes)

    plain = fit("linear", train, val, 2, SMALL, 0).probabilities(test.states)
    shifted = fit("linear", moved(train), moved(val), 2, SMALL, 0)
    np.testing.assert_allclose(shifted.probabilities(moved(test).states), plain, atol=1e-3)


def test_constant_states_give_the_shares_of_the_classes_a_chance() -> None:
    labels = np.array([0, 1] * 50)
    same = Examples(np.ones((100, 4), np.float32), labels)
    found = fit("mlp", same, same, 2, SMALL, 0).probabilities(same.states)
    np.testing.assert_allclose(found, 0.5, atol=1e-2)


def test_it_ends_when_validation_gets_no_better() -> None:
    rng = np.random.default_rng(0)
    random = Examples(rng.normal(size=(100, 8)).astype(np.float32), rng.integers(0, 2, 100))
    val = Examples(rng.normal(size=(100, 8)).astype(np.float32), rng.integers(0, 2, 100))
    training = Training(hidden=(64, 32), epochs=100, patience=3, batch=16, lr=1e-2)
    made = fit("mlp", random, val, 2, training, 0)
    assert made.epochs < 20
    # Calibrated on validation, what it has learned by heart is worth nothing.
    assert made.temperature > 2


def test_probabilities_are_calibrated() -> None:
    """Of what is given a probability p, a share p is so."""
    train, val, test = (blobs(n, seed, spread=2.5) for n, seed in ((200, 0), (800, 1), (4000, 2)))
    training = Training(hidden=(128, 32), patience=40, epochs=40, batch=32)
    probe = fit("mlp", train, val, 2, training, 0)
    p = probe.probabilities(test.states)[:, 1]
    for low in np.arange(0, 1, 0.2):
        within = (p >= low) & (p < low + 0.2)
        if within.sum() > 200:
            assert test.classes[within].mean() == pytest.approx(p[within].mean(), abs=0.08)


@pytest.mark.parametrize("factor", [0.2, 1.0, 4.0])
def test_the_temperature_is_recovered(factor: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(20_000, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (rng.random(20_000)[:, None] > p.cumsum(1)).sum(1)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


def test_the_temperature_of_a_probe_that_is_always_right_is_bounded() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert 0 < fit_temperature(logits, np.array([0, 1])) < 0.1
    assert fit_temperature(logits, np.array([1, 0])) > 100


def test_weights_make_every_class_count_the_same() -> None:
    weights = class_weights(np.array([0, 0, 0, 1]), 3)
    np.testing.assert_allclose(weights, [4 / 6, 2, 1])
    assert weights[0] * 3 == pytest.approx(weights[1])


def test_a_rare_class_is_not_given_up() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(600) < 0.05).astype(np.intp)
    states = (rng.normal(size=(600, 8)) + 3 * labels[:, None]).astype(np.float32)
    made = Examples(states, labels)
    found = fit("linear", made, made, 2, Training(lr=0.02), 0)
    top = found.probabilities(states).argmax(1)
    assert (top[labels == 1] == 1).mean() > 0.9
