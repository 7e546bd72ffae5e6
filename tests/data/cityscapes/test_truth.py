import numpy as np
import pytest

from vlm_eval.data.cityscapes.labels import CLASSES, IGNORED
from vlm_eval.data.cityscapes.truth import class_pixels, corridor, corridor_safety, present

CAR, PERSON, RIDER, ROAD = (CLASSES.index(n) for n in ("car", "person", "rider", "road"))


def street():
    return np.full((200, 400), ROAD, dtype=np.uint8)


def test_presence_by_pixels_and_by_area():
    scene = street()
    scene[0, :40] = CAR  # 40 of 80,000 pixels: exactly 0.0005
    scene[1, :39] = PERSON
    assert class_pixels(scene) == {"road": 80_000 - 79, "person": 39, "car": 40}
    assert present(scene) == ["road", "person", "car"]
    assert present(scene, min_share=0.0005) == ["road", "car"]
    assert present(scene, min_pixels=41) == ["road"]


def test_ignored_pixels_are_no_class_and_count_for_the_area():
    scene = np.full((10, 10), IGNORED, dtype=np.uint8)
    scene[0, 0] = CAR
    assert present(scene) == ["car"]
    assert present(scene, min_share=0.011) == []


def test_the_corridor_is_the_trapezoid():
    inside = corridor(1000, 2000)
    area = (0.5 + 0.12) / 2 * 0.3  # of a trapezoid
    assert inside.mean() == pytest.approx(area, abs=1e-3)
    rows = np.flatnonzero(inside.any(axis=1))
    assert (rows[0], rows[-1]) == (500, 799)
    assert np.flatnonzero(inside[799])[[0, -1]].tolist() == pytest.approx([500, 1499], abs=2)
    assert np.flatnonzero(inside[500])[[0, -1]].tolist() == pytest.approx([880, 1119], abs=2)
    assert (inside != inside[:, ::-1]).mean() < 1e-3  # but for rounding at the edge


@pytest.mark.parametrize(
    ("cls", "share", "label"),
    [
        (CAR, 0.019, "safe"),
        (CAR, 0.021, "unsafe"),
        (PERSON, 0.0019, "safe"),
        (PERSON, 0.0021, "unsafe"),
        (RIDER, 0.0021, "unsafe"),
    ],
)
def test_the_rule_has_its_thresholds(cls, share, label):
    scene = street()
    places = np.flatnonzero(corridor(*scene.shape))
    scene.ravel()[places[: round(share * len(places))]] = cls
    assert corridor_safety(scene) == label


def test_shares_are_of_what_is_evaluated():
    scene = street()
    places = np.flatnonzero(corridor(*scene.shape))
    scene.ravel()[places[len(places) // 4 :]] = IGNORED
    scene.ravel()[places[: round(0.006 * len(places))]] = CAR  # 2.4 % of the quarter that is left
    assert corridor_safety(scene) == "unsafe"
    scene.ravel()[places] = IGNORED
    assert corridor_safety(scene) is None


def test_cars_beside_the_corridor_are_safe():
    scene = street()
    scene[~corridor(*scene.shape)] = CAR
    assert corridor_safety(scene) == "safe"
