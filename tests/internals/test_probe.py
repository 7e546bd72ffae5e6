"""What is planted in made-up states is found where it was planted, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.internals.base import ANALYSES
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.probe import Probe

from .probing import LAYERS, WIDTH, made_study, noise

FAST: dict[str, Any] = {"hidden": (32, 16), "epochs": 30, "seeds": 3}
PRIOR = "winner"  # the standard rule's answer
Array = NDArray[np.float32]


def direction(number: int) -> Array:
    found = np.random.default_rng(number).normal(size=WIDTH).astype(np.float32)
    return found / np.linalg.norm(found)


def planted(fields: Mapping[str, Any], rng: np.random.Generator, *, start: int = 3) -> Array:
    """The right answer, linearly, from a layer on."""
    states = noise(rng)
    states[start:] += (6 if fields["gold"] == "X" else -6) * direction(1)
    return states


def lost(fields: Mapping[str, Any], rng: np.random.Generator) -> Array:
    """The right answer at layers 1 and 2, the prior's from layer 3 on."""
    states = noise(rng)
    states[1:3] += (6 if fields["gold"] == "X" else -6) * direction(1)
    states[3:] += (6 if fields["winner"] == "X" else -6) * direction(1)
    return states


def values(found: Findings, name: str, **where: Any) -> list[float]:
    return [e.value for e in found.of(name, **where) if e.value is not None]


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_a_planted_concept_is_found_where_it_is_and_not_before(tmp_path: Path, kind: Any) -> None:
    found = Probe(probes=(kind,), **FAST)(made_study(tmp_path, planted, boards=150))
    where = {"label": "gold", "site": "prompt_last", "probe": kind}
    selectivity, accuracy = (
        values(found, "selectivity", **where),
        values(found, "accuracy", **where),
    )
    assert len(selectivity) == LAYERS
    assert max(map(abs, selectivity[:3])) < 0.2
    assert min(selectivity[3:]) > 0.3
    assert min(accuracy[3:]) > 0.95
    assert {e.chance for e in found.of("accuracy")} == {0.5}
    p = found.facts["p_selectivity"][f"gold, prompt_last, {kind}"]
    assert min(p[:3]) > 0.05
    assert max(p[3:]) < 0.01
    first = found.of("selectivity", layer=3)[0]
    assert first.low is not None
    assert first.low > 0
    assert first.clusters <= 90
    assert first.n == 2 * first.clusters


# Two trials that agree with the prior for one that does not.
RULES = ("standard", "standard too", "inverse")


def test_a_planted_loss_is_found(tmp_path: Path) -> None:
    study = made_study(tmp_path, lost, rules=RULES, answer=lambda fields: fields["winner"])
    found = Probe(prior=PRIOR, probes=("linear",), train=("both", "agreement"), **FAST)(study)
    both = [e for e in found.of("p_prior") if "trained" not in e.where]
    agreement = {"trained": "agreement"}
    assert values(found, "p_gold", **agreement)[1] > 0.9
    assert (
        values(found, "p_gold", **agreement)[3]
        < 0.1
        < 0.9
        < values(found, "p_prior", **agreement)[3]
    )
    assert values(found, "top1_prior", **agreement)[4] > 0.95
    assert values(found, "accuracy", **agreement)[4] < 0.05
    # Trained on both, a probe that sees only the prior says how often the prior is right.
    assert both[3].value == pytest.approx(2 / 3, abs=0.15)
    for name in ("gold, prompt_last, linear", "gold, prompt_last, linear, agreement"):
        assert found.facts["crossover"][name] == {"layer": 3, "by_seed": [3] * 3}
    for share in found.of("seen_then_lost"):
        assert share.value == pytest.approx(1.0, abs=0.02)
        assert "layer" not in share.where
    # Only trials in conflict are evaluated: those of the inverse rule, one a board.
    assert found.of("accuracy")[0].n == found.of("accuracy")[0].clusters


def test_what_is_not_lost_is_not_counted(tmp_path: Path) -> None:
    study = made_study(tmp_path, lost)  # the model answers rightly all the same
    found = Probe(prior=PRIOR, probes=("linear",), **FAST)(study)
    assert found.of("seen_then_lost")[0].value == 0


def test_unanswered_trials_are_not_lost(tmp_path: Path) -> None:
    study = made_study(tmp_path, lost, answer=lambda _: None)
    found = Probe(prior=PRIOR, probes=("linear",), **FAST)(study)
    assert found.of("seen_then_lost")[0].value == 0


