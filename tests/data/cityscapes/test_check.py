import numpy as np
import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.check import survey
from vlm_eval.data.cityscapes.export import export_drawn

LABELS = "gtFine/val/testcity/testcity_000000_000019_gtFine_labelIds.png"
IMAGE = "leftImg8bit/val/testcity/testcity_000000_000019_leftImg8bit.png"


def faults(found):
    return [*found.faults, *(f for city in found.cities for f in city.faults)]


def remarks(found):
    return [*found.remarks, *(f for city in found.cities for f in city.remarks)]


def test_a_good_tree_is_usable(mini):
    found = survey(mini)
    (city,) = found.cities
    assert (city.split, city.name, city.images) == ("val", "testcity", 2)
    assert city.forms == {"labelIds": 2, "labelTrainIds": 0, "polygons": 2}
    assert found.usable
    assert faults(found) == []
    assert remarks(found) == [
        "no safety_labels.csv: safety labels would be those of the rule gt_corridor_v1"
    ]


def test_what_we_write_is_usable_and_known_as_drawn(tmp_path):
    export_drawn(tmp_path / "out", 3)
    found = survey(tmp_path / "out")
    assert found.usable
    assert any("labelled synthetic" in note for note in found.remarks)
    with pytest.raises(DataError, match="is not empty"):
        export_drawn(tmp_path / "out", 3)


def _cut(root, write_map):
    path = root / IMAGE
    path.write_bytes(path.read_bytes()[:-30])


def _gone(root, write_map):
    (root / LABELS).unlink()
    (root / LABELS.replace("labelIds.png", "polygons.json")).unlink()


def _small(root, write_map):
    write_map(root / LABELS, np.full((32, 64), 26))


def _confused(root, write_map):
    write_map(root / LABELS, np.full((64, 128), 255))


def _garbled(root, write_map):
    (root / LABELS).write_bytes(b"x")


def _undecided(root, write_map):
    for number in (0, 1):
        write_map(root / LABELS.replace("000000_", f"00000{number}_"), np.full((64, 128), 7))


def _mislabelled(root, write_map):
    (root / "safety_labels.csv").write_text("image_id,label\nx,maybe\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "not a readable"),
        (_gone, "no annotation"),
        (_small, "64 x 32 pixels, its image 128 x 64"),
        (_confused, "named as ids, but it holds train_ids"),
        (_garbled, "not a readable PNG"),
        (_undecided, "no label map has a value above 18"),
        (_mislabelled, "'maybe' is no label"),
    ],
)
def test_a_fault_makes_it_unusable_and_is_named(copy, write_map, spoil, words):
    spoil(copy, write_map)
    found = survey(copy)
    assert not found.usable
    assert len(faults(found)) == 1
    assert words in faults(found)[0]


def test_remarks_do_not(copy, write_map):
    (copy / IMAGE).unlink()
    second = copy / LABELS.replace("000000_", "000001_")
    drawn = np.full((64, 128), 26)
    write_map(second, drawn)
    found = survey(copy)
    assert found.usable
    text = "\n".join(remarks(found))
    assert text.count("belongs with no image") == 2
    assert "differs from labelIds in" in text


def test_a_folder_without_the_tree(tmp_path):
    found = survey(tmp_path)
    assert not found.usable
    assert "there is no folder leftImg8bit" in faults(found)
    with pytest.raises(DataError, match="no such folder"):
        survey(tmp_path / "nowhere")


def test_the_test_split_is_no_data(copy):
    for kind in ("leftImg8bit", "gtFine"):
        (copy / kind / "val").rename(copy / kind / "test")
    found = survey(copy)
    assert not found.usable
    assert any("split test has no labels" in note for note in found.remarks)


def test_safety_labels_that_do_not_fit_the_images_are_noted(copy):
    (copy / "safety_labels.csv").write_text(
        "image_id,label\ntestcity_000000_000019,safe\nelsewhere_000001_000019,unsafe\n"
    )
    found = survey(copy)
    assert found.usable
    assert remarks(found) == [
        "safety_labels.csv: no label of 1 of 2 images",
        "safety_labels.csv: 1 of its ids are of no image, such as elsewhere_000001_000019",
    ]
