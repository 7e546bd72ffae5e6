"""Drift against control drift: by hand, the published cross-check, and drift that tells flips."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.representation import drift_of
from vlm_eval.metrics.representation_controls import control_drifts
from vlm_eval.metrics.representation_drift import Samples
from vlm_eval.metrics.table import METRICS, TableRow

LEVELS = ("clean", "shift_1", "shift_2", "turn_1")
FAMILIES = {"shift": "shift_*", "turn": "turn_1"}
SITE = {"site": "prompt_last"}


def measure(table, name="drift", **options):
    metric = build(METRICS, {"name": name, "families": FAMILIES, **options}, where=None)
    return metric(table)


def one(results, name, **where):
    (found,) = [e for e in results if e.name == name and e.where == {**SITE, **where}]
    return found


@pytest.fixture
def cloud(make_table, make_states):
    """Return 30 samples of 3 questions about 10 images, moved at random; some answers flip."""
    rng = np.random.default_rng(5)
    names = [(f"i{image}", f"q{q}") for image in range(10) for q in range(3)]
    samples = [{"id": f"{i}-{q}", "cluster": i, "question": q} for i, q in names]
    arrays, flips = {}, set()
    for sample in samples:
        clean = rng.normal(size=8)
        for level in LEVELS:
            size = {"clean": 0, "turn_1": 2}.get(level, 0.3) * rng.random()
            moved = clean + size * rng.normal(size=8)
            arrays[sample["id"], level] = {"prompt_last": moved[None].astype(np.float32)}
            if size + 0.5 * rng.normal() > 0.7 and level != "clean":
                flips.add((sample["id"], level))
    table = make_table(
        samples, {"perturbation": LEVELS},
        lambda t: "wrong" if (t["id"], t["perturbation"]) in flips else "right",
    )  # fmt: skip
    return replace(table, states=make_states(arrays)), arrays, flips


def drifts(cloud, levels, *, same=False):
    """Return the mean drift of each sample, as the definition says it."""
    table, arrays, flips = cloud
    found = {}
    for sample in dict.fromkeys(row.sample_id for row in table.rows):
        u = arrays[sample, "clean"]["prompt_last"][0].astype(float)
        values = []
        for level in levels:
            v = arrays[sample, level]["prompt_last"][0].astype(float)
            if not (same and (sample, level) in flips):
                values.append(1 - u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
        if values:
            found[sample] = float(np.mean(values))
    return np.array(list(found.values()))


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    ("place", "levels"),
    [({"family": "shift"}, LEVELS[1:3]), ({"family": "turn"}, LEVELS[3:]), ({}, LEVELS[1:])],
)
def test_means_and_spreads_are_over_samples(cloud, place, levels, same):
    found = measure(cloud[0])
    d = drifts(cloud, levels, same=same)
    at = {**place, **({"flipped": False} if same else {})}
    assert one(found, "drift", **at).value == pytest.approx(d.mean())
    assert one(found, "drift", **at).n == len(d)
    assert one(found, "drift_sd", **at).value == pytest.approx(d.std(ddof=1))
    for control in ("unrelated", "same_question_other_image"):
        mu = one(found, "control_drift", control=control).value
        sd = one(found, "control_drift_sd", control=control).value
        share = one(found, "drift_of_control", control=control, **at)
        spread = one(found, "drift_of_control_sd", control=control, **at)
        effect = one(found, "drift_effect", control=control, **at)
        assert share.value == pytest.approx((d / mu).mean())
        assert spread.value == pytest.approx((d / mu).std(ddof=1))
        pooled = ((len(d) - 1) * d.var(ddof=1) + 29 * sd**2) / (len(d) + 28)
        assert effect.value == pytest.approx((d.mean() - mu) / math.sqrt(pooled))
        for estimate in (share, spread, effect):
            assert estimate.low < estimate.value < estimate.high
            assert estimate.method == "cluster_bootstrap"
            assert (estimate.n, estimate.clusters == 10) == (len(d), len(d) == 30)
    assert one(found, "drift_effect", control="unrelated", family="shift").value < -3


def test_flipped_instances_are_left_out_of_the_same_answer_drift(cloud):
    found = measure(cloud[0])
    assert drifts(cloud, LEVELS[3:], same=True).size < 30
    every = one(found, "drift", family="turn").value
    assert one(found, "drift", family="turn", flipped=False).value < every


def row(name, cluster, question):
    return TableRow(name, cluster, {"perturbation": "clean"}, {"question": question}, "", "", {})


def test_a_control_is_the_mean_over_k_other_images():
    rng = np.random.default_rng(0)
    vectors = {f"s{i}": (row(f"s{i}", f"c{i // 2}", i % 3), rng.normal(size=4)) for i in range(12)}
    options = {"question": "question", "task": "t"}
    every = control_drifts(vectors, "unrelated", pairs=99, **options)
    mine = [drift_of(vectors["s0"][1], vectors[f"s{i}"][1]) for i in range(2, 12)]
    assert every["s0"] == pytest.approx(np.mean(mine))  # s1 shows the same image
    same = control_drifts(vectors, "same_question_other_image", pairs=99, **options)
    mine = [drift_of(vectors["s0"][1], vectors[f"s{i}"][1]) for i in (3, 6, 9)]
    assert same["s0"] == pytest.approx(np.mean(mine))
    few = control_drifts(vectors, "unrelated", pairs=5, **options)
    assert few != every
    subsets = dict(reversed(vectors.items()))
    assert control_drifts(subsets, "unrelated", pairs=5, **options) == few


def test_a_sample_without_a_partner_has_no_control():
    vectors = {
        "a": (row("a", "x", "one"), np.array([1.0, 0])),
        "b": (row("b", "y", "two"), np.array([0.0, 1])),
        "c": (row("c", "y", None), np.array([0.0, 1])),
        "d": (row("d", "x", None), np.array([0.0, 1])),
    }
    options = {"pairs": 5, "question": "question", "task": "t"}
    assert control_drifts(vectors, "same_question_other_image", **options) == {}
    assert control_drifts(vectors, "unrelated", **options)["a"] == 1
    assert control_drifts({"a": vectors["a"]}, "unrelated", **options) == {}


def test_without_equal_questions_the_second_control_is_unknown(cloud):
    table = cloud[0]
    alone = [replace(r, fields={"question": r.sample_id}) for r in table.rows]
    found = measure(replace(table, rows=tuple(alone)))
    place = {"control": "same_question_other_image"}
    assert one(found, "control_drift", **place).value is None
    assert one(found, "drift_of_control", **place).value is None
    assert one(found, "drift_effect", control="unrelated").value is not None
    with pytest.raises(TaskError, match="questoin"):
        measure(table, question="questoin")
    assert measure(table, question="questoin", controls=["unrelated"])


def test_the_published_numbers_come_out_of_vectors_built_to_them(make_table, make_states):
    """Translation 4.1 ± 14.8 % of μ = 0.228 and a control of sd 0.0722 give d = -3.88."""
    n, mu = 200, 0.228
    rng = np.random.default_rng(2)

    def exactly(mean, sd):
        raw = rng.gamma(0.5, size=n) if sd > mean else rng.normal(size=n)
        return (raw - raw.mean()) / raw.std(ddof=1) * sd + mean

    samples = [{"id": f"{i:03}", "question": "q"} for i in range(n)]
    table = make_table(samples, {"perturbation": ("clean", "shift_1", "overlay")}, lambda _: "x")
    wanted = {
        "shift_1": exactly(0.041 * mu, 0.148 * mu),
        "overlay": exactly(0.777 * mu, 0.886 * mu),
    }
    control = dict(zip((s["id"] for s in samples), exactly(mu, 0.0722), strict=True))
    sample = Samples({s["id"]: s["id"] for s in samples}, {"unrelated": control})
    series = [
        ({"family": level}, dict(zip(control, values, strict=True)))
        for level, values in wanted.items()
    ]
    found = {
        (e.name, e.where.get("family")): e.value for e in sample.spreads(series, {}, table.task)
    }
    assert found["control_drift_sd", None] == pytest.approx(0.0722)
    assert found["drift_of_control", "shift_1"] == pytest.approx(0.041)
    assert found["drift_of_control_sd", "shift_1"] == pytest.approx(0.148)
    assert found["drift_effect", "shift_1"] == pytest.approx(-3.88, abs=0.005)
    assert found["drift_of_control_sd", "overlay"] == pytest.approx(0.886)
    assert found["drift_effect", "overlay"] == pytest.approx(-0.335, abs=0.001)


# --- drift_flips


def test_drift_tells_flips_as_scikit_learn_says(cloud):
    table, arrays, flips = cloud
    found = measure(table, "drift_flips")
    for place, levels in (({"family": "shift"}, LEVELS[1:3]), ({}, LEVELS[1:])):
        scores, labels = [], []
        for sample, level in arrays:
            if level in levels:
                u, v = (arrays[sample, x]["prompt_last"][0] for x in ("clean", level))
                scores.append(drift_of(u, v))
                labels.append((sample, level) in flips)
        estimate = one(found, "drift_auroc", **place)
        assert estimate.value == pytest.approx(roc_auc_score(labels, scores))
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.clusters, estimate.chance) == (len(labels), 10, 0.5)
    assert one(found, "drift_auroc").value > 0.7


def test_no_flips_no_area_and_no_answer_no_flip(cloud):
    table = cloud[0]
    still = [replace(r, answer="right") for r in table.rows]
    assert (
        one(measure(replace(table, rows=tuple(still)), "drift_flips"), "drift_auroc").value is None
    )
    silent = [
        replace(r, answer=None) if r.condition["perturbation"] == "turn_1" else r
        for r in table.rows
    ]
    found = measure(replace(table, rows=tuple(silent)), "drift_flips")
    assert one(found, "drift_auroc").n == 60
    assert one(found, "drift_auroc", family="turn").n == 0
