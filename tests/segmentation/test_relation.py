from __future__ import annotations

import pytest

from vlm_eval.published import cityscapes
from vlm_eval.segmentation.relation import cautions, relate

CONDITIONS = cityscapes()["conditions"]


def series(values) -> dict[str, float]:
    return dict(zip(CONDITIONS, values, strict=True))


QUALITY = series(cityscapes()["table3_miou"]["Mask2Former"])
ERROR = series(cityscapes()["tables456_vlm"]["SigLIP"]["COR"])


def test_level_and_change_of_the_published_tables() -> None:
    level, change = relate("Mask2Former", QUALITY, "COR", ERROR, baseline="clean")
    assert (level.form, change.form) == ("level", "change")
    # The strongest association in the paper's tables, and not of the sign that its text claims.
    assert round(level.pearson.r or 0, 4) == 0.8934
    assert round(level.spearman.r or 0, 4) == 0.8484
    assert round(change.pearson.r or 0, 4) == -0.8685
    assert round(change.spearman.r or 0, 4) == -0.8121
    assert (level.pearson.n, change.pearson.n) == (10, 9)
    assert level.pearson.p is not None
    assert level.pearson.p < 0.01


def test_conditions_are_joined_by_name() -> None:
    expected = relate("M", QUALITY, "COR", ERROR, baseline="clean")
    turned = {name.lower(): ERROR[name] for name in reversed(CONDITIONS)}
    assert relate("M", QUALITY, "COR", turned, baseline=" Clean") == expected
    less = {name: value for name, value in ERROR.items() if name != "OCC3"}
    more = {**QUALITY, "fog": 0.1}
    level, change = relate("M", more, "COR", less, baseline="clean")
    assert (level.pearson.n, change.pearson.n) == (9, 8)


def test_unknown_values_leave_their_condition_out() -> None:
    level, change = relate("M", {**QUALITY, "LL1": None}, "COR", ERROR, baseline="clean")
    assert (level.pearson.n, change.pearson.n) == (9, 8)
    level, change = relate("M", {**QUALITY, "clean": None}, "COR", ERROR, baseline="clean")
    assert (level.pearson.n, change.pearson.n) == (9, 0)
    assert change.pearson.r is None
    without = {name: value for name, value in QUALITY.items() if name != "clean"}
    (level,) = relate("M", without, "COR", ERROR, baseline="clean")
    assert level.form == "level"


def test_cautions() -> None:
    relations = relate("M", QUALITY, "COR", ERROR, baseline="clean")
    lines = list(cautions(relations))
    assert lines[0] == "n = 10 is small: |r| must exceed 0.632 for p < .05"
    assert lines[1] == "n = 9 is small: |r| must exceed 0.666 for p < .05"
    assert "4 coefficients" in lines[2]
    constant = relate("M", QUALITY, "SMR", dict.fromkeys(CONDITIONS, 1.0), baseline="clean")
    (*_, last) = cautions([*relations, *constant])
    assert last == "no coefficient where a series is constant: SMR"
    two = relate("M", {"clean": 0.5, "LL1": 0.4}, "COR", ERROR, baseline="clean")
    assert list(cautions(two)) == [
        "n = 2 conditions: no correlation",
        "n = 1 conditions: no correlation",
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_moves_p_alone(seed: int) -> None:
    (level, _) = relate("M", QUALITY, "HR", ERROR, baseline="clean", seed=seed)
    (other, _) = relate("M", QUALITY, "HR", ERROR, baseline="clean")
    assert level.pearson.r == other.pearson.r
    assert level.pearson.p == pytest.approx(other.pearson.p, abs=1e-3)
