from __future__ import annotations

import numpy as np
import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.segmentation.confusion import confusion, mean_iou, sufficient
from vlm_eval.segmentation.quality import DIFFERENCE, MIOU, RPC, Frame, Quality, summarise


def frame(number: int, wrong: float, cluster: str | None = None, classes: int = 4) -> Frame:
    """An image of random classes, a share of whose pixels is predicted at random."""
    draw = np.random.default_rng(number)
    truth = draw.integers(classes, size=(20, 20)).astype(np.uint8)
    guess = np.where(draw.random((20, 20)) < wrong, draw.integers(classes, size=(20, 20)), truth)
    name = f"town_{number:06d}_000019"
    return Frame(name, cluster or name, confusion(truth, guess.astype(np.uint8)))


def frames() -> dict:
    return {
        "clean": [frame(i, 0.1) for i in range(30)],
        "ll1": [frame(i, 0.3) for i in range(30)],
        "ll2": [frame(i, 0.3) for i in range(30)],
    }


def found(quality: Quality, name: str, level: str):
    (estimate,) = [
        e for e in quality.estimates if e.name == name and e.where == {"degradation": level}
    ]
    return estimate


def test_miou_is_over_one_matrix_and_differences_are_paired() -> None:
    data = frames()
    quality = summarise("net", "degradation", data, {"seed": 0})
    for level, images in data.items():
        estimate = found(quality, MIOU, level)
        expected = float(mean_iou(sufficient(sum(f.counts for f in images))))
        assert estimate.value == pytest.approx(expected)
        assert (estimate.n, estimate.clusters, estimate.method) == (30, 30, "cluster_bootstrap")
        assert estimate.low < expected < estimate.high
        assert not estimate.signed
    clean, worse = (found(quality, MIOU, level) for level in ("clean", "ll1"))
    change = found(quality, DIFFERENCE, "ll1")
    assert change.signed
    assert change.value == pytest.approx(worse.value - clean.value)
    assert change.low < change.value < change.high < 0
    assert [e.where for e in quality.estimates if e.name == DIFFERENCE] == [
        {"degradation": "ll1"},
        {"degradation": "ll2"},
    ]
    assert quality.values() == {
        level: found(quality, MIOU, level).value for level in ("clean", "ll1", "ll2")
    }


def test_relative_performance_is_the_mean_of_the_degraded_over_the_clean() -> None:
    data = {**frames(), "mb1": [], "ll3": [frame(i, 0.5) for i in range(20)]}

    def miou(level: str) -> float:
        return float(mean_iou(sufficient(sum(f.counts for f in data[level][:20]))))

    (kept,) = [e for e in summarise("net", "degradation", data, {}).estimates if e.name == RPC]
    expected = (miou("ll1") + miou("ll2") + miou("ll3")) / 3 / miou("clean")
    assert kept.value == pytest.approx(expected)
    assert (kept.where, kept.n, kept.clusters) == ({}, 20, 20)
    assert kept.low < kept.value < kept.high < 1
    same = {"clean": data["clean"], "ll1": data["clean"]}
    assert summarise("net", "degradation", same, {}).estimates[-1].value == 1
    alone = summarise("net", "degradation", {"clean": [], "ll1": data["ll1"]}, {})
    assert all(e.name != RPC for e in alone.estimates)


def test_a_level_equal_to_the_baseline_differs_by_exactly_nothing() -> None:
    images = [frame(i, 0.2) for i in range(10)]
    change = found(
        summarise("n", "degradation", {"clean": images, "re": images}, {}), DIFFERENCE, "re"
    )
    assert (change.value, change.low, change.high, change.se) == (0, 0, 0, 0)


def test_pairing_narrows_the_interval_of_the_difference() -> None:
    quality = summarise("net", "degradation", frames(), {})
    clean, worse = (found(quality, MIOU, level) for level in ("clean", "ll1"))
    change = found(quality, DIFFERENCE, "ll1")
    # The same images are hard on both sides here only in part; unpaired variances add up.
    assert change.se < 1.05 * np.hypot(clean.se, worse.se)


def test_order_does_not_matter_and_the_seed_does() -> None:
    data = frames()
    turned = {level: images[::-1] for level, images in data.items()}
    one = summarise("net", "degradation", data, {})
    assert summarise("net", "degradation", turned, {}) == one
    other = summarise("net", "degradation", data, {}, seed=1)
    assert other.values() == one.values()
    assert other.estimates[0].low != one.estimates[0].low


def test_clusters_are_drawn_whole() -> None:
    each = [frame(i, 0.05 + 0.9 * (i // 5) / 6) for i in range(30)]
    grouped = [Frame(f.name, f"scene {i // 5}", f.counts) for i, f in enumerate(each)]
    alone = found(summarise("n", "degradation", {"clean": each}, {}), MIOU, "clean")
    whole = found(summarise("n", "degradation", {"clean": grouped}, {}), MIOU, "clean")
    assert whole.value == pytest.approx(alone.value)
    assert (whole.n, whole.clusters) == (30, 6)
    assert whole.se > 1.5 * alone.se


def test_only_shared_images_are_compared() -> None:
    data = {"clean": [frame(1, 0.1), frame(2, 0.1)], "ll1": [frame(2, 0.5), frame(3, 0.5)]}
    change = found(summarise("n", "degradation", data, {}), DIFFERENCE, "ll1")
    assert (change.n, change.clusters) == (1, 1)
    single = [float(mean_iou(sufficient(frame(2, wrong).counts))) for wrong in (0.1, 0.5)]
    assert change.value == pytest.approx(single[1] - single[0])
    assert (change.low, change.high, change.method) == (None, None, "none")


def test_nothing_gives_none() -> None:
    quality = summarise("n", "degradation", {"clean": [], "ll1": [frame(1, 0.1)]}, {})
    empty = found(quality, MIOU, "clean")
    assert (empty.value, empty.low, empty.n, empty.method) == (None, None, 0, "none")
    assert found(quality, DIFFERENCE, "ll1").value is None
    assert summarise("n", "degradation", {}, {}).estimates == ()
    ignored = Frame("x", "x", confusion(np.full((2, 2), 255), np.zeros((2, 2), np.uint8)))
    only = summarise("n", "degradation", {"clean": [ignored, frame(2, 0, "y")]}, {})
    assert found(only, MIOU, "clean").value == 1.0
    assert (
        found(summarise("n", "degradation", {"clean": [ignored]}, {}), MIOU, "clean").value is None
    )


def test_class_iou() -> None:
    quality = summarise("n", "degradation", {"clean": [frame(1, 0.0)]}, {})
    assert quality.class_iou["clean"]["road"] == 1.0
    assert quality.class_iou["clean"]["bicycle"] is None


def test_a_frame_twice_is_refused() -> None:
    with pytest.raises(DataError, match="town_000001_000019 is there twice under ll1"):
        summarise("n", "degradation", {"clean": [], "ll1": [frame(1, 0.1), frame(1, 0.2)]}, {})
