"""MME's scores: two questions a picture, categories of one topic weighing the same."""

from __future__ import annotations

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.metrics.pair_scores import PairScores
from vlm_eval.metrics.table import Table, TableRow


def table(pairs, factors=None):
    """Pairs of (topic, category, right answers of both questions, more fields)."""
    rows = []
    for number, (topic, category, right, *more) in enumerate(pairs):
        levels = more[0] if more else {}
        fields = {"topic": topic, "category": category, "group": f"{number}.png"}
        rows += [
            TableRow(
                sample_id=f"{number}-{i}", cluster=f"image {number}", condition=levels,
                fields=fields, gold="Yes", answer="Yes",
                scores={} if one is None else {"accuracy": float(one)}, failed=one is None,
            )
            for i, one in enumerate(right)
        ]  # fmt: skip
    return Table("demo", factors or {}, tuple(rows), 0.5)


def values(found):
    return {(e.name, *e.where.values()): e.value for e in found}


# existence: acc 3/4, acc+ 1/2; OCR: acc 1, acc+ 1; code: acc 1/2, acc+ 0
PAIRS = [
    ("perception", "existence", (1, 1)),
    ("perception", "existence", (1, 0)),
    ("perception", "OCR", (1, 1)),
    ("cognition", "code_reasoning", (0, 1)),
]


def test_the_scores_are_those_of_lmms_eval():
    found = PairScores()(table(PAIRS))
    assert values(found) == {
        ("acc", "perception"): pytest.approx(7 / 8),
        ("acc_plus", "perception"): pytest.approx(3 / 4),
        ("score", "perception"): pytest.approx(75 + 50 + 100 + 100),
        ("acc", "cognition"): 0.5,
        ("acc_plus", "cognition"): 0.0,
        ("score", "cognition"): 50.0,
    }
    by_name = {(e.name, e.where["topic"]): e for e in found}
    score = by_name["score", "perception"]
    assert (score.unit, score.n, score.clusters) == ("points", 6, 3)
    assert by_name["acc", "perception"].chance == 0.5
    assert by_name["acc_plus", "perception"].chance is None


def test_what_is_not_whole_does_not_enter():
    cut = [*PAIRS, ("perception", "OCR", (0,)), ("perception", "existence", (None, 0))]
    assert values(PairScores()(table(cut))) == values(PairScores()(table(PAIRS)))


def test_a_topic_without_a_whole_pair_is_unknown():
    found = values(PairScores()(table([*PAIRS[:3], ("cognition", "code_reasoning", (None, 1))])))
    assert found["score", "cognition"] is None
    assert found["score", "perception"] == 325


def test_levels_are_never_pooled():
    factors = {"blur": (1, 5)}
    pairs = [("perception", "OCR", (blur == 1, 1), {"blur": blur}) for blur in (1, 5)]
    found = {(e.name, e.where["blur"]): e.value for e in PairScores()(table(pairs, factors))}
    assert (found["score", 1], found["score", 5]) == (200, 50)


def test_the_interval_is_by_picture_and_its_categories_stay():
    pairs = [
        ("perception", category, (1, (number * 7) % 3 > 0))
        for category in ("OCR", "count")
        for number in range(40)
    ]
    [acc, plus, score] = PairScores()(table(pairs))
    assert {e.method for e in (acc, plus, score)} == {"cluster_bootstrap"}
    for e in (acc, plus, score):
        assert e.low < e.value < e.high
        assert e.clusters == 80
    assert score.value == pytest.approx(200 * (acc.value + plus.value))
    # One in three pairs is half right: sd of the pair's points about 71, of the sum of two means
    # of 40 about 16.
    assert score.se == pytest.approx(2**0.5 * 150 * (2 / 9) ** 0.5 / 40**0.5, rel=0.1)


def test_an_empty_table_gives_unknown_values_and_wrong_fields_are_named():
    found = PairScores()(table([]))
    assert [(e.name, e.value, e.n) for e in found] == [
        ("acc", None, 0), ("acc_plus", None, 0), ("score", None, 0),
    ]  # fmt: skip
    with pytest.raises(TaskError, match="'pair'"):
        PairScores(pair="pair")(table(PAIRS))
