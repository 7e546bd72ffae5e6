"""POPE's three rules on drawn scenes, against a slow second reading of them."""

from collections import Counter

import pytest

from vlm_eval.data.pope.questions import SPLITS, ask
from vlm_eval.data.pope.synthetic import Gallery
from vlm_eval.data.scenes.objects import NAMES

GALLERY = Gallery(80, 0)


def images(split):
    """Yield each scene with its (positive, negative) pairs."""
    asked = list(GALLERY.questions(split))
    for start in range(0, len(asked), 6):
        part = asked[start : start + 6]
        (scene,) = {id(scene): scene for _, scene in part}.values()
        yield scene, [(part[i][0].object, part[i + 1][0].object) for i in (0, 2, 4)]


@pytest.mark.parametrize("split", SPLITS)
def test_three_yes_and_three_no_in_turn_about_each_image(split):
    asked = [question for question, _ in GALLERY.questions(split)]
    assert len(asked) == 6 * 80
    assert [q.label for q in asked] == ["yes", "no"] * 240
    assert [q.id for q in asked] == [str(i) for i in range(1, 481)]
    assert set(Counter(q.image for q in asked).values()) == {6}
    assert all(q.text == ask(q.object) for q in asked)
    assert {q.split for q in asked} == {split}


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_true_of_the_scene_and_no_object_comes_twice(split):
    for question, scene in GALLERY.questions(split):
        assert (question.object in scene.names) == (question.label == "yes")
    for _, pairs in images(split):
        assert len({name for pair in pairs for name in pair}) == 6


def test_the_positives_are_the_same_in_all_splits():
    positives = [[p for _, pairs in images(split) for p, _ in pairs] for split in SPLITS]
    assert positives[0] == positives[1] == positives[2]


def frequency(name):
    return sum(name in scene.names for scene in GALLERY.scenes)


def together(one, other):
    return sum(one in scene.names and other in scene.names for scene in GALLERY.scenes)


def test_popular_negatives_are_the_most_frequent_absent_ones():
    for scene, pairs in images("popular"):
        absent = [name for name in NAMES if name not in scene.names]
        counts = sorted((frequency(name) for name in absent), reverse=True)
        assert [frequency(negative) for _, negative in pairs] == counts[:3]


def test_adversarial_negatives_come_most_often_with_their_positive():
    for scene, pairs in images("adversarial"):
        absent = {name for name in NAMES if name not in scene.names}
        for positive, negative in pairs:
            assert together(positive, negative) == max(together(positive, n) for n in absent)
            absent.remove(negative)


def test_random_negatives_are_spread_over_all_objects():
    negatives = Counter(n for _, pairs in images("random") for _, n in pairs)
    popular = Counter(n for _, pairs in images("popular") for _, n in pairs)
    assert len(negatives) == len(NAMES) > len(popular)
    assert max(negatives.values()) < max(popular.values()) / 2


def test_a_seed_fixes_everything():
    def texts(seed):
        return [q.text for q, _ in Gallery(20, seed).questions("random")]

    assert texts(0) == texts(0) != texts(1)
