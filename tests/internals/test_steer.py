"""The steering protocol on planted states, and for real on the embedded model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

import vlm_eval
from vlm_eval.core.errors import TaskError, UsageError
from vlm_eval.core.options import build
from vlm_eval.core.types import Failure, Response
from vlm_eval.internals.base import ANALYSES
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.steer import Steer
from vlm_eval.internals.steer_data import QueryStates, splits
from vlm_eval.models.interventions import Edit
from vlm_eval.runner.study import analyze
from vlm_eval.tasks.trials import Trial

from .steering import study, task

GAMES = ["tictactoe"]
ONE = "within_tictactoe"


def mixed(trial: Trial) -> bool:
    """Right under the standard rule, and to a third of the inverse questions."""
    return trial.condition["rule"] == "standard" or int(trial.request.id[:6], 16) % 3 == 0


def value(found: Findings, name: str, layer: int, setup: str = ONE, **where: Any) -> float:
    (estimate,) = found.of(name, setup=setup, layer=layer, **where)
    assert estimate.value is not None
    return estimate.value


def test_written_centroids_are_obeyed_where_the_model_reads_them(tmp_path: Path) -> None:
    made, model = study(tmp_path, task(games=GAMES), mixed)
    found = Steer()(made)
    assert found.facts["layers"] == [1, 2, 3]
    assert found.facts["own_states"] == {"asked": 4 * 8 * 3, "changed": 0}
    for layer in (2, 3):
        assert value(found, "patched_accuracy", layer) == 1
        assert value(found, "router_rule_accuracy", layer) == 1
        assert value(found, "router_answer_accuracy", layer) == 1
        assert value(found, "wrong_label_accuracy", layer) == 0
        base = value(found, "base_accuracy", layer)
        assert 0.5 < base < 0.9
        assert value(found, "gain", layer) == pytest.approx(1 - base)
        inverse = {"rule": "inverse"}
        base = value(found, "base_accuracy_by_rule", layer, **inverse)
        assert value(found, "gain_by_rule", layer, **inverse) == pytest.approx(1 - base)
        assert 0.2 < value(found, "random_accuracy", layer) < 0.8
    assert value(found, "gain", 1) == 0  # what is written there is not read
    (estimate,) = found.of("patched_accuracy", layer=2)
    assert estimate.n == 3 * 6 * 8  # repeats, test boards, questions
    tests = {name for split in _splits(made) for name in split}
    assert estimate.clusters == len(tests)
    assert estimate.chance == 0.5
    assert not any("wrongly" in note or "changed" in note for note in found.notes)
    # Three edits a test row and layer, one more for the script's states of the last layer.
    assert len(model.asked) == 4 * 8 * 3 + 3 * 6 * 8 * (3 * 3 + 1)
    assert {edit.at for edit in model.edits} == {"prompt_last"}


def _splits(made: Any) -> list[list[str]]:
    states = QueryStates.of(made, 12)
    return [
        sorted({states.rows[i].cluster for i in split.test})
        for split in splits(states.rows, "within", "game", (1, 2, 3), 0.3)
    ]


def test_the_scripts_own_states_do_nothing_at_the_last_layer(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=GAMES), mixed)
    found = Steer()(made)
    assert value(found, "patched_hf_accuracy", 2) == value(found, "patched_accuracy", 2) == 1
    assert value(found, "patched_hf_accuracy", 3) == value(found, "base_accuracy", 3)
    assert not Steer(states=("before",))(made).of("patched_hf_accuracy")


def test_without_right_answers_the_mistake_is_written_back(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=GAMES))
    found = Steer(centroid_train_policy="correct_only")(made)
    assert value(found, "router_answer_accuracy", 3) == 1
    assert value(found, "patched_accuracy_by_rule", 3, rule="standard") == 1
    assert value(found, "patched_accuracy_by_rule", 3, rule="inverse") == 0
    assert any("answered wrongly" in note for note in found.notes)
    kinds = {(c["rule"], c["fallback"]) for c in found.facts["centroids"]}
    assert kinds == {("standard", ""), ("inverse", "incorrect")}


def test_another_model_can_lend_its_centroids(tmp_path: Path) -> None:
    made, _ = study(tmp_path / "a", task(games=GAMES))
    base, _ = study(tmp_path / "b", task(games=GAMES), lambda _: True)
    found = Steer()(dataclasses.replace(made, base=dataclasses.replace(base, model="better")))
    assert found.facts["donor"] == "better"
    assert value(found, "base_accuracy_by_rule", 3, rule="inverse") == 0
    assert value(found, "patched_accuracy_by_rule", 3, rule="inverse") == 1
    few, _ = study(tmp_path / "c", task(states=10, games=GAMES))
    with pytest.raises(UsageError, match="lacks 80 of the questions"):
        Steer()(dataclasses.replace(made, base=few))


def test_alpha_0_changes_nothing_and_spread_is_over_repeats(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=GAMES), mixed)
    found = Steer(alpha=0)(made)
    gains = found.of("gain")
    assert {e.value for e in gains} == {0}
    # A difference: it can be of either sign, unlike a share of right answers that is 0.
    assert {e.low == -e.high < 0 for e in gains if e.low is not None} == {True}
    spread = [r for r in found.facts["repeats"] if r["name"] == "base_accuracy" and r["layer"] == 1]
    means = [spread[0][str(repeat)] for repeat in (1, 2, 3)]
    assert np.mean(means) == pytest.approx(value(found, "base_accuracy", 1))
    assert spread[0]["sd"] == pytest.approx(np.std(means, ddof=1))


def test_boards_are_split_as_the_script_does(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=["tictactoe", "reversi"]))
    states = QueryStates.of(made, 12)
    found = list(splits(states.rows, "within", "game", (1, 2), 0.3))
    assert [(s.setup, s.repeat) for s in found] == [
        (f"within_{game}", repeat) for repeat in (1, 2) for game in ("tictactoe", "reversi")
    ]
    for split in found:
        game = split.setup.removeprefix("within_")
        ids = list(range(1, 21))
        train, test = train_test_split(ids, test_size=0.3, random_state=split.repeat)
        assert {states.rows[i].cluster for i in split.test} == {f"{game}-{i}" for i in test}
        assert {states.rows[i].cluster for i in split.train} == {f"{game}-{i}" for i in train}
        assert (len(split.train), len(split.test)) == (14 * 8, 6 * 8)


def test_across_games(tmp_path: Path) -> None:
    names = ["tictactoe", "reversi", "connect4"]
    made, _ = study(tmp_path, task("vlm-fix-steering-cross", 10, games=names), mixed)
    states = QueryStates.of(made, 12)
    for split in splits(states.rows, "cross", "game", (1,), 0.3):
        left_out = split.setup.removeprefix("cross_")
        assert {states.rows[i].fields["game"] for i in split.test} == {left_out}
        assert {states.rows[i].fields["game"] for i in split.train} == {*names} - {left_out}
        assert (len(split.train), len(split.test)) == (2 * 7 * 8, 3 * 8)
    found = Steer(setup="cross", repeats=(1,))(made)
    for game in names:
        assert value(found, "patched_accuracy", 3, f"cross_{game}") == 1
    trial, _ = next(made.trials())
    assert trial.choices == ("Alice", "Bob")
    assert trial.prompt == (
        "<image>You are given a 3x3 grid for a two-player game. There are two players: Alice and "
        "Bob. Alice is marked with X, and Bob is marked with O. If a player has 3 in a row "
        "(horizontal, vertical, or diagonal), that player wins, and the other player loses. The "
        "game has ended. Who is the winner? Answer with only Alice or Bob. Do not add any other "
        "text."
    )


def test_an_interrupted_analysis_goes_on(tmp_path: Path) -> None:
    made, model = study(tmp_path, task(games=GAMES), mixed)
    first = Steer()(made)
    asked = len(model.asked)
    ledger = tmp_path / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:-2]) + lines[-2][:40])  # torn
    assert Steer()(made) == first
    lost = sum(len(json.loads(line)["value"]) for line in lines[-2:])
    assert len(model.asked) == asked + lost
    Steer()(made)
    assert len(model.asked) == asked + lost
    Steer(alpha=0.5)(made)  # another question: nothing of it is known
    assert len(model.asked) == 2 * asked + lost


def test_a_failure_is_no_answer(tmp_path: Path) -> None:
    made, model = study(tmp_path, task(games=GAMES), mixed)

    class Broken:
        def intervene(self, requests: Any, edits: list[Edit]) -> Any:
            for number, response in enumerate(model.intervene(requests, edits)):
                yield (
                    Response(response.request_id, Failure("bug", "?"), 0)
                    if not number
                    else response
                )

    found = Steer(states=("before",))(dataclasses.replace(made, load=lambda **_: Broken()))
    (estimate,) = found.of("patched_accuracy", layer=1)
    assert estimate.n < 3 * 6 * 8
    assert any("answers failed" in note for note in found.notes)


def test_states_that_are_not_the_models_are_seen(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=GAMES), turned=True)
    found = Steer()(made)
    assert found.facts["own_states"]["changed"] > 30
    assert any("no number holds" in note for note in found.notes)


def test_boards_without_states_are_counted(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=GAMES), mixed)
    planted: Any = made.table.states
    for trial, _row in made.trials():
        if trial.sample_id in ("tictactoe-3", "tictactoe-4"):
            del planted.arrays[trial.request.id]
    found = Steer(repeats=(1,), controls=(), layers=1)(made)
    assert any("16 answered trials have no captured states" in note for note in found.notes)
    (estimate,) = found.of("patched_accuracy", layer=3)
    assert estimate.n == 6 * 8  # 30 % of 18 boards, rounded up


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    made, _ = study(tmp_path, task(games=GAMES))
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("no factor 'regel'", {"rule": "regel"}),
        ("no score 'accuracy_x'", {"score": "accuracy_x"}),
        ("no field 'board_colour'", {"group": "board_colour"}),
        ("only one game", {"setup": "cross"}),
    ]
    for message, options in wrong:
        with pytest.raises(TaskError, match=message):
            Steer(**options)(made)
    bare = dataclasses.replace(made.table, states=None)
    with pytest.raises(TaskError, match=r"no captured states.*capture: \{sites: \[prompt_last\]"):
        Steer()(dataclasses.replace(made, table=bare))
    two, _ = study(tmp_path, task(states=2, games=["tictactoe", "reversi"]))
    with pytest.raises(TaskError, match="answers have other names"):
        Steer(setup="cross")(two)
    one, _ = study(tmp_path, task(states=1, games=GAMES))
    with pytest.raises(TaskError, match="a single cluster"):
        Steer()(one)
    with pytest.raises(TaskError, match="has no option 'layer'"):
        build(ANALYSES, {"name": "steer", "layer": 3}, where="here")
    for repeats, message in (([], "at least 1 item"), ([1, 1], "analysis steer: .*distinct")):
        with pytest.raises(TaskError, match=message):
            build(ANALYSES, {"name": "steer", "repeats": repeats}, where="here")


@pytest.mark.slow
def test_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vlm_eval.evaluate(
        "tiny-joint", "vlm-fix-steering-tictactoe", limit=4, output_path="run", progress=False
    )
    found = analyze("run", "steer", layers=2, repeats=[1], controls=["wrong_label"])
    assert found.facts["layers"] == [3, 4]
    assert found.facts["own_states"]["changed"] == 0
    # The last block's output is all that the answer is read from.
    assert value(found, "patched_accuracy", 4) == value(found, "router_answer_accuracy", 4)
    assert value(found, "wrong_label_accuracy", 4) == 1 - value(found, "patched_accuracy", 4)
    assert (tmp_path / "run" / "analysis" / "steer-vlm-fix-steering-tictactoe").is_dir()
