import math
from dataclasses import replace

import pytest

from vlm_eval.data.cityscapes.labels import CLASSES, CRITICAL
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.metrics.top_k import TopK, top
from vlm_eval.stats.results import Comparison, Estimate

FACTORS = {"degradation": ("clean", "ll1"), "question": ("objects", "safety")}


def ranked(scene, *best, level="clean", failed=False):
    scores = {name: -float(i) for i, name in enumerate(CLASSES)}
    scores |= {name: 100.0 - i for i, name in enumerate(best)}
    return TableRow(
        sample_id=scene["id"],
        cluster=scene["id"],
        condition={"degradation": level, "question": "objects"},
        fields={"critical": list(CRITICAL["fig4_8"]), "safety": None, **scene},
        gold="road",
        answer=None if failed else best[0],
        scores={} if failed else {"accuracy": 0.0},
        failed=failed,
        choices=CLASSES,
        logprobs=None if failed else tuple(scores[name] for name in CLASSES),
    )


def values(found, level="clean"):
    return {
        e.name: e.value
        for e in found
        if isinstance(e, Estimate) and e.where == {"degradation": level}
    }


def table(*rows):
    return Table("demo", FACTORS, rows)


CROWDED = {"id": "1", "present": ["road", "car", "truck", "bus", "person", "bicycle", "motorcycle"]}
EMPTY = {"id": "2", "present": ["road", "sky"]}


def test_hr_and_cor_of_the_top_five():
    one = ranked(CROWDED, "road", "car", "person", "train", "sky")
    two = ranked(EMPTY, "road", "sky", "car", "bus", "truck")
    found = values(TopK()(table(one, two)))
    assert found["HR"] == pytest.approx((2 / 5 + 3 / 5) / 2)
    assert found["COR"] == 0.5
    assert found["COR_conditional"] == 1.0
    assert found["recall"] == pytest.approx(2 / 6)


def test_more_critical_classes_than_k_force_an_omission():
    best = ("car", "truck", "bus", "person", "bicycle", "motorcycle")
    found = values(TopK(also=(3, 10))(table(ranked(CROWDED, *best))))
    assert (found["COR"], found["COR_forced_rate"]) == (1.0, 1.0)
    assert (found["COR_10"], found["COR_forced_rate_10"]) == (0.0, 0.0)
    assert (found["COR_3"], found["HR_3"]) == (1.0, 0.0)


def test_few_classes_have_a_floor():
    found = values(TopK()(table(ranked(EMPTY, "road", "sky", "car", "bus", "truck"))))
    assert found["HR_floor"] == pytest.approx(3 / 5)
    assert found["HR"] == pytest.approx(found["HR_floor"])


def test_a_tie_across_the_last_place_is_no_ranking():
    row = ranked(EMPTY, "road")
    tied = replace(row, logprobs=(2.0, 1.0, 1.0, *[0.0] * 16))
    assert top(tied, 1) == {"road"}
    assert top(tied, 2) == {"road"}
    assert top(tied, 3) == {"road", "sidewalk", "building"}
    assert top(tied, 19) == set(CLASSES)
    constant = replace(row, logprobs=(0.5,) * 19)
    assert top(constant, 5) == frozenset()
    broken = replace(row, logprobs=(math.nan, *[0.0] * 18))
    assert top(broken, 5) == frozenset()


def test_person_and_rider_stand_for_each_other():
    scene = {"id": "1", "present": ["road", "rider"]}
    row = ranked(scene, "person", "road")
    assert values(TopK(k=2)(table(row)))["HR"] == 0.0
    assert values(TopK(k=2, strict=True)(table(row)))["HR_strict"] == pytest.approx(0.5)


def test_differences_and_failures():
    rows = [ranked({**EMPTY, "id": str(i)}, "road", "sky", "wall") for i in range(3)]
    rows += [
        ranked({**EMPTY, "id": str(i)}, "car", "bus", level="ll1", failed=i == 2) for i in range(3)
    ]
    found = TopK(k=2, compare=("HR",))(table(*rows))
    (change,) = [c for c in found if isinstance(c, Comparison)]
    assert (change.n_pairs, change.dropped["failed"]) == (2, 1)
    assert change.difference == pytest.approx(1.0)


def test_an_empty_table():
    found = TopK(compare=("HR", "COR", "SMR"))(table())
    assert all(e.value is None for e in found if isinstance(e, Estimate))
    assert {e.name for e in found} >= {"HR", "COR", "COR_forced_rate", "SMR"}
