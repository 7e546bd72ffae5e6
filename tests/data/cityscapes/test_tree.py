import numpy as np
import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.labels import CLASSES, IGNORED, LABELS, train_ids
from vlm_eval.data.cityscapes.tree import check_decisive, frames

STEM = "gtFine/val/testcity/testcity_00000{}_000019_gtFine_"


def classes(frame):
    return sorted(CLASSES[v] for v in np.unique(frame.annotation.train_ids()) if v != IGNORED)


def test_the_mini_tree_has_the_expected_classes(mini, expected):
    found = frames(mini, "val")
    assert [frame.id for frame in found] == sorted(expected)
    for frame in found:
        assert (frame.city, frame.split) == ("testcity", "val")
        assert [a.form for a in frame.annotations] == ["labelIds", "polygons"]
        assert classes(frame) == expected[frame.id]["C_gt_19"]


def test_pixels_are_counted_exactly(mini, expected):
    names = {label.id: label.name for label in LABELS}
    for frame in frames(mini, "val"):
        values, counts = np.unique(frame.annotation.label_map(), return_counts=True)
        got = {names[v]: n for v, n in zip(values.tolist(), counts.tolist(), strict=True)}
        assert got == expected[frame.id]["pixels_by_label"]


@pytest.mark.parametrize("form", ["labelTrainIds", "polygons"])
def test_each_form_gives_the_same_classes(copy, expected, write_map, form):
    for path in sorted(copy.glob("gtFine/val/*/*_labelIds.png")):
        frame = next(f for f in frames(copy, "val") if f.id in path.name)
        trained = frame.annotation.train_ids()
        if form == "labelTrainIds":
            write_map(path.with_name(path.name.replace("labelIds", "labelTrainIds")), trained)
        path.unlink()
    for frame in frames(copy, "val"):
        assert frame.annotation.form == form
        assert classes(frame) == expected[frame.id]["C_gt_19"]


def test_train_ids_under_the_name_of_ids_are_refused_and_the_reverse(copy, write_map):
    first = copy / (STEM.format(0) + "labelIds.png")
    trained = frames(copy, "val")[0].annotation.train_ids()
    original = frames(copy, "val")[0].annotation.label_map()
    write_map(first, trained)
    with pytest.raises(DataError, match="named as ids, but it holds train_ids"):
        frames(copy, "val")[0].annotation.train_ids()
    first.unlink()
    write_map(copy / (STEM.format(0) + "labelTrainIds.png"), original)
    with pytest.raises(DataError, match="named as train_ids, but it holds ids"):
        frames(copy, "val")[0].annotation.train_ids()


def test_maps_of_small_values_alone_decide_nothing(copy, write_map):
    for number in (0, 1):
        write_map(copy / (STEM.format(number) + "labelIds.png"), np.full((64, 128), 7))
    maps = [frame.annotation for frame in frames(copy, "val")]
    with pytest.raises(DataError, match="no label map has a value above 18"):
        check_decisive(maps, copy)
    write_map(copy / (STEM.format(1) + "labelIds.png"), np.full((64, 128), 26))
    check_decisive(maps, copy)


def test_missing_parts_are_named(copy):
    (copy / (STEM.format(0) + "labelIds.png")).unlink()
    (copy / (STEM.format(0) + "polygons.json")).unlink()
    with pytest.raises(DataError, match="no annotation of testcity_000000_000019"):
        _ = frames(copy, "val")[0].annotation
    with pytest.raises(DataError, match="leftImg8bit/train: no images"):
        frames(copy, "train")


def test_conversion_and_detection_agree():
    assert train_ids(np.array([[11]]), "ids").tolist() == [[2]]
