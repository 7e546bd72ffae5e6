from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.segmentation.quality import Frame, summarise
from vlm_eval.segmentation.store import load_matrices, read_quality, save_matrices


def frame(name: str, seed: int) -> Frame:
    counts = np.random.default_rng(seed).integers(9, size=(19, 20))
    return Frame(name, f"cluster of {name}", counts)


FRAMES = {"clean": [frame("b", 1), frame("a", 2)], "ll1": [frame("a", 3)], "ll2": []}


def test_matrices_come_back(tmp_path: Path) -> None:
    path = tmp_path / "quality.npz"
    save_matrices(path, FRAMES)
    found = load_matrices(path)
    assert list(found) == ["clean", "ll1", "ll2"]
    assert [f.name for f in found["clean"]] == ["a", "b"]
    for level, images in FRAMES.items():
        for one, other in zip(sorted(images, key=lambda f: f.name), found[level], strict=True):
            assert (one.name, one.cluster) == (other.name, other.cluster)
            assert (one.counts == other.counts).all()
    assert [path.name for path in tmp_path.iterdir()] == ["quality.npz"]
    assert summarise("n", "d", found, {}) == summarise("n", "d", FRAMES, {})


def test_quality_comes_back(tmp_path: Path) -> None:
    quality = summarise("net", "degradation", FRAMES, {"seed": 3})
    path = tmp_path / "quality.json"
    path.write_text(json.dumps(quality.to_json()))
    assert read_quality(path) == [quality]


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("condition,miou\nclean,0.77\nll1,.73\nll2,\n")
    (quality,) = read_quality(path)
    assert quality.segmenter == "mine"
    assert quality.values() == {"clean": 0.77, "ll1": 0.73, "ll2": None}
    path.write_text("segmenter,condition,miou\nA,clean,0.5\nB,clean,0.6\nA,ll1,0.4\n")
    one, two = read_quality(path)
    assert (one.segmenter, one.values()) == ("A", {"clean": 0.5, "ll1": 0.4})
    assert (two.segmenter, two.values()) == ("B", {"clean": 0.6})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "condition,iou\nclean,1\n", "line 1: has no column miou"),
        ("a.csv", "condition,miou\nclean,77\n", "line 2: column miou: '77' is no share.*write 0"),
        ("a.csv", "condition,miou\nclean,x\n", "line 2: column miou: 'x' is no share"),
        ("a.csv", "condition,miou\nclean,nan\n", "'nan' is no share"),
        (
            "a.csv",
            "condition,miou\nclean,1\nclean,1\n",
            "line 3: the condition 'clean' is .* twice",
        ),
        ("a.csv", "condition,miou\n,1\n", "line 2: no condition"),
        ("a.csv", "condition,miou\n", "holds no rows"),
        ("a.csv", "", "has no column condition, miou"),
        ("a.json", "{", "cannot be read"),
        ("a.json", "[]", "no JSON object"),
        ("a.json", "{}", "no file of segmentation quality.*vlm_eval segment"),
    ],
)
def test_faults_are_told(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_quality(tmp_path / name)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    for name in ("no.csv", "no.json"):
        with pytest.raises(DataError, match="cannot be read"):
            read_quality(tmp_path / name)
    (tmp_path / "no.npz").write_bytes(b"PK\3\4no")
    with pytest.raises(DataError, match="holds no confusion matrices"):
        load_matrices(tmp_path / "no.npz")
