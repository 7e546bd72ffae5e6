"""Vectors of trials and their distances; stability of representations by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.representation import distances, drift_of, settings
from vlm_eval.metrics.table import METRICS, Table

LEVELS = ("clean", "identity", "shift_1", "shift_2", "turn_1")
FAMILIES = {"shift": "shift_*", "turn": "turn_1"}
EVERY = ("representation_stability", "drift", "drift_flips", "dirichlet", "cka")
VECTORS = arrays(np.float32, 6, elements=st.floats(-100, 100, width=32))


def vectors(**by_level):
    return {level: {"prompt_last": np.array([v], np.float32)} for level, v in by_level.items()}


def states_of(make_states, samples, **options):
    """``samples``: by sample id, by level, the vector at the site prompt_last."""
    found = {
        (sample, level): arrays
        for sample, levels in samples.items()
        for level, arrays in vectors(**levels).items()
    }
    return make_states(found, **options)


@pytest.fixture
def table(make_table, make_states):
    samples = [{"id": "a", "question": "one"}, {"id": "b", "question": "two"}]
    made = make_table(samples, {"perturbation": LEVELS}, lambda _: "right",
                      controls={"perturbation": ("identity",)})  # fmt: skip
    states = states_of(
        make_states,
        {
            "a": {
                "clean": [3, 4], "identity": [3, 4],
                "shift_1": [6, 8], "shift_2": [-4, 3], "turn_1": [-3, -4],
            },
            "b": {
                "clean": [1, 0], "identity": [1, 0],
                "shift_1": [1, 1], "shift_2": [1, 0], "turn_1": [0, 2],
            },
        },
    )  # fmt: skip
    return replace(made, states=states)


def measure(table: Table, name: str, **options):
    metric = build(METRICS, {"name": name, "families": FAMILIES, **options}, where=None)
    return metric(table)


def by_place(results, name):
    return {tuple(e.where.items()): e for e in results if e.name == name}


# --- drift


@given(VECTORS, VECTORS)
def test_drift_is_one_less_the_cosine(u, v):
    found = drift_of(u, v)
    lengths = np.linalg.norm(u.astype(float)), np.linalg.norm(v.astype(float))
    if min(lengths) == 0:
        assert found is None
        return
    assert found == pytest.approx(1 - u.astype(float) @ v / (lengths[0] * lengths[1]), abs=1e-11)
    assert 0 <= found <= 2 + 1e-12
    assert drift_of(v, u) == found
    assert drift_of(u, u) == 0


def test_small_drifts_keep_their_digits():
    angle = 1e-5  # 1 - cos is angle² / 2 = 5e-11, of which 1 - (1 - 5e-11) keeps six digits
    assert drift_of(np.array([1.0, 0.0]), np.array([1.0, angle])) == pytest.approx(5e-11, rel=1e-9)


def test_vectors_that_differ_by_rounding_are_equal():
    u = np.random.default_rng(0).normal(size=512).astype(np.float32)
    v = np.nextafter(u, np.float32(9))
    assert not np.array_equal(u, v)
    assert distances(u, v) == (0.0, 0.0)
    drift, length = distances(u, u * np.float32(1 + 1e-4))  # a real difference, though no turn
    assert drift < 1e-12
    assert length == pytest.approx(1e-4 * np.linalg.norm(u), rel=1e-2)


def test_vectors_without_a_direction_have_no_drift():
    assert drift_of(np.zeros(3), np.ones(3)) is None
    assert drift_of(np.ones(3), np.array([1.0, np.inf, 0.0])) is None
    assert drift_of(np.ones(3), np.array([1.0, np.nan, 0.0])) is None


# --- representation_stability


def test_mean_cosine_and_distance_by_family_and_over_all(table):
    found = measure(table, "representation_stability")
    site = ("site", "prompt_last")
    cosine = by_place(found, "cosine")
    root = 0.5**0.5
    assert cosine[site, ("family", "shift")].value == pytest.approx((1 + 0 + root + 1) / 4)
    assert cosine[site, ("family", "turn")].value == pytest.approx((-1 + 0) / 2)
    assert cosine[site,].value == pytest.approx((1 + 0 + root + 1 - 1 + 0) / 6)
    assert (cosine[site,].n, cosine[site,].clusters) == (6, 2)
    length = by_place(found, "l2")
    assert length[site, ("family", "shift")].value == pytest.approx((5 + 50**0.5 + 1 + 0) / 4)
    assert length[site, ("family", "turn")].value == pytest.approx((10 + 5**0.5) / 2)
    assert length[site,].lower_is_better
    assert not cosine[site,].lower_is_better


def test_the_identity_moves_nothing(table):
    at = (("site", "prompt_last"), ("perturbation", "identity"))
    found = measure(table, "representation_stability")
    assert by_place(found, "cosine")[at].value == 1
    assert by_place(found, "l2")[at].value == 0
    assert by_place(measure(table, "drift"), "drift")[at].value == 0


def test_the_layer_is_the_last_unless_named(table):
    arrays = {
        key: {"prompt_last": np.stack([-value["prompt_last"][0], value["prompt_last"][0]])}
        for key, value in table.states.arrays.items()
    }
    arrays["a", "turn_1"]["prompt_last"][0] = [3, 4]  # at layer 2: from (-3, -4) to (3, 4)
    deep = replace(table, states=replace(table.states, arrays=arrays, layers=("2", "norm")))
    expected = by_place(measure(table, "representation_stability"), "cosine")
    last = by_place(measure(deep, "representation_stability"), "cosine")
    assert {k: e.value for k, e in last.items()} == {k: e.value for k, e in expected.items()}
    named = by_place(measure(deep, "representation_stability", layer=2), "cosine")
    at = (("site", "prompt_last"), ("layer", 2), ("family", "turn"))
    assert named[at].value == pytest.approx(-0.5)
    assert named[at[:2]].n == 6
    with pytest.raises(TaskError, match="layer '3'"):
        measure(deep, "representation_stability", layer=3)


def test_of_all_options_that_of_the_best_counts(table):
    rows = [replace(row, choices=("x", "y"), logprobs=(-2.0, -1.0)) for row in table.rows]
    arrays = {
        key: {"answer_mean": np.stack([np.ones((1, 2)), value["prompt_last"]])}
        for key, value in table.states.arrays.items()
    }
    states = replace(table.states, arrays=arrays)
    every = replace(table, rows=tuple(rows), states=states)
    found = by_place(measure(every, "representation_stability", site="answer_mean"), "l2")
    assert found[("site", "answer_mean"), ("family", "turn")].value == pytest.approx(
        (10 + 5**0.5) / 2
    )


def test_several_sites_stand_beside_one_another(table):
    found = measure(table, "drift", site=["prompt_last", "answer_mean"])
    assert {e.where["site"] for e in found} == {"prompt_last", "answer_mean"}
    assert all(e.value is None for e in found if e.where["site"] == "answer_mean")


def test_failed_trials_and_bad_vectors_do_not_enter(table):
    arrays = dict(table.states.arrays)
    del arrays["a", "shift_1"]
    arrays["b", "shift_2"] = {"prompt_last": np.array([[np.nan, 1]], np.float32)}
    part = replace(table, states=replace(table.states, arrays=arrays))
    found = by_place(measure(part, "representation_stability"), "cosine")
    assert found[("site", "prompt_last"), ("family", "shift")].value == pytest.approx(0.5**1.5)
    assert found[("site", "prompt_last"),].n == 4


# --- what all of them share


@pytest.mark.parametrize("name", EVERY)
def test_nothing_captured_gives_none_everywhere(name, table):
    places = {(e.name, tuple(e.where.items())) for e in measure(table, name)}
    for part in (replace(table, states=None), replace(table, rows=(), states=None)):
        found = measure(part, name)
        assert {(e.name, tuple(e.where.items())) for e in found} == places
        assert all(e.value is None and e.n == 0 for e in found)
        assert all(e.low is None and e.high is None for e in found)


@pytest.mark.parametrize("name", EVERY)
def test_wrong_options_show_before_any_model_is_asked(name, table):
    empty = replace(table, rows=(), states=None)
    for wrong in (
        {"factor": "noise"}, {"families": {"x": "shfit_*"}}, {"clean": "cleen"},
        {"site": "prompt_lst"},
    ):  # fmt: skip
        with pytest.raises(TaskError):
            measure(empty, name, **wrong)


@pytest.mark.parametrize("name", EVERY)
def test_order_of_rows_changes_nothing(name, table):
    found = measure(table, name)
    turned = measure(replace(table, rows=tuple(reversed(table.rows))), name)
    assert [(e.name, e.where, e.n) for e in turned] == [(e.name, e.where, e.n) for e in found]
    for one, other in zip(found, turned, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.low == pytest.approx(other.low, abs=1e-12)


def test_levels_of_other_factors_are_never_pooled(make_table):
    factors = {"perturbation": ("clean", "shift_1"), "regime": ("mcq", "open"), "one": ("x",)}
    table = make_table([{"id": "a", "size": "big"}], factors, lambda _: "right")
    places = [where for where, _ in settings(table, "perturbation", ("size",))]
    assert places == [
        {"regime": "mcq"}, {"regime": "mcq", "size": "big"},
        {"regime": "open"}, {"regime": "open", "size": "big"},
    ]  # fmt: skip
    assert [len(part.rows) for _, part in settings(table, "perturbation", ())] == [2, 2]
    assert [where for where, _ in settings(replace(table, rows=()), "perturbation", ())] == [{}]


def test_a_drift_of_zero_or_one_is_no_share_of_outcomes(table):
    samples = [f"{i}" for i in range(8)]
    row = table.rows[0]
    rows = [
        replace(row, sample_id=i, cluster=i, condition={"perturbation": level})
        for i in samples for level in LEVELS
    ]  # fmt: skip
    arrays = {
        (i, level): {"prompt_last": np.array([[1, 0] if level != "turn_1" else [0, 1]], np.float32)}
        for i in samples for level in LEVELS
    }  # fmt: skip
    flat = replace(table, rows=tuple(rows), states=replace(table.states, arrays=arrays))
    for name, value, place in (
        ("cosine", 1, ("perturbation", "identity")), ("cosine", 0, ("family", "turn")),
    ):  # fmt: skip
        found = by_place(measure(flat, "representation_stability"), name)
        estimate = found[("site", "prompt_last"), place]
        assert (estimate.value, estimate.low, estimate.high) == (value, None, None)
        assert estimate.method == "none"
