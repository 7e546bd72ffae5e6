import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.scenes.objects import (
    GRID,
    NAMES,
    PLACES,
    SIZE,
    Item,
    Objects,
    draw_objects,
    object_boxes,
    object_labels,
    objects_image,
    sample_objects,
)
from vlm_eval.data.scenes.things import PAINTS, THINGS

COCO = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat",
    "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack",
    "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball",
    "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket",
    "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair",
    "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
]  # fmt: skip

scenes = st.builds(sample_objects, st.integers(0, 9), st.integers(0, 500))


def test_names_are_coco_classes_in_their_order():
    assert len(COCO) == 80
    assert list(NAMES) == [name for name in COCO if name in NAMES]
    assert len(NAMES) == 22
    assert any(name[0] in "aeiou" for name in NAMES)
    assert {name for place in PLACES.values() for name in place.names} == set(NAMES)


@given(scenes)
def test_a_scene_has_three_classes_or_more_and_one_object_a_cell(scene):
    assert 3 <= len(scene.names) <= 6
    assert len(scene.items) <= GRID * GRID
    assert len({(item.row, item.column) for item in scene.items}) == len(scene.items)
    assert sum(scene.counts.values()) == len(scene.items)
    assert max(scene.counts.values()) <= 3
    assert all(item.colour in THINGS[item.name].paints for item in scene.items)
    assert {paint for thing in THINGS.values() for paint in thing.paints} <= set(PAINTS)


@given(scenes)
def test_the_label_map_shows_exactly_what_the_scene_holds(scene):
    labels = np.asarray(object_labels(scene))
    assert {NAMES[i - 1] for i in np.unique(labels) if i} == set(scene.names)


@given(scenes)
def test_boxes_are_tight_and_lie_in_their_cells(scene):
    labels = np.asarray(object_labels(scene))
    image = draw_objects(scene)
    assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
    covered = np.zeros((SIZE, SIZE), dtype=bool)
    for item, (left, top, right, bottom) in zip(scene.items, object_boxes(scene), strict=True):
        part = labels[top:bottom, left:right]
        assert set(np.unique(part)) <= {0, NAMES.index(item.name) + 1}
        assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
        assert item.row * SIZE / GRID - 1 <= top < bottom <= (item.row + 1) * SIZE / GRID + 1
        covered[top:bottom, left:right] = True
    assert not labels[~covered].any()


def test_adding_an_object_changes_nothing_else():
    one = Item("apple", "red", 0, 0)
    alone = np.asarray(draw_objects(Objects("park", (one,), 7)))
    both = np.asarray(draw_objects(Objects("park", (one, Item("cup", "blue", 2, 2)), 7)))
    differing = np.argwhere((alone != both).any(axis=2))
    assert differing.min() >= 2 * SIZE // GRID


def test_the_colour_is_that_of_the_paint():
    for name, thing in THINGS.items():
        for colour in thing.paints:
            scene = Objects("street", (Item(name, colour, 1, 1),), 3)
            pixels = np.asarray(draw_objects(scene))[np.asarray(object_labels(scene)) > 0]
            near = (np.abs(pixels.astype(int) - PAINTS[colour]) <= 12).all(axis=1)
            assert near.mean() > 0.08, (name, colour)


def test_scenes_are_the_same_everywhere_and_differ_by_number_and_seed():
    assert sample_objects(0, 3) == sample_objects(0, 3)
    keys = {objects_image(sample_objects(seed, i)).key for seed in (0, 1) for i in range(20)}
    assert len(keys) == 40
    scene = sample_objects(0, 0)
    image = objects_image(scene).load()
    assert image.tobytes() == draw_objects(scene).tobytes()


def test_some_objects_are_frequent_and_some_come_together():
    scenes = [sample_objects(0, index) for index in range(300)]
    share = {name: np.mean([name in scene.names for scene in scenes]) for name in NAMES}
    assert share["person"] > 0.5 > 0.3 > share["vase"] > 0
    near = [scene for scene in scenes if "traffic light" in scene.names]
    far = [scene for scene in scenes if "orange" in scene.names]
    with_car, without = (np.mean(["car" in scene.names for scene in part]) for part in (near, far))
    assert with_car > 3 * without


@pytest.mark.parametrize("name", NAMES)
def test_every_thing_stays_in_its_cell(name):
    for seed in range(12):
        scene = Objects("park", (Item(name, THINGS[name].paints[0], 1, 1),), seed)
        labels = np.asarray(object_labels(scene))
        rows, columns = np.nonzero(labels)
        assert min(rows.min(), columns.min()) >= SIZE / 3 - 1
        assert max(rows.max(), columns.max()) <= 2 * SIZE / 3 + 1
