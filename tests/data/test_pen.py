import numpy as np
import pytest

from vlm_eval.data.pen import Frame, Pen, shade


def test_a_stroke_marks_image_and_labels_alike():
    pen = Pen(40, (255, 255, 255), 1)
    pen.box(0.25, 0.25, 0.75, 0.75, (0, 0, 0), 9)
    dark = np.asarray(pen.image).sum(-1) == 0
    assert np.array_equal(dark, np.asarray(pen.labels) == 9)
    assert dark.sum() == 21 * 21


def test_a_stroke_without_a_label_leaves_the_label_map_alone():
    pen = Pen(20, (255, 255, 255), 3)
    pen.disc(0.5, 0.5, 0.3, (0, 0, 0))
    assert set(np.unique(np.asarray(pen.labels))) == {3}


def test_the_frame_scales_about_the_middle_of_the_base():
    frame = Frame(x=0.2, y=0.9, scale=0.5)
    assert frame.place((0.5, 1.0)) == (0.2, 0.9)
    assert frame.place((1.0, 0.0)) == pytest.approx((0.45, 0.4))


def test_a_mirrored_frame_exchanges_left_and_right():
    plain, mirrored = Frame(x=0.4), Frame(x=0.4, mirror=True)
    x, y = plain.place((0.9, 0.3))
    assert mirrored.place((0.1, 0.3)) == pytest.approx((x, y))


def test_mirrored_boxes_still_have_ordered_corners():
    pen = Pen(30, (255, 255, 255))
    pen.frame = Frame(mirror=True)
    pen.box(0.0, 0.0, 0.5, 1.0, (0, 0, 0), 7)
    columns = np.asarray(pen.labels).max(0) == 7
    assert not columns[:14].any()
    assert columns[16:].all()


def test_shade_stays_within_its_bound_and_in_range():
    rng = np.random.default_rng(0)
    drawn = np.array([shade(rng, (2, 128, 253), 5) for _ in range(200)])
    assert drawn.min() >= 0
    assert drawn.max() <= 255
    assert np.abs(drawn - [2, 128, 253]).max() <= 5
    assert len(np.unique(drawn[:, 1])) > 5
