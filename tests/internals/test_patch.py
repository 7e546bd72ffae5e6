"""Activation patching: the identities that it must keep, on four architectures and for real."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.checkpoints import build
from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build as configured
from vlm_eval.internals.base import ANALYSES, Study
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.patch import Patch, effect
from vlm_eval.internals.patch_pairs import Pair, make_pairs, prior_of
from vlm_eval.metrics.table import TableRow
from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model
from vlm_eval.stats.clusters import Clusters
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, expand

from .steering import task

KINDS = ["qwen2_5_vl", "llava", "gemma3", "internvl", "qwen3_vl"]


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], HfModel]:
    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def of(name: str) -> HfModel:
        target = name if name.startswith("tiny") else str(build(name, root / name))
        model = load_model(target, batch_size=8, device="cpu")
        assert isinstance(model, HfModel)
        return model

    return of


def study(folder: Path, model: HfModel | None, states: int = 3, **spec: Any) -> Study:
    made: Task = task(states=states, games=["tictactoe"], **spec)
    rows: list[tuple[Trial, TableRow]] = [
        (
            trial,
            TableRow(
                trial.sample_id, trial.cluster, trial.condition, trial.fields, trial.gold, None, {}
            ),
        )
        for trial in expand(made)
    ]

    def track(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        return items

    return Study(
        task=made,
        table=made.table(tuple(row for _, row in rows)),
        model="m",
        folder=folder,
        trials=lambda: iter(rows),
        load=lambda **_: model,  # type: ignore[arg-type, return-value]
        track=track,
        seed=0,
        synthetic=False,
        notice=None,
    )


def value(found: Findings, name: str, **where: Any) -> float:
    (estimate,) = found.of(name, **where)
    assert estimate.value is not None
    return estimate.value


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("against", ["mean", "other"])
def test_all_tokens_give_the_counterfactual_and_none_the_clean_answer(
    name: str, against: str, tmp_path: Path, backend: Callable[[str], HfModel]
) -> None:
    model = backend(name)
    when = "rule == 'standard' and target == 'winner'"
    found = Patch(against=against, when=when)(study(tmp_path, model))
    last = model.blocks
    deep = name == "qwen3_vl"  # the image enters three blocks more
    assert found.facts["pairs"] == 6
    assert found.facts["all_at_0"] == value(found, "effect", tokens="all", layer=0)
    assert any("later blocks too" in note for note in found.notes) == deep
    for layer in range(last + 1):
        together = value(found, "effect", tokens="all", layer=layer)
        if not deep or layer == last:
            assert together == pytest.approx(1, abs=2e-3), layer
    # Before the first block the image is in its own tokens alone; after the last one nothing is
    # read but the last token.
    assert value(found, "effect", tokens="prompt_last", layer=0) == pytest.approx(0, abs=2e-3)
    assert value(found, "effect", tokens="after_image", layer=0) == pytest.approx(0, abs=2e-3)
    if not deep:
        assert value(found, "effect", tokens="image", layer=0) == pytest.approx(1, abs=2e-3)
    assert value(found, "effect", tokens="image", layer=last) == pytest.approx(0, abs=2e-3)
    for tokens in ("prompt_last", "after_image"):
        assert value(found, "effect", tokens=tokens, layer=last) == pytest.approx(1, abs=2e-3)


def test_the_effect_is_the_share_of_the_way() -> None:
    clean, other = np.array([1.0, -2.0, 0.0]), np.array([-1.0, 2.0, 0.0])
    clusters = Clusters.of("abc")
    assert effect(clean, other, clean, clusters).value == 0
    assert effect(clean, other, other, clusters).value == 1
    half = effect(clean, other, (clean + other) / 2, clusters)
    assert half.value == 0.5
    # By hand: (2 * 1 + 4 * 0.25) / 6; the pair that does not differ has no weight.
    assert effect(clean, other, np.array([-1.0, -1.0, 0.0]), clusters).value == 0.5
    assert effect(clean, clean, other, clusters).value is None


@pytest.mark.slow
def test_the_rule_is_read_from_the_text_and_the_winner_from_the_image(
    tmp_path: Path, backend: Callable[[str], HfModel]
) -> None:
    joint = backend("tiny-joint")
    first = "order == 'image_first'"
    (tmp_path / "r").mkdir()
    rule = Patch(against="rule", when=first)(study(tmp_path / "r", joint, 6))
    assert value(rule, "answer_differs") == 1
    same = value(rule, "effect", tokens="image", layer=0)  # the image is the same
    assert same == pytest.approx(0, abs=1e-4)
    for layer in range(5):
        assert value(rule, "flipped", tokens="all", layer=layer) == 1
    assert value(rule, "flipped", tokens="image", layer=0) == 0
    assert value(rule, "effect", tokens="after_image", layer=0) == pytest.approx(1, abs=1e-3)
    assert value(rule, "effect", tokens="prompt_last", layer=0) == pytest.approx(0, abs=1e-4)
    assert value(rule, "effect", tokens="prompt_last", layer=4) == pytest.approx(1, abs=1e-3)
    (tmp_path / "i").mkdir()
    image = Patch(against="other", when=first)(study(tmp_path / "i", joint, 6))
    assert value(image, "effect", tokens="image", layer=0) == pytest.approx(1, abs=1e-3)
    # The fixated model's answer does not depend on the rule, so there is nothing to find.
    (tmp_path / "f").mkdir()
    fixated = Patch(against="rule", when=first, layers=(0,))(
        study(tmp_path / "f", backend("tiny"), 6)
    )
    assert value(fixated, "answer_differs") == 0
    assert value(fixated, "ld_apart") < 0.5 < 5 < value(rule, "ld_apart")
    assert any("little whose place" in note for note in fixated.notes)


def pairs(made: Study, against: str, **more: Any) -> list[Pair]:
    trials = [trial for trial, _ in made.trials()]
    return make_pairs(made, trials, **{"levels": None, "count": None, "against": against, **more})


def test_pairs_differ_in_one_thing(tmp_path: Path) -> None:
    made = study(tmp_path, None, 5)
    by_rule = pairs(made, "rule")
    assert len(by_rule) == 5 * 4
    for pair in by_rule:
        assert pair.trial.condition["rule"] == "standard"
        assert pair.clean.images == pair.counterfactual.images
        assert pair.other != pair.trial.gold
        assert pair.clean.choices == pair.counterfactual.choices == ("X", "O")
        assert pair.clean.decoding is None
    assert {
        p.trial.condition["rule"] for p in pairs(made, "rule", levels=("inverse", "standard"))
    } == {"inverse"}
    for pair in pairs(made, "other"):
        assert pair.clean.images != pair.counterfactual.images
        texts = [
            [part for m in q.messages for part in m.parts if hasattr(part, "text")]
            for q in (pair.clean, pair.counterfactual)
        ]
        assert texts[0] == texts[1]
        assert pair.other != pair.trial.gold
    for pair in pairs(made, "mean"):
        ((image,), (blank,)) = pair.clean.images, pair.counterfactual.images
        pixels = np.asarray(blank.load()).reshape(-1, 3)
        assert (pixels == pixels[0]).all()
        assert np.asarray(image.load()).shape == np.asarray(blank.load()).shape
    drawn = [pair.key for pair in pairs(made, "rule", count=7)]
    assert drawn == [pair.key for pair in by_rule][:7]
    assert drawn != sorted(drawn)


def test_the_prior() -> None:
    trial: Any = dataclasses.make_dataclass("T", ["choices", "gold"])(("2", "3", "4"), "3")
    plain: Any = Pair("k", trial, None, None, None)  # type: ignore[arg-type]
    assert prior_of(plain, {}, None, (-3.0, -1.0, -2.0)) == 2
    assert prior_of(plain, {"bias": 2}, "bias", (0.0, 0.0, 0.0)) == 0
    assert prior_of(plain, {"bias": 7}, "bias", (0.0, 0.0, 0.0)) is None
    other = dataclasses.replace(plain, other="2")
    assert prior_of(other, {}, None, (-3.0, -1.0, -2.0)) == 0
    same = dataclasses.replace(plain, other="3")
    assert prior_of(same, {}, None, (-3.0, -1.0, -2.0)) == 2


def test_what_cannot_be_patched_is_said(tmp_path: Path, backend: Callable[[str], HfModel]) -> None:
    made = study(tmp_path, None, 1)
    with pytest.raises(TaskError, match=r"no factor 'rules'.*rule"):
        pairs(made, "rules")
    with pytest.raises(TaskError, match="two levels of 'rule'"):
        pairs(made, "rule", levels=("standard", "misere"))
    with pytest.raises(TaskError, match="no pairs of questions"):
        pairs(made, "other")  # a single board
    trials = [dataclasses.replace(trial, choices=None) for trial, _ in made.trials()]
    with pytest.raises(TaskError, match="some trials have none"):
        make_pairs(made, trials, against="mean", levels=None, count=None)
    with pytest.raises(TaskError, match=r"no field 'gam'; did you mean game"):
        Patch(by="gam")(made)
    for options, message in (
        ({"when": "rule =="}, "unexpected 'end of template'"),
        ({"tokens": []}, "option 'tokens'"),
        ({"layers": []}, "layers"),
    ):
        with pytest.raises(TaskError, match=message):
            configured(ANALYSES, {"name": "patch", **options}, where="here")
    # Image first and text first have their tokens in different places.
    real = study(tmp_path, backend("llava"), 1)
    with pytest.raises(TaskError, match="tokens in different places"):
        Patch(against="order")(real)


def test_an_interrupted_analysis_goes_on(tmp_path: Path, backend: Callable[[str], HfModel]) -> None:
    made = study(tmp_path, backend("llava"), 2)
    options: dict[str, Any] = {"against": "mean", "layers": (0, 2)}
    first = Patch(**options, pairs=3)(made)
    before = (tmp_path / "ledger.jsonl").read_text()
    more = Patch(**options, pairs=5, by="game")(made)
    assert (tmp_path / "ledger.jsonl").read_text().startswith(before)
    assert more.facts["pairs"] == 5
    assert {e.where["game"] for e in more.of("effect_by_slice")} == {"tictactoe"}
    assert {e.where["layer"] for e in more.of("effect")} == {0, 2}
    assert Patch(**options, pairs=3)(made) == first