def test_no_crossover_in_the_first_half(tmp_path: Path) -> None:
    def early(fields: Mapping[str, Any], rng: np.random.Generator) -> Array:
        states = noise(rng)
        states[:2] += (6 if fields["winner"] == "X" else -6) * direction(1)
        states[2:] += (6 if fields["gold"] == "X" else -6) * direction(1)
        return states

    study = made_study(tmp_path, early, rules=RULES)
    found = Probe(prior=PRIOR, probes=("linear",), **FAST)(study)
    assert values(found, "p_prior")[0] > values(found, "p_gold")[0]
    assert found.facts["crossover"]["gold, prompt_last, linear"]["layer"] is None


def test_several_labels_each_find_their_own_layer(tmp_path: Path) -> None:
    def plant(fields: Mapping[str, Any], rng: np.random.Generator) -> Array:
        states = noise(rng)
        states[1:] += (6 if fields["winner"] == "X" else -6) * direction(1)
        states[2:] += (6 if fields["rule"] == "inverse" else -6) * direction(2)
        states[4:] += (6 if fields["gold"] == "X" else -6) * direction(3)
        return states

    labels = {"answer": "{{ gold }}", "winner": "winner", "rule": "{{ rule }}"}
    found = Probe(label=labels, probes=("linear",), **FAST)(made_study(tmp_path, plant))
    seen = {
        name: [value > 0.25 for value in values(found, "selectivity", label=name)]
        for name in labels
    }
    assert seen["winner"] == [False, True, True, True, True]
    assert seen["rule"] == [False, False, True, True, True]
    assert seen["answer"] == [False, False, False, False, True]
    assert found.facts["labels"]["rule"] == ["inverse", "standard"]
    assert len([p for p in found.panels if p.names == ("selectivity",)]) == 1


def test_an_exclusive_or_takes_the_mlp(tmp_path: Path) -> None:
    """Winner and rule are there, their combination is not: linearly it cannot be read."""

    def plant(fields: Mapping[str, Any], rng: np.random.Generator) -> Array:
        states = 0.3 * noise(rng)
        states[2:] += (4 if fields["winner"] == "X" else -4) * direction(1)
        states[2:] += (4 if fields["rule"] == "inverse" else -4) * direction(2)
        return states

    study = made_study(tmp_path, plant, boards=120)
    found = Probe(hidden=(64, 32), epochs=60, seeds=2)(study)
    assert max(values(found, "accuracy", probe="linear")) < 0.75
    assert min(values(found, "accuracy", probe="mlp")[2:]) > 0.95


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    asked = Probe(prior=PRIOR, **{**FAST, "seeds": 2})
    one = asked(made_study(tmp_path / "one", planted))
    other = asked(made_study(tmp_path / "other", planted, turned=True))
    assert one.estimates == other.estimates
    assert one.facts == other.facts


def test_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = made_study(tmp_path, planted)
    whole = Probe(probes=("linear",), **FAST)(study)
    lines = (tmp_path / "probe.jsonl").read_text().splitlines()
    assert len(lines) == 1 + LAYERS * 3
    (tmp_path / "probe.jsonl").write_text("\n".join(lines[:8]) + "\n" + lines[8][:20])
    seen = []
    from vlm_eval.internals.probe_fits import Fits

    true = Fits.carry_out

    def counted(self: Fits, *args: Any) -> Any:
        seen.append(args)
        return true(self, *args)

    monkeypatch.setattr(Fits, "carry_out", counted)
    again = Probe(probes=("linear",), **FAST)(study)
    assert len(seen) == LAYERS * 3 - 7
    assert again.estimates == whole.estimates
    # More seeds or probes keep what there is; another way of training does not.
    seen.clear()
    Probe(probes=("linear",), **{**FAST, "seeds": 4})(study)
    assert len(seen) == LAYERS
    seen.clear()
    Probe(probes=("linear",), **{**FAST, "lr": 0.01})(study)
    assert len(seen) == LAYERS * 3


def test_text_only_trials_have_probes_of_their_own(tmp_path: Path) -> None:
    """Without the image the prior can be read and the truth cannot."""

    def plant(fields: Mapping[str, Any], rng: np.random.Generator) -> Array:
        states = noise(rng)
        shown = "blind" not in fields["rule"]
        states[2:] += (6 if fields["gold" if shown else "winner"] == "X" else -6) * direction(1)
        return states

    rules = (*RULES, *(f"{rule} blind" for rule in RULES))
    study = made_study(tmp_path, plant, rules=rules, boards=80)
    found = Probe(prior=PRIOR, text_only="'blind' in rule", probes=("linear",), **FAST)(study)
    blind = [e for e in found.of("top1_prior") if e.where.get("input") == "text only"]
    shown = [e for e in found.of("top1_prior") if "input" not in e.where]
    assert [e.where["layer"] for e in blind] == [0, 1, 2, 3, 4]
    assert blind[4].value > 0.9  # type: ignore[operator]
    assert shown[4].value < 0.1  # type: ignore[operator]


