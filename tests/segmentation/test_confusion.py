from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, jaccard_score

from vlm_eval.core.errors import DataError
from vlm_eval.segmentation.confusion import (
    CLASSES,
    class_iou,
    confusion,
    mean_iou,
    sufficient,
)

LABELS = st.sampled_from([*range(CLASSES), 255])


def maps(*values: int) -> st.SearchStrategy:
    return arrays(np.uint8, (4, 6), elements=st.sampled_from(values) if values else LABELS)


def miou(counts) -> float:
    return float(mean_iou(sufficient(counts)))


def test_a_case_by_hand() -> None:
    truth = np.array([[0, 0, 0, 1], [1, 1, 255, 255]], dtype=np.uint8)
    guess = np.array([[0, 0, 1, 1], [1, 255, 2, 0]], dtype=np.uint8)
    counts = confusion(truth, guess)
    assert counts.shape == (19, 20)
    assert counts.sum() == 6  # the two pixels of no true class are dropped
    assert (counts[0, 0], counts[0, 1], counts[1, 1], counts[1, 19]) == (2, 1, 2, 1)
    iou = class_iou(sufficient(counts))
    # 0: 2 hits, 1 missed. 1: 2 hits, 1 false, 1 missed as no class. 2 only where it is not
    # evaluated: it has no IoU. Predicted as no class where no class is asked for costs nothing.
    assert iou[:2] == pytest.approx([2 / 3, 2 / 4])
    assert np.isnan(iou[2:]).all()
    assert miou(counts) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_class_that_is_only_predicted_has_iou_zero() -> None:
    counts = confusion(np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 5]], np.uint8))
    assert miou(counts) == pytest.approx((3 / 4 + 0) / 2)


@given(maps(), maps(*range(CLASSES)))
def test_it_is_sklearns_confusion_matrix_and_jaccard_score(truth, guess) -> None:
    counts = confusion(truth, guess)
    seen = truth != 255
    if not seen.any():
        assert counts.sum() == 0
        assert np.isnan(miou(counts))
        return
    expected = confusion_matrix(truth[seen], guess[seen], labels=range(CLASSES))
    assert (counts[:, :CLASSES] == expected).all()
    present = np.union1d(truth[seen], guess[seen])
    jaccard = jaccard_score(truth[seen], guess[seen], labels=present, average="macro")
    assert miou(counts) == pytest.approx(jaccard)


@given(maps())
def test_a_perfect_prediction(truth) -> None:
    counts = confusion(truth, truth)
    assert np.isnan(miou(counts)) if (truth == 255).all() else miou(counts) == 1.0


def test_one_matrix_over_all_images_is_not_the_mean_over_images() -> None:
    large = confusion(np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8))
    small = confusion(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8))
    # over both: class 0 has 100 of 101, class 1 none of 1
    assert miou(large + small) == pytest.approx(100 / 101 / 2)
    assert miou(large + small) != pytest.approx((miou(large) + miou(small)) / 2)


@given(st.lists(st.tuples(maps(), maps()), min_size=1, max_size=4))
def test_sufficient_totals_add_up(pairs) -> None:
    counts = np.stack([confusion(*pair) for pair in pairs])
    assert (sufficient(counts).sum(0) == sufficient(counts.sum(0))).all()


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "here: the prediction is 2x3 pixels.* 3x2"),
        (np.full((1, 1), 19), np.zeros((1, 1)), "ground truth holds the value 19"),
        (np.zeros((1, 1)), np.full((1, 1), 33), "prediction holds the value 33.*train ids are"),
        (np.zeros((1, 1)), np.full((1, 1), -1), "prediction holds the value -1"),
    ],
)
def test_what_is_refused(truth, guess, message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion(truth.astype(np.int64), guess.astype(np.int64), where="here")
