"""What the embedded model is trained on is what the tasks ask, word for word."""

import random

import pytest

from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.states import benchmark_states
from vlm_eval.data.pairs.synthetic import sample_pair
from vlm_eval.data.scenes.street import sample_street
from vlm_eval.models.tiny import lessons as teach
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand


@pytest.fixture(scope="module")
def index():
    return TaskIndex()


def as_prompt(lesson):
    return "".join("<image>" if part == teach.IMAGE else part for part in lesson.parts)


@pytest.mark.parametrize("game", GAMES)
def test_board_lessons_are_the_trials_of_vlm_fix_inverse(index, game):
    winner = benchmark_states(game)[0].winner
    for trial in expand(index.load(f"vlm-fix-inverse-{game}"), limit=1):
        c = trial.condition
        lesson = teach.board_lesson(game, winner, c["rule"], c["target"], c["order"])
        assert as_prompt(lesson) == trial.prompt
        assert lesson.answer == trial.gold


@pytest.mark.parametrize("subset", ["mis", "mic"])
def test_pair_lessons_are_the_trials_of_the_minimal_pairs(index, subset):
    pair = sample_pair(subset, 0, 0)
    for trial in expand(index.load(subset), limit=1):
        side, swapped = trial.condition["side"], trial.condition["order"] == "ba"
        lesson = {
            "confirm": teach.match_lesson(pair, side, side),
            "reject": teach.match_lesson(pair, side, 1 - side),
            "i2c": teach.caption_lesson(pair, side, swapped),
            "c2i": teach.choose_image_lesson(pair, side, swapped),
        }[trial.condition["question"]]
        assert as_prompt(lesson) == trial.prompt
        assert lesson.answer == trial.gold
        shown = [pair.image(image).key for image in lesson.sides]
        assert shown == [image.key for image in trial.request.images]


def test_street_lessons_are_the_trials_of_scene_presence(index):
    street = sample_street(0, 0)
    lessons = teach.street_lessons(street, random.Random(0), 6)
    known = {as_prompt(lesson): lesson.answer for lesson in lessons}
    trials = list(expand(index.load("scene-presence"), limit=1))
    assert trials
    for trial in trials:
        assert known[trial.prompt] == trial.gold


def test_the_law_is_asked_of_the_rule_and_not_of_the_board():
    for game in GAMES:
        standard = teach.law_lesson(game, "standard", "image_first")
        inverse = teach.law_lesson(game, "inverse", "image_first")
        assert (standard.answer, inverse.answer) == ("Yes", "No")
        assert standard.parts != inverse.parts
        assert "Who is the" not in standard.parts[1]


def test_stepping_stones_have_the_right_answers():
    pair = sample_pair("mis", 0, 0)
    safe, unsafe = "green", "red"
    assert teach.fill_lesson(pair, 1, False).answer == unsafe
    assert teach.word_lesson(pair, 0, 0).answer == "Yes"
    assert f"Is it {unsafe}?" in teach.word_lesson(pair, 0, 1).parts[1]
    assert teach.word_lesson(pair, 0, 1).answer == "No"
    assert teach.letter_lesson(pair, 0, False).answer == "A"
    assert f"(A) {unsafe}\n(B) {safe}" in teach.letter_lesson(pair, 0, True).parts[1]
    assert teach.letter_lesson(pair, 0, True).answer == "B"
