import numpy as np

from vlm_eval.data.cityscapes.drawn import THINGS, Scene, draw_scene, sample_scene
from vlm_eval.data.cityscapes.labels import CLASSES, OBJECTS, train_ids
from vlm_eval.data.cityscapes.truth import corridor_safety, present


def classes(scene):
    return set(present(train_ids(np.asarray(draw_scene(scene)[1]), "ids")))


def test_a_scene_shows_what_it_says_and_a_street():
    for i, thing in enumerate(THINGS):
        shown = classes(Scene(0, (i,), seed=i))
        assert {"road", "sidewalk", "building", "sky", thing.name} <= shown
        others = {t.name for t in THINGS} - {thing.name}
        allowed = {"bicycle"} if thing.name == "rider" else set()
        assert not (shown & others) - allowed


def test_all_nineteen_classes_and_both_labels_occur():
    scenes = [sample_scene(0, i) for i in range(40)]
    seen = [classes(scene) for scene in scenes]
    assert set().union(*seen) == set(CLASSES)
    for name in OBJECTS:
        assert 4 <= sum(name in shown for shown in seen) <= 32
    maps = [train_ids(np.asarray(draw_scene(scene)[1]), "ids") for scene in scenes]
    safety = [corridor_safety(made) for made in maps]
    assert {"safe", "unsafe"} == set(safety)


def test_scenes_are_a_function_of_seed_and_index_alone():
    one, two = sample_scene(1, 9), sample_scene(1, 9)
    assert one == two
    assert one.key == two.key != sample_scene(2, 9).key
    assert draw_scene(one)[0].tobytes() == draw_scene(two)[0].tobytes()


def test_ids_follow_the_official_pattern_and_are_unique():
    ids = [sample_scene(0, i).id for i in range(7)]
    assert ids[:3] == [
        "drawnburg_000000_000019",
        "inkstadt_000000_000019",
        "drawnburg_000001_000019",
    ]
    assert len(set(ids)) == 7
