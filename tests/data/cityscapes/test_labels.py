import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.labels import (
    CLASSES,
    CRITICAL,
    IGNORED,
    LABELS,
    OBJECTS,
    check_encoding,
    evidence,
    train_ids,
)


def test_the_table_has_the_official_numbers():
    assert len(LABELS) == 35
    assert [label.id for label in LABELS] == [*range(34), -1]
    assert CLASSES == (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
        "motorcycle", "bicycle",
    )  # fmt: skip
    assert {name for names in CRITICAL.values() for name in names} <= set(OBJECTS) <= set(CLASSES)


def test_id_7_is_road_and_train_id_7_is_traffic_sign():
    assert CLASSES[int(train_ids(np.array([7]), "ids")[0])] == "road"
    assert CLASSES[int(train_ids(np.array([7]), "train_ids")[0])] == "traffic sign"


def test_every_id_becomes_its_train_id():
    made = train_ids(np.arange(34).reshape(2, 17), "ids")
    assert made.dtype == np.uint8
    assert made.shape == (2, 17)
    assert made.ravel().tolist() == [label.train_id for label in LABELS[:34]]


def test_train_ids_stay_as_they_are():
    values = np.array([0, 18, IGNORED])
    assert train_ids(values, "train_ids").tolist() == [0, 18, 255]


@pytest.mark.parametrize(
    ("values", "possible"),
    [
        ([0, 7, 18], {"ids", "train_ids"}),
        ([7, 19], {"ids"}),
        ([0, 33], {"ids"}),
        ([7, 255], {"train_ids"}),
        ([7, 26, 255], set()),
        ([34], set()),
        ([100], set()),
        ([-1, 7], set()),
    ],
)
def test_values_tell_their_encoding_or_do_not(values, possible):
    assert evidence(values) == possible


@given(st.sets(st.integers(-2, 260)))
def test_what_is_of_neither_encoding_is_refused(values):
    for encoding in ("ids", "train_ids"):
        if encoding in evidence(values):
            assert check_encoding(values, encoding, where="f") == (len(evidence(values)) == 1)
        else:
            with pytest.raises(DataError, match=r"^f: named as"):
                check_encoding(values, encoding, where="f")


def test_a_wrong_name_is_told_from_the_values():
    with pytest.raises(DataError, match=r"named as ids, but it holds train_ids \(values 7, 255\)"):
        check_encoding([7, 255], "ids", where="f")
    with pytest.raises(DataError, match="values 0, 40 are no ids"):
        train_ids(np.array([0, 40]), "ids")
