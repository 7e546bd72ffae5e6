from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.segmentation.predictions import Predictions

A, B = "town_000000_000019", "town_000001_000019"
LEVELS = ("clean", "ll1", "ll2")


@pytest.fixture
def put(tmp_path: Path):
    def put(name: str, values: list[list[int]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(values, dtype=np.uint8)).save(path)
        return tmp_path

    return put


def test_label_ids_are_found_out_and_translated(put) -> None:
    put(f"clean/town/{A}_leftImg8bit.png", [[7, 8], [26, 33]])
    root = put(f"LL1/{A}.png", [[7, 0], [11, 1]])
    found = Predictions(root, LEVELS)
    assert found.levels == ("clean", "ll1")
    assert found.label_map(A, "clean").tolist() == [[0, 1], [13, 18]]
    # road, unlabeled, building, ego vehicle
    assert found.label_map(A, "ll1").tolist() == [[0, 255], [2, 255]]


def test_the_encoding_is_that_of_all_files(put) -> None:
    put(f"clean/{A}.png", [[7, 8]])  # could be either
    root = put(f"clean/{B}.png", [[7, 255]])  # is train ids
    assert Predictions(root, LEVELS).label_map(A, "clean").tolist() == [[7, 8]]


def test_what_could_be_either_is_refused_unless_it_is_said(put) -> None:
    root = put(f"clean/{A}.png", [[7, 8]])
    with pytest.raises(DataError, match="both may; say which: --encoding ids"):
        Predictions(root, LEVELS).label_map(A, "clean")
    assert Predictions(root, LEVELS, encoding="ids").label_map(A, "clean").tolist() == [[0, 1]]
    said = Predictions(root, LEVELS, encoding="train_ids")
    assert said.label_map(A, "clean").tolist() == [[7, 8]]


def test_a_wrong_encoding_is_refused(put) -> None:
    root = put(f"clean/{A}.png", [[26, 33]])
    with pytest.raises(DataError, match=f"{A}.png: values 26, 33 are no train_ids"):
        Predictions(root, LEVELS, encoding="train_ids").label_map(A, "clean")
    put(f"clean/{B}.png", [[255, 255]])
    with pytest.raises(DataError, match="no ids"):
        Predictions(root, LEVELS).label_map(B, "clean")


def test_a_missing_or_double_prediction_is_told(put) -> None:
    root = put(f"clean/{A}_a.png", [[26]])
    with pytest.raises(DataError, match=f"no prediction for {B}"):
        Predictions(root, LEVELS).label_map(B, "clean")
    put("clean/town_000000_0000190.png", [[27]])  # its name begins alike, but it is another
    assert Predictions(root, LEVELS).label_map(A, "clean").tolist() == [[13]]
    put(f"clean/deep/{A}_color.png", [[26]])
    with pytest.raises(DataError, match=f"2 predictions for {A}: {A}_.*.png, {A}_.*.png"):
        Predictions(root, LEVELS).label_map(A, "clean")


def test_folders_are_levels(put, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        Predictions(tmp_path / "no", LEVELS)
    with pytest.raises(DataError, match=r"named as a condition \(clean, ll1, ll2\)"):
        Predictions(tmp_path, LEVELS)
    with pytest.raises(DataError, match="did you mean clean"):
        Predictions(put(f"claen/{A}.png", [[26]]), LEVELS)
