"""Putting layers back gives the base model where it must, and is measured as it is defined."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.checkpoints import build
from vlm_eval.core.errors import ModelError, RunError, UsageError
from vlm_eval.internals.replace import Replace, sweep_points
from vlm_eval.internals.replace_layers import Hybrid, check_alike, elsewhere, weights_of
from vlm_eval.models.hooks import decoder_blocks
from vlm_eval.models.registry import load_model
from vlm_eval.runner.api import evaluate
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.study import analyze, findings_of, open_study
from vlm_eval.runner.summarise import tasks_of

ARCHITECTURES = ["qwen2_5_vl", "llava", "gemma3", "idefics3", "internvl"]
TASK = "vlm-fix-posttrain"
PRIOR = "{{ answer if rule == 'standard' else (p1 if answer == p2 else p2) }}"


def tuned_from(folder: Path, to: Path, *, also: str | None = None) -> Path:
    """Copy a checkpoint and change its decoder's weights, and one other tensor if it is named."""
    shutil.copytree(folder, to)
    model = load_model(str(folder), device="cpu").module
    inside = {id(p) for p in decoder_blocks(model)[1].parameters()}
    names = {name for name, p in model.named_parameters() if id(p) in inside}
    weights = load_file(to / "model.safetensors")
    torch.manual_seed(1)
    layers = {name: _on_disk(name, weights) for name in names}
    for name, key in layers.items():
        weights[key] = weights[key] + 0.3 * weights[key].std() * torch.randn(weights[key].shape)
        assert name
    if also is not None:
        (key,) = [key for key in weights if key.endswith(also)]
        weights[key] = weights[key] + 1e-3
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def _on_disk(name: str, weights: dict[str, torch.Tensor]) -> str:
    """Return the key of a parameter in the file: prefixes differ between memory and disk."""
    tail = name[name.index("layers.") :]
    found = [key for key in weights if key.endswith(tail) and "visi" not in key]
    assert len(found) == 1, (name, found)
    return found[0]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Return a function that gives the folders of a base and a tuned model of an architecture."""
    root = tmp_path_factory.mktemp("pairs")
    made = {}

    def of(name):
        if name not in made:
            base = build(name, root / f"{name}-base")
            made[name] = base, tuned_from(base, root / f"{name}-tuned")
        return made[name]

    return of


@pytest.fixture(scope="module")
def runs(pairs, tmp_path_factory):
    """Return a function that gives the run folders of both."""
    root = tmp_path_factory.mktemp("runs")
    made = {}

    def of(name):
        if name not in made:
            made[name] = tuple(
                evaluate(str(folder), TASK, limit=4, output_path=root / folder.name).folder
                for folder in pairs(name)
            )
        return made[name]

    return of


def values(found, name, **where):
    return [e.value for e in found.of(name, **where)]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_works_unchanged_on_every_architecture(runs, name):
    base, tuned = runs(name)
    found = analyze(tuned, "replace", base=base, prior=PRIOR)
    count = found.facts["layers"]
    assert count == 3
    identities = found.facts["identities"]
    assert max(identities.values()) <= 1e-5
    # Nothing put back is the tuned run, everything is the base run, trial by trial.
    for run, replaced in ((tuned, 0), (base, count)):
        recorded = RunFolder(run).results()["tasks"][TASK]["estimates"]
        (wanted,) = (e["value"] for e in recorded if e["name"] == "accuracy" and not e["where"])
        (own,) = values(found, "accuracy", sweep="suffix", replaced=replaced, trials="all")
        assert own == pytest.approx(wanted)
    assert values(found, "accuracy", sweep="suffix", trials="all")[-1] == pytest.approx(
        values(found, "base_accuracy", trials="all")[0]
    )
    for sweep in ("suffix", "prefix"):
        recovery = values(found, "recovery", sweep=sweep, trials="all")
        assert len(recovery) == count + 1
        if recovery[0] is not None:
            assert (recovery[0], recovery[-1]) == (1.0, 0.0)
            lost = values(found, "layer_attribution", sweep=sweep, trials="all")
            assert sum(lost) == pytest.approx(1.0)
    both = [
        values(found, part, sweep="prefix", trials="all") for part in ("accuracy", "bias_ratio")
    ]
    assert all(a <= 1 and b <= 1 for a, b in zip(*both, strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_hybrid_has_the_layers_it_is_told_and_is_restored_exactly(pairs, name):
    base, tuned = (load_model(str(folder), device="cpu").module for folder in pairs(name))
    before, after = weights_of(base, copy=True), weights_of(tuned, copy=False)
    check_alike(before, after)
    assert elsewhere(before, after) == []
    blocks = [dict(block.named_parameters()) for block in decoder_blocks(base)[1]]
    own = [dict(block.named_parameters()) for block in decoder_blocks(tuned)[1]]
    kept = [{n: t.clone() for n, t in block.items()} for block in own]
    hybrid = Hybrid(tuned, before)
    with hybrid.put_back([1, 3]):
        for index, source in enumerate((blocks, kept, blocks)):
            assert all(own[index][n].equal(t) for n, t in source[index].items())
    with pytest.raises(KeyboardInterrupt), hybrid.put_back([2]):
        raise KeyboardInterrupt
    assert weights_of(tuned, copy=False).hashes == after.hashes
    assert [{n: t.equal(blocks[i][n]) for n, t in b.items()} for i, b in enumerate(before.blocks)]


def test_what_differs_elsewhere_is_refused_by_name_and_taken_from_the_tuned_model(
    pairs, runs, tmp_path
):
    base, _ = pairs("llava")
    other = tuned_from(base, tmp_path / "other", also="multi_modal_projector.linear_1.bias")
    run = evaluate(str(other), TASK, limit=4, output_path=tmp_path / "run").folder
    with pytest.raises(ModelError, match=r"1 tensors outside .*linear_1\.bias.*strict=false"):
        analyze(run, "replace", base=runs("llava")[0], prior=PRIOR)
    found = analyze(run, "replace", base=runs("llava")[0], prior=PRIOR, strict="false")
    assert found.facts["differs_elsewhere"]["tensors"] == 1
    assert found.facts["identities"]["H(empty) - F, nats"] == 0
    assert found.facts["identities"]["H(all) - B, nats"] > 0
    assert "linear_1.bias" in found.notes[-1]


def test_models_of_two_shapes_are_refused(pairs):
    base = load_model(str(pairs("llava")[0]), device="cpu").module
    other = load_model("tiny", device="cpu").module
    with pytest.raises(
        ModelError, match="is a LlavaForConditionalGeneration, the other one a Qwen"
    ):
        check_alike(weights_of(base, copy=False), weights_of(other, copy=False))
    half = load_model(str(pairs("llava")[0]), device="cpu", dtype="bfloat16").module
    with pytest.raises(ModelError, match=r"format of \d+ tensors"):
        check_alike(weights_of(base, copy=False), weights_of(half, copy=False))


def test_an_interrupted_sweep_goes_on_and_asks_nothing_twice(runs, monkeypatch):
    base, tuned = runs("llava")
    options = {"base": base, "prior": PRIOR, "sweeps": "single", "limit": 3}
    asked = []
    answers = Replace._answers

    def counted(self, model, cases):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(cases))
        return answers(self, model, cases)

    monkeypatch.setattr(Replace, "_answers", counted)
    with pytest.raises(KeyboardInterrupt):
        analyze(tuned, "replace", **options)
    monkeypatch.setattr(Replace, "_answers", lambda *a: asked.append(len(a[2])) or answers(*a))
    found = analyze(tuned, "replace", **options)
    assert asked == [12] * 4  # nothing put back, and three layers
    assert analyze(tuned, "replace", **options).estimates == found.estimates
    assert len(asked) == 4
    assert found.facts["samples"] == 3
    (saved,) = (f for f in findings_of(RunFolder(tuned)) if f.analysis == "replace")
    assert json.loads(json.dumps(saved.to_json())) == json.loads(json.dumps(found.to_json()))


@pytest.mark.parametrize(
    ("count", "options", "windows"),
    [
        (4, {}, [(1,), (2,), (3,), (4,)]),
        (12, {}, [(n,) for n in range(1, 13)]),
        (36, {}, [tuple(range(s, s + 4)) for s in range(1, 34, 2)]),
        (28, {}, [tuple(range(s, s + 3)) for s in range(1, 27)]),
        (5, {"width": 2, "stride": 2}, [(1, 2), (3, 4), (4, 5)]),
    ],
)
def test_windows(count, options, windows):
    points = list(sweep_points(count, ("window",), **options))
    assert [p.layers for p in points] == windows
    assert [p.at for p in points] == [w[0] for w in windows]


def test_nested_sweeps():
    points = list(sweep_points(3, ("suffix", "prefix", "single")))
    assert [p.layers for p in points] == [
        *[(), (3,), (2, 3), (1, 2, 3)], *[(), (1,), (1, 2), (1, 2, 3)], *[(1,), (2,), (3,)],
    ]  # fmt: skip
    with pytest.raises(UsageError, match="a window of 4 layers is wider than the decoder"):
        list(sweep_points(3, ("window",), width=4))


def test_measures_against_hand_counts(runs):
    """Two boards, four trials each: the numbers of a table that fits on a hand."""
    from vlm_eval.internals.replace_measures import Case, Measures, Point, Reading

    folder = RunFolder(runs("llava")[1])
    study = open_study(folder, tasks_of(folder)[0], "replace")
    trials = [trial for trial, _ in study.trials() if trial.sample_id.endswith("-1")][:4]
    other = {"X": "O", "O": "X"}
    cases = [Case(t, other[t.gold] if i < 3 else t.gold, 0.0) for i, t in enumerate(trials)]

    def said(*right, unparsed=()):
        return [
            Reading(
                float(r and i not in unparsed),
                None if i in unparsed else t.gold if r else other[t.gold],
                1.0 if r else -2.0,
            )
            for i, (t, r) in enumerate(zip(trials, right, strict=True))
        ]

    found = {
        (): said(1, 1, 1, 1),
        (2,): said(1, 1, 0, 1),
        (1, 2): said(1, 0, 0, 1, unparsed=(2,)),
    }
    points = [Point("suffix", "replaced", n, s) for n, s in enumerate(found)]
    made = Measures(study, cases, points, found, 0.95)
    estimates = list(made.estimates())

    def one(name, **where):
        (e,) = (e for e in estimates if e.name == name and dict(e.where) == where)
        return e

    at = {"sweep": "suffix", "replaced": 2, "trials": "conflict"}
    assert one("accuracy", **at).value == pytest.approx(1 / 3)
    assert one("bias_ratio", **at).value == pytest.approx(1 / 3)
    assert one("other_ratio", **at).value == 0
    assert one("parse_rate", **at).value == pytest.approx(2 / 3)
    assert one("margin", **at).value == pytest.approx(-1.0)
    assert one("recovery", **at).value == pytest.approx(1 / 3)
    assert one("recovery", sweep="suffix", replaced=1, trials="conflict").value == pytest.approx(
        2 / 3
    )
    assert one("layer_attribution", sweep="suffix", layer=2, trials="conflict").value == (
        pytest.approx(1 / 3)
    )
    assert one("layer_attribution", sweep="suffix", layer=1, trials="conflict").value == (
        pytest.approx(1 / 3)
    )
    assert one("accuracy", sweep="suffix", replaced=2, trials="agree").value == 1
    # The point whose answers cannot be parsed is no evidence of anything.
    assert made.facts()["invalid"] == [{"sweep": "suffix", "replaced": 2}]
    assert made.facts()["layers_to_half"] == {"suffix": None}
    assert any("replaced=2" in note and "invalid" in note for note in made.notes())
    assert Measures(study, cases, points, found, 0.5).facts()["layers_to_half"] == {"suffix": 2}


def test_faults_are_told(runs, tmp_path):
    _base, tuned = runs("llava")
    with pytest.raises(UsageError, match="--base RUN"):
        analyze(tuned, "replace")
    other = evaluate(
        "mock", TASK, limit=1, output_path=tmp_path / "other", data={TASK: "embedded,states=1"}
    ).folder
    with pytest.raises((RunError, UsageError)):
        analyze(tuned, "replace", base=other)


def test_generated_answers_have_a_margin_from_a_question_of_its_own(pairs, tmp_path):
    folders = [
        evaluate(
            str(folder), "vlmbias", limit=2, output_path=tmp_path / folder.name,
            data={"vlmbias": "embedded"}, gen_kwargs={"max_new_tokens": 4},
        ).folder
        for folder in pairs("qwen2_5_vl")
    ]  # fmt: skip
    found = analyze(folders[1], "replace", base=folders[0], sweeps="suffix")
    margins = values(found, "margin", sweep="suffix", trials="all")
    assert len(margins) == 4
    assert len(set(margins)) > 1
    # A random model says nothing that can be read, so no point is valid.
    assert [w["replaced"] for w in found.facts["invalid"]] == [0, 1, 2, 3]
    assert found.facts["layers_to_half"] == {"suffix": None}
