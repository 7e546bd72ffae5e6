"""Which trials are captured, and what is kept of their states."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_eval.core.capture import Captured
from vlm_eval.metrics.dirichlet import dirichlet_energy
from vlm_eval.runner.capturing import Reduction, Wish, lot, nothing
from vlm_eval.runner.plan import Settings, make_plans
from vlm_eval.tasks.spec import Capture
from vlm_eval.tasks.trials import expand

GRID = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5) ** 1.5


@pytest.fixture
def capturing(load_toy):
    """Return what loads the toy task with a capture section."""
    return lambda text: load_toy(("metrics:\n", f"capture: {text}\nmetrics:\n"))


def planned(task, **settings):
    (plan,) = make_plans([task], Settings(**settings))
    return plan


def wanted(plan) -> set[tuple[str, str]]:
    assert plan.wish is not None
    trials = [trial for block in plan.blocks() for trial in plan.trials(block)]
    return {(t.sample_id, str(t.condition)) for t in trials if plan.wish.own(t)}


def test_conditions_are_chosen_by_when(capturing) -> None:
    task = capturing("{when: \"ask == 'direct'\"}")
    everything = {(t.sample_id, str(t.condition)) for t in expand(task)}
    assert wanted(planned(task)) == {trial for trial in everything if "direct" in trial[1]}
    assert wanted(planned(capturing("{}"))) == everything


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("count", [1, 2])
def test_the_samples_are_those_with_the_smallest_lots(capturing, seed, limit, count) -> None:
    task = capturing(f"{{samples: {count}}}")
    plan = planned(task, seed=seed, limit=limit)
    ids = ["s-a", "s-c"] if limit else ["s-a", "s-b", "s-c"]  # one of each kind
    drawn = sorted(ids, key=lambda sample_id: lot(seed, "toy", sample_id))[:count]
    assert {sample for sample, _ in wanted(plan)} == set(drawn)


def test_draws_differ_by_seed_and_task_and_by_nothing_else() -> None:
    assert lot(0, "toy", "a") == lot(0, "toy", "a")
    lots = {lot(seed, task, sample) for seed in (0, 1) for task in "tu" for sample in "ab"}
    assert len(lots) == 8


def test_no_capture_wants_nothing(capturing, load_toy) -> None:
    assert planned(capturing("{}"), capture=False).wish is None
    assert planned(load_toy()).wish is None


def test_the_plan_counts_requests_and_knows_those_that_units_share(capturing, monkeypatch) -> None:
    monkeypatch.setattr("vlm_eval.runner.plan.UNIT", 1)
    # `reverse` shows no blur: what is captured of one condition is asked in another, too
    task = capturing('{when: "blur == 5"}')
    plan = planned(task)
    assert plan.wish is not None
    trials = list(expand(task))
    own = {t.request.id for t in trials if plan.wish.own(t)}
    assert plan.size.captured == len(own)
    assert set(plan.size.captured_shared) == own & set(plan.size.shared)
    for trial in trials:
        shared = trial.request.id in plan.size.captured_shared
        assert plan.wish(trial) == (shared or trial.condition["blur"] == 5)


def test_a_request_that_another_unit_wants_captured_is_wanted(capturing) -> None:
    task = capturing('{when: "blur == 5"}')
    first = next(expand(task))
    assert not Wish(task, 0, None)(first)
    assert Wish(task, 0, None, {first.request.id})(first)


def test_a_grid_becomes_its_energy() -> None:
    captured = Captured(
        "r", ("norm",), {"vision_grid": GRID, "prompt_last": np.ones((1, 2), np.float32)}, {}
    )
    kept = Reduction()(captured, Capture())
    assert set(kept.arrays) == {"vision_energy", "prompt_last"}
    energy = dirichlet_energy(GRID)
    expected = np.float32([energy.energy, energy.mean_square, energy.edges, 2, 3, 4])
    assert kept.arrays["vision_energy"].dtype == np.float32
    np.testing.assert_array_equal(kept.arrays["vision_energy"], expected)
    assert Reduction()(captured, Capture(grid="tokens")) is captured


def test_each_image_has_its_energy_and_a_missing_grid_its_reason() -> None:
    reduce, capture = Reduction(), Capture()
    several = {f"vision_grid_{i}": GRID[:, :, :i] for i in range(1, 5)}
    for _ in range(3):  # the recent ones are remembered by the identity of their array
        kept = reduce(Captured("r", (), several, {}), capture)
        assert [int(kept.arrays[f"vision_energy_{i}"][5]) for i in range(1, 5)] == [1, 2, 3, 4]
    for _ in range(50):  # equal addresses of arrays that are gone
        value = np.random.default_rng().random((1, 2, 2, 1), np.float32)
        kept = reduce(Captured("r", (), {"vision_grid": value}, {}), capture)
        assert kept.arrays["vision_energy"][0] == np.float32(dirichlet_energy(value).energy)
    kept = reduce(Captured("r", (), {}, {"vision_grid": "no image"}), capture)
    assert kept.missing == {"vision_energy": "no image"}


def test_an_answer_without_states_is_told() -> None:
    kept = nothing("r", Capture(sites=("prompt_last", "vision_mean")))
    assert set(kept.missing) == {"prompt_last", "vision_mean"}
    assert kept.arrays == {}
