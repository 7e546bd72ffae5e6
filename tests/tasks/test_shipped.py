"""The task files of this project: what the papers' protocols say they must be."""

import itertools
import re
from pathlib import Path

import pytest

from vlm_eval.core.types import Answer
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import expand

GAMES = ("tictactoe", "reversi", "connect4", "dots_boxes")
INDEX = TaskIndex()
VLM_FIX = [
    # task, conditions, output, distinct questions a board (spec section 0 of the protocol)
    ("vlm-fix-inverse", 2 * 2 * 2, "choice"),
    ("vlm-fix-prompts", 2 * 2 * 2 * 3, "choice"),
    ("vlm-fix-renders", 2 * 2 * 2 * 3, "choice"),
    ("vlm-fix-descriptive", 2 * 2 * 2, "choice"),
    ("vlm-fix-text-only", 2 * 2, "choice"),
    ("vlm-fix-cot", 2 * 2 * 2 * 3, "generate"),
]


def test_no_shipped_file_is_broken():
    assert INDEX.broken == []


@pytest.mark.parametrize("name", [entry.name for entry in INDEX.tasks])
def test_every_shipped_task_loads_and_renders(name):
    task = INDEX.load(name, data="embedded")
    found = list(expand(task, limit=4))
    assert len({trial.sample_id for trial in found}) == 4
    full = 4 * len(task.conditions())
    assert len(found) == full if task.spec.applies is None else 4 <= len(found) <= full
    assert task.info()["digest"] == task.digest
    for trial in found:
        assert trial.choices is None or trial.gold in trial.choices
        ask = task.ask(trial.condition)
        assert (trial.request.choices is None) == (ask.output.kind == "generate")
        if ask.parser is not None:
            outcome = Answer(text=trial.gold)
            right = score(
                task, condition=trial.condition, gold=trial.gold, choices=trial.choices,
                outcome=outcome, fields=trial.fields,
            )  # fmt: skip
            assert right.answer is not None
            assert right.scores["accuracy"] > 0


def test_the_group_of_all_tasks_runs_each_once_on_embedded_data():
    chosen = INDEX.choose("all")
    assert set(chosen.values()) == {"embedded"}
    assert set(chosen) == {entry.name for entry in INDEX.tasks if entry.parent is None}


def test_the_group_holds_the_six_tasks():
    assert INDEX.resolve("vlm-fix") == [name for name, *_ in VLM_FIX]


@pytest.mark.parametrize(("name", "conditions", "output"), VLM_FIX)
def test_vlm_fix_tasks_are_the_papers(name, conditions, output):
    task = INDEX.load(name)
    assert len(task.conditions()) == conditions
    assert task.spec.output.kind == output
    assert task.spec.output.max_new_tokens == 1024
    assert task.chance == 0.5
    assert task.spec.parser.literal.name == "vlm_fix"
    assert list(task.factors)[:2] == ["rule", "target"]
    assert task.factors["rule"] == ("standard", "inverse")
    assert task.source.games == GAMES
    assert task.source.states == 300
    assert INDEX.resolve(f"{name}-*") == sorted(f"{name}-{game}" for game in GAMES)
    for game in GAMES:
        assert INDEX.load(f"{name}-{game}").source.games == (game,)


def test_a_few_samples_cover_all_games():
    found = list(expand(INDEX.load("vlm-fix-inverse"), limit=8))
    games = [trial.fields["game"] for trial in found[:: 2 * 2 * 2]]
    assert games == [*GAMES, *GAMES]
    assert len(found) == 64


def test_the_inverse_rule_swaps_the_answer_and_so_does_the_target():
    found = list(expand(INDEX.load("vlm-fix-inverse"), limit=8))
    gold = {(t.sample_id, *t.condition.values()): t.gold for t in found}
    for sample in {t.sample_id for t in found}:
        for order in ("image_first", "text_first"):
            cells = {
                cell: gold[(sample, *cell, order)]
                for cell in itertools.product(("standard", "inverse"), ("winner", "loser"))
            }
            assert cells["standard", "winner"] == cells["inverse", "loser"]
            assert cells["standard", "loser"] == cells["inverse", "winner"]
            assert cells["standard", "winner"] != cells["inverse", "winner"]


def test_the_image_stands_where_the_order_says():
    for trial in expand(INDEX.load("vlm-fix-inverse"), limit=4):
        first = trial.condition["order"] == "image_first"
        assert trial.prompt.startswith("<image>") == first
        assert trial.prompt.endswith("<image>") != first
        assert trial.prompt.count("<image>") == len(trial.request.images) == 1


def test_the_text_control_shows_no_image_but_the_board():
    for trial in expand(INDEX.load("vlm-fix-text-only"), limit=4):
        assert trial.request.images == ()
        assert "\n\nBoard:\n" in trial.prompt


def test_renders_show_three_pictures_and_glyphs_rename_the_players():
    found = list(expand(INDEX.load("vlm-fix-renders"), limit=1))
    by_render = {}
    for trial in found:
        by_render.setdefault(trial.condition["render"], set()).add(
            (trial.request.images[0].key, trial.choices)
        )
    assert {render: len(values) for render, values in by_render.items()} == {
        "canonical": 1, "checkerboard": 1, "glyph": 1,
    }  # fmt: skip
    [(_, canonical)], [(_, checkerboard)], [(_, glyph)] = by_render.values()
    assert canonical == checkerboard == ("X", "O")
    assert not set(glyph) & set("XOAB")


def test_the_descriptive_control_asks_two_questions_of_each_board():
    found = list(expand(INDEX.load("vlm-fix-descriptive"), limit=1))
    by_question = {}
    for trial in found:
        by_question.setdefault(trial.request.id, []).append(
            (trial.condition["rule"], trial.condition["target"])
        )
    assert len(by_question) == 2 * 2, "two questions, in two orders"
    assert sorted(by_question.values())[0] == [("standard", "loser"), ("inverse", "winner")]


def test_the_reasoning_task_asks_for_a_boxed_answer():
    for trial in expand(INDEX.load("vlm-fix-cot"), limit=1):
        assert r"inside \boxed{ }." in trial.prompt
        assert trial.request.decoding.max_new_tokens == 1024


def test_scenes_ask_about_absent_objects_as_often_as_a_slice_allows():
    found = list(expand(INDEX.load("scene-presence"), limit=20))
    assert [t.gold for t in found].count("Yes") == 10
    assert found[0].prompt == (
        f"<image>Is there a {found[0].fields['object']} in the image? Please answer Yes or No."
    )


GUIDE = Path(__file__).parents[2] / "docs" / "writing-tasks.md"


def test_the_examples_of_the_guide_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example, group = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    (tmp_path / "group.yaml").write_text(group)
    (tmp_path / "shape.yaml").write_text(
        example.replace("task: scene-wording", "task: shape-words")
    )
    index = TaskIndex([tmp_path])
    assert index.resolve("my-group") == ["scene-wording", "shape-words"]
    task = index.load("scene-wording")
    found = list(expand(task, limit=2))
    assert len(found) == 2 * 6
    for trial in found:
        turned = trial.condition["wording"] == "absent"
        assert (trial.gold == trial.fields["present"]) != turned
