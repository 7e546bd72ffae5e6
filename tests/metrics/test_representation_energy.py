"""Changes of the Dirichlet energy, their spread, and what they go with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vlm_eval.core.options import build
from vlm_eval.metrics.dirichlet import dirichlet_energy
from vlm_eval.metrics.table import METRICS

LEVELS = ("clean", "identity", "shift_1", "shift_2", "turn_1")
FAMILIES = {"shift": "shift_*", "turn": "turn_1"}


def energy_of(grid: np.ndarray) -> np.ndarray:
    return np.array([*dirichlet_energy(grid), *grid.shape[:3]], np.float32)


@pytest.fixture
def made(make_table, make_states):
    rng = np.random.default_rng(4)
    samples = [{"id": f"{i:02}"} for i in range(12)]
    arrays, scores = {}, {}
    for sample in samples:
        grid, context = rng.normal(size=(1, 3, 4, 5)), rng.normal(size=6)
        for level in LEVELS:
            noise = 0.0 if level in ("clean", "identity") else rng.random()
            shape = (1, 4, 4, 5) if level == "turn_1" else grid.shape
            moved = np.resize(grid, shape) * (1 + noise)
            arrays[sample["id"], level] = {
                "vision_energy": energy_of(moved),
                "prompt_last": (context + noise)[None].astype(np.float32),
            }
            scores[sample["id"], level] = -1 - noise, -3 + 4 * (noise > 0.8)
    flips = {key for key, (yes, no) in scores.items() if no > yes}
    table = make_table(
        samples, {"perturbation": LEVELS},
        lambda t: "wrong" if (t["id"], t["perturbation"]) in flips else "right",
        controls={"perturbation": ("identity",)},
    )  # fmt: skip
    rows = [
        replace(
            r,
            choices=("right", "wrong"),
            logprobs=scores[r.sample_id, r.condition["perturbation"]],
        )
        for r in table.rows
    ]
    return replace(table, rows=tuple(rows), states=make_states(arrays)), arrays, scores, flips


def measure(table, **options):
    metric = build(METRICS, {"name": "dirichlet", "families": FAMILIES, **options}, where=None)
    return {(e.name, tuple(e.where.items())): e for e in metric(table)}


def changes(made, levels, of=0, chosen=lambda _: True):
    _, arrays, _, _ = made
    found = []
    for sample, level in arrays:
        if level in levels and chosen((sample, level)):
            before, after = (arrays[sample, x]["vision_energy"] for x in ("clean", level))
            relative = after[0] / after[1] - before[0] / before[1]
            found.append(float(after[0] - before[0]) if of == 0 else float(relative))
    return np.array(found)


def test_changes_by_family_and_over_all_and_on_flips(made):
    found = measure(made[0])
    for place, levels in (
        ((("family", "shift"),), LEVELS[2:4]),
        ((("family", "turn"),), LEVELS[4:]),
        ((), LEVELS[2:]),
    ):  # fmt: skip
        for of, name in enumerate(("energy_change", "relative_energy_change")):
            every = changes(made, levels, of)
            assert found[name, place].value == pytest.approx(every.mean(), abs=1e-6)
            assert found[f"{name}_sd", place].value == pytest.approx(
                every.std(ddof=1), rel=1e-4, abs=1e-6
            )
            flipped = changes(made, levels, of, made[3].__contains__)
            at = (*place, ("flipped", True))
            assert found[name, at].n == len(flipped) > 0
            assert found[name, at].value == pytest.approx(flipped.mean(), abs=1e-6)
            assert found[name, place].signed
    assert found["energy_change", ()].low < found["energy_change", ()].value


def test_the_identity_changes_nothing(made):
    found = measure(made[0])["energy_change", (("perturbation", "identity"),)]
    assert (found.value, found.n) == (0.0, 12)


def test_the_scale_free_form_does_not_see_scale(made):
    found = measure(made[0])
    assert found["energy_change", (("family", "shift"),)].value > 1  # tokens times 1 + noise
    assert found["relative_energy_change", (("family", "shift"),)].value == pytest.approx(
        0, abs=1e-6
    )
    energies = [a["vision_energy"] for (_, level), a in made[1].items() if level == "clean"]
    assert found["energy", ()].value == pytest.approx(np.mean([e[0] for e in energies]))
    assert found["relative_energy", ()].value == pytest.approx(
        np.mean([e[0] / e[1] for e in energies])
    )


def test_grids_of_another_shape_show(made):
    found = measure(made[0])
    assert found["token_change", (("family", "shift"),)].value == 0
    assert found["token_change", (("family", "turn"),)].value == 4


def test_correlations_with_drift_and_with_the_anchor(made):
    table, arrays, scores, flips = made
    found = measure(table)
    keys = [key for key in arrays if key[1] in LEVELS[2:]]
    energy = changes(made, LEVELS[2:])
    length = [
        np.linalg.norm(arrays[key]["prompt_last"] - arrays[key[0], "clean"]["prompt_last"])
        for key in keys
    ]
    r = found["energy_drift_correlation", ()]
    assert r.value == pytest.approx(np.corrcoef(energy, length)[0, 1], abs=1e-5)
    assert r.low < r.value < r.high
    same = [i for i, key in enumerate(keys) if key not in flips]
    anchor = [scores[keys[i]][0] - scores[keys[i][0], "clean"][0] for i in same]
    r = found["energy_anchor_correlation", (("flipped", False),)]
    assert r.value == pytest.approx(np.corrcoef(energy[same], anchor)[0, 1], abs=1e-5)
    assert r.n == len(same) < len(keys)


def test_samples_with_several_images_do_not_enter(made):
    table, arrays, *_ = made
    several = {
        key: {f"vision_energy_{i}": a["vision_energy"] for i in (1, 2)} if key[0] == "00" else a
        for key, a in arrays.items()
    }
    found = measure(replace(table, states=replace(table.states, arrays=several)))
    assert found["energy", ()].n == 11
    assert found["energy_change", ()].n == 33
