import itertools

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.metrics.grouped import GroupedAccuracy
from vlm_eval.metrics.table import Table, TableRow


def table(rows, factors=None):
    """Rows of (cluster, fields, right); right None has failed."""
    made = [
        TableRow(
            sample_id=f"s{i}",
            cluster=cluster,
            condition={name: fields[name] for name in factors or {}},
            fields={k: v for k, v in fields.items() if k not in (factors or {})},
            gold="x",
            answer="x" if right else "y",
            scores={} if right is None else {"accuracy": float(right)},
            failed=right is None,
        )
        for i, (cluster, fields, right) in enumerate(rows)
    ]
    return Table("demo", factors or {}, tuple(made), 0.25)


def one(metric, made):
    (found,) = metric(made)
    return found


def test_all_of_a_pair_must_be_right():
    rows = [(f"i{i}", {"pair": i // 2}, right) for i, right in enumerate([1, 1, 1, 0, 0, 0])]
    found = one(GroupedAccuracy(group=("pair",), all_correct=True, label="pair"), table(rows))
    assert (found.name, found.value, found.n, found.clusters) == (
        "pair",
        pytest.approx(1 / 3),
        3,
        3,
    )
    assert found.chance is None


def test_naturalbench_scores():
    # group 0: q0 right on both images, q1 wrong on image 1; group 1: all right
    right = {(0, 0, 0): 1, (0, 0, 1): 1, (0, 1, 0): 1, (0, 1, 1): 0}
    rows = [
        (f"g{g}", {"group": g, "question": q, "image": i}, right.get((g, q, i), 1))
        for g, q, i in itertools.product(range(2), repeat=3)
    ]
    for fields, value in (
        (("group", "question"), 3 / 4),
        (("group", "image"), 3 / 4),
        (("group",), 1 / 2),
    ):
        assert one(GroupedAccuracy(group=fields, all_correct=True), table(rows)).value == value


def test_groups_that_share_an_image_are_one_cluster():
    # q0 asks of images a and b, q1 of b and c, q2 of d
    asked = [("a", 0), ("b", 0), ("b", 1), ("c", 1), ("d", 2)]
    rows = [(image, {"question": q}, 1) for image, q in asked]
    found = one(GroupedAccuracy(group=("question",), all_correct=True), table(rows))
    assert (found.value, found.n, found.clusters) == (1, 3, 2)


def test_failed_and_incomplete_groups():
    rows = [("a", {"g": 0}, 1), ("b", {"g": 0}, None), ("c", {"g": 1}, 1), ("d", {"g": 2}, 1),
            ("e", {"g": 2}, 1)]  # fmt: skip
    assert one(GroupedAccuracy(group=("g",), all_correct=True), table(rows)).n == 2
    assert one(GroupedAccuracy(group=("g",), all_correct=True, size=2), table(rows)).n == 1
    means = one(GroupedAccuracy(group=("g",)), table(rows))
    assert (means.value, means.n) == (1, 4)


def test_the_mean_of_category_means():
    rows = [(f"i{i}", {"category": "a"}, i < 1) for i in range(4)]
    rows += [(f"j{i}", {"category": "b"}, i < 3) for i in range(6)]
    found = one(GroupedAccuracy(group=("category",)), table(rows))
    assert found.value == pytest.approx((1 / 4 + 3 / 6) / 2)
    assert (found.method, found.clusters, found.chance) == ("mover", 10, 0.25)


def test_nested_means_are_cv_benchs():
    shares = {("2D", "ADE20K"): 1 / 2, ("2D", "COCO"): 3 / 4, ("3D", "Omni3D"): 1 / 4}
    rows = [
        (f"{source}{i}", {"type": kind, "source": source}, i < 4 * share)
        for (kind, source), share in shares.items()
        for i in range(4)
    ]
    nested = one(GroupedAccuracy(group=("type", "source"), nested=True), table(rows))
    assert nested.value == pytest.approx(((1 / 2 + 3 / 4) / 2 + 1 / 4) / 2)
    flat = one(GroupedAccuracy(group=("type", "source")), table(rows))
    assert flat.value == pytest.approx((1 / 2 + 3 / 4 + 1 / 4) / 3)


@pytest.mark.parametrize("nested", [False, True])
def test_groups_that_share_clusters_are_resampled_together(nested):
    """HR-Bench: each question comes in four cycles."""
    rows = [
        (f"q{q}", {"kind": "single" if q % 2 else "cross", "cycle": c}, (q + c * (q % 3)) % 2)
        for q in range(40)
        for c in range(4)
    ]
    made = table(rows)
    group = ("kind", "cycle") if nested else ("cycle",)
    found = one(GroupedAccuracy(group=group, nested=nested), made)
    plain = sum(row.scores["accuracy"] for row in made.rows) / 160
    assert found.value == pytest.approx(plain)  # balanced
    assert (found.method, found.clusters) == ("cluster_bootstrap", 40)
    assert found.low < found.value < found.high


def test_factors_are_not_pooled_unless_across():
    rows = [
        (f"i{pair}", {"pair": pair, "blur": blur, "side": side}, not (blur == 5 and side))
        for pair, blur, side in itertools.product(range(3), (1, 5), (0, 1))
    ]
    factors = {"blur": (1, 5), "side": (0, 1)}
    metric = GroupedAccuracy(group=("pair",), all_correct=True, across=("side",))
    found = {e.where["blur"]: e.value for e in metric(table(rows, factors))}
    assert found == {1: 1.0, 5: 0.0}


def test_an_empty_table_and_wrong_names():
    assert one(GroupedAccuracy(group=("g",)), Table("demo", {}, ())).value is None
    assert one(GroupedAccuracy(group=("g",), all_correct=True), Table("demo", {}, ())).value is None
    with pytest.raises(TaskError, match="did you mean pair"):
        GroupedAccuracy(group=("pairs",))(table([("a", {"pair": 1}, 1)]))
    with pytest.raises(TaskError, match="the factor 'side'"):
        GroupedAccuracy(group=("g",), across=("side",))(Table("demo", {}, ()))
    with pytest.raises(TaskError, match="needs fields"):
        GroupedAccuracy(group=())(Table("demo", {}, ()))
