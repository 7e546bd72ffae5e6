"""Representation metrics of a real model, from a run to its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlm_eval import evaluate, score

REPRESENTATION = {"cosine", "l2", "drift", "drift_auroc", "energy_change", "cka"}
TASKS = ("pope-perturbed", "seedbench-regimes", "pope-frequency")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return evaluate(
        "tiny", list(TASKS), limit=3, output_path=folder, progress=False,
        data=dict.fromkeys(TASKS, "embedded"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def numbers(run):
    """Return the values of a task by name and place."""
    return {
        task.task: {(e.name, tuple(e.where.items())): e for e in task.estimates}
        for task in run.tasks
    }


def test_the_controls_move_nothing_at_all(numbers):
    found = numbers["pope-perturbed"]
    for level in ("identity", "reencode"):
        at = (("perturbation", level),)
        for site in ("prompt_last", "answer_mean"):
            place = (("site", site), *at)
            assert [found[name, place].value for name in ("cosine", "l2", "drift")] == [1, 0, 0]
        assert found["energy_change", at].value == 0
        assert found["energy_change", at].n == 3
        assert found["ifr", at].value == 0


def test_perturbations_do_and_each_instance_is_captured(numbers):
    found = numbers["pope-perturbed"]
    for site in ("prompt_last", "answer_mean"):
        turned = found["drift", (("site", site), ("family", "rotation"))]
        assert turned.value > 0.001
        assert turned.n == 3
        assert found["cosine", (("site", site), ("family", "translation"))].n == 3 * 8
        assert found["cosine", (("site", site),)].n == 3 * 24
        # The three questions are of one image, so that none is unrelated to another.
        assert found["control_drift", (("site", site), ("control", "unrelated"))].value is None
    assert found["energy_change", (("family", "rotation"),)].value != 0
    assert found["energy", ()].value > 0


def test_the_numbers_come_from_the_run_folder_again(run):
    again = score(run.folder)
    assert [t.estimates for t in again.tasks] == [t.estimates for t in run.tasks]


def test_regimes_share_their_context_or_do_not(numbers):
    found = numbers["seedbench-regimes"]

    def cosine(regime, site):
        return found["cosine", (("regime", regime), ("site", site))]

    mcq, free, free_of_options = (
        cosine(regime, "prompt_last").value for regime in ("mcq", "mcq_free", "open")
    )
    assert free == pytest.approx(mcq, abs=1e-5)  # one prompt, scored or continued
    assert free_of_options != pytest.approx(mcq, abs=1e-4)
    for regime in ("mcq", "mcq_free", "open"):
        at = (("regime", regime), ("site", "prompt_last"), ("perturbation", "identity"))
        assert found["drift", at].value == 0
        assert cosine(regime, "prompt_last").n == 3 * 10
        at = (("regime", regime), ("site", "prompt_last"), ("control", "unrelated"))
        assert found["control_drift", at].value > 0


def test_a_full_low_pass_is_the_image_and_a_full_high_pass_its_mean(numbers):
    found = numbers["pope-frequency"]
    margin = {
        level: found["band_margin", (("band", level),)].value
        for level in ("clean", "low_1.0", "dc_only", "high_1.0")
    }
    assert margin["low_1.0"] == pytest.approx(margin["clean"], abs=1e-4)
    assert margin["high_1.0"] == pytest.approx(margin["dc_only"], abs=1e-4)
    assert found["coherence_gap", (("cutoff", 1.0),)].value <= 1e-4
    assert found["synergy", (("cutoff", 1.0),)].value == pytest.approx(0, abs=1e-4)


def test_without_capture_the_answers_are_there_and_the_states_are_not(tmp_path):
    found = evaluate(
        "tiny", "pope-perturbed", limit=1, output_path=tmp_path / "run", capture=False,
        progress=False, data={"pope-perturbed": "embedded"},
    )  # fmt: skip
    by_name = {name: [e for e in found.tasks[0].estimates if e.name == name]
               for name in (*REPRESENTATION, "ifr")}  # fmt: skip
    for name in REPRESENTATION:
        assert by_name[name]
        for estimate in by_name[name]:
            known = replace(estimate, value=None, low=None, high=None, se=None, n=0, clusters=0)
            assert estimate == replace(known, method=estimate.method)
    assert any(e.value is not None for e in by_name["ifr"])