def test_control_labels_are_drawn_within_what_is_known(tmp_path: Path) -> None:
    def plant(fields: Mapping[str, Any], rng: np.random.Generator) -> Array:
        return noise(rng)

    study = made_study(tmp_path, plant)
    label = "{{ gold }}{{ board % 3 }}"
    free = Probe(label=label, probes=("linear",), **FAST)(study)
    bound = Probe(label=label, among="{{ board % 3 }}", probes=("linear",), **FAST)(study)
    assert free.of("accuracy")[0].chance == pytest.approx(1 / 6, abs=0.02)
    assert bound.of("accuracy")[0].chance == pytest.approx(1 / 2, abs=0.02)


def test_the_layer_after_the_norm_is_the_last(tmp_path: Path) -> None:
    study = made_study(tmp_path, planted, labels=("0", "1", "2", "3", "norm"))
    found = Probe(probes=("linear",), **FAST)(study)
    assert found.facts["layers"] == [0, 1, 2, 3, 4]
    assert any("after the final norm" in note for note in found.notes)


def test_the_spread_over_seeds_is_told(tmp_path: Path) -> None:
    found = Probe(probes=("linear",), **FAST)(made_study(tmp_path, planted))
    sd = found.facts["seed_sd"]["gold, prompt_last, linear"]
    assert set(sd) == {"p_gold", "accuracy", "control_accuracy"}
    assert len(sd["accuracy"]) == LAYERS
    assert sd["control_accuracy"][0] > 0
    assert "p_prior" not in {e.name for e in found.estimates}


def test_findings_can_be_written_and_read(tmp_path: Path) -> None:
    import json

    found = Probe(prior=PRIOR, **{**FAST, "seeds": 1})(made_study(tmp_path, lost))
    value = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert Findings.from_json(value, "here").estimates == found.estimates


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "board_"}, "undefined"),
        ({"label": "{{ 1 }}"}, "nothing to probe"),
        ({"prior": "gold"}, "differ from the prior"),
        ({"label": "rule", "prior": "winner"}, "none of what rule is"),
        ({"sites": ["vision_mean"]}, "no trial has states captured at vision_mean"),
        ({"group": "{{ board % 4 }}"}, "4 groups are too few"),
        ({"conflict": "board < 0"}, "differ from the prior"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Probe(**FAST, **options)(made_study(tmp_path, planted))


def test_a_run_without_states_is_said(tmp_path: Path) -> None:
    study = made_study(tmp_path, planted)
    with pytest.raises(TaskError, match="captured no hidden states"):
        Probe()(replace(study, table=replace(study.table, states=None)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sites": "vision_grid"}, "no single vector"),
        ({"probes": "svm"}, "probes"),
        ({"prior": "{{ winner"}, "template syntax"),
        ({"conflict": "rule =="}, "template syntax"),
        ({"prob": "mlp"}, "no option 'prob'"),
        ({"epochs": 0}, "epochs"),
        ({"train": "agreement"}, "agreement needs a prior"),
    ],
)
def test_wrong_options_are_said(options: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        build(ANALYSES, {"name": "probe", **options}, where="here")


def test_options_as_they_are_typed() -> None:
    made: Any = build(
        ANALYSES,
        {"name": "probe", "sites": "prompt_last+vision_mean", "probes": "linear", "hidden": "64+32",
         "seeds": "2", "lens": "true", "prior": ""},
        where=None,
    )  # fmt: skip
    assert made.sites == ("prompt_last", "vision_mean")
    assert made.hidden == (64, 32)
    assert made.probes == ("linear",)
    assert made.lens is True
    assert made.prior is None


def test_no_lens_without_the_model_is_a_note(tmp_path: Path) -> None:
    from vlm_eval.core.errors import ModelError

    def load(**_: Any) -> Any:
        raise ModelError("it is gone")

    found = Probe(lens=True, probes=("linear",), **FAST)(made_study(tmp_path, planted, load=load))
    assert "no logit lens: it is gone" in found.notes
