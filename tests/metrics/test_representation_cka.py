"""CKA of clean and perturbed representations by family, with its null."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vlm_eval.core.options import build
from vlm_eval.metrics.table import METRICS
from vlm_eval.stats.cka import debiased_cka

LEVELS = ("clean", "turned", "noisy_1", "noisy_2", "other")
FAMILIES = {"turned": "turned", "noisy": "noisy_*", "other": "other"}


@pytest.fixture
def made(make_table, make_states):
    rng = np.random.default_rng(9)
    turn, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    samples = [{"id": f"{i:02}-{q}", "cluster": f"{i:02}"} for i in range(24) for q in "ab"]
    arrays = {}
    for sample in samples:
        clean = rng.normal(size=7)
        for level, vector in {
            "clean": clean, "turned": 3 * turn @ clean + 5,
            "noisy_1": clean + 0.5 * rng.normal(size=7), "noisy_2": clean + rng.normal(size=7),
            "other": rng.normal(size=7),
        }.items():  # fmt: skip
            arrays[sample["id"], level] = {"answer_mean": vector[None].astype(np.float32)}
    table = make_table(samples, {"perturbation": LEVELS}, lambda _: "right")
    return replace(table, states=make_states(arrays)), arrays


def measure(table, **options):
    spec = {"name": "cka", "families": FAMILIES, "site": "answer_mean", **options}
    return {(e.name, e.where.get("family")): e for e in build(METRICS, spec, where=None)(table)}


def cka(arrays, level, ids):
    x, y = (np.stack([arrays[i, at]["answer_mean"][0] for i in ids]) for at in ("clean", level))
    return debiased_cka(x, y)


def test_by_family_with_one_sample_of_each_image(made):
    table, arrays = made
    found = measure(table)
    ids = [f"{i:02}-a" for i in range(24)]
    assert found["cka", "turned"].value == pytest.approx(1, abs=1e-6)
    noisy = [cka(arrays, level, ids) for level in ("noisy_1", "noisy_2")]
    assert found["cka", "noisy"].value == pytest.approx(np.mean(noisy), abs=1e-6)
    assert found["cka", "other"].value == pytest.approx(cka(arrays, "other", ids), abs=1e-6)
    every = [cka(arrays, level, ids) for level in LEVELS[1:]]
    assert found["cka", None].value == pytest.approx(np.mean(every), abs=1e-6)
    assert (found["cka", "noisy"].n, found["cka", "noisy"].clusters) == (24, 24)
    assert found["cka", "noisy"].low < found["cka", "noisy"].value < found["cka", "noisy"].high


def test_the_null_tells_related_from_unrelated(made):
    found = measure(made[0])
    assert found["cka_p", "noisy"].value == 0.001
    assert found["cka_p", "turned"].value == 0.001
    assert found["cka_p", "other"].value > 0.02
    assert all(abs(found["cka_null", family].value) < 0.03 for family in FAMILIES)


def test_samples_that_lack_a_level_are_replaced_or_left_out(made):
    table, arrays = made
    lacking = {k: v for k, v in arrays.items() if k not in {("00-a", "noisy_2"), ("01-a", "other"),
                                                           ("01-b", "other")}}  # fmt: skip
    part = replace(table, states=replace(table.states, arrays=lacking))
    found = measure(part)
    ids = ["00-b", *(f"{i:02}-a" for i in range(1, 24))]
    noisy = [cka(arrays, level, ids) for level in ("noisy_1", "noisy_2")]
    assert found["cka", "noisy"].value == pytest.approx(np.mean(noisy), abs=1e-6)
    assert found["cka", "other"].n == 23


def test_at_most_so_many_samples(made):
    found = measure(made[0], most=10)
    assert found["cka", "noisy"].n == 10
    assert found["cka", "noisy"].value == measure(made[0], most=10)["cka", "noisy"].value


def test_alike_or_too_few_representations_have_none(made):
    table, arrays = made
    flat = {k: {"answer_mean": np.ones((1, 7), np.float32)} if k[1] == "other" else v
            for k, v in arrays.items()}  # fmt: skip
    found = measure(replace(table, states=replace(table.states, arrays=flat)))
    assert found["cka", "other"].value is None
    assert found["cka", None].value is None
    assert found["cka", "noisy"].value is not None
    few = [row for row in table.rows if row.cluster < "03"]
    assert measure(replace(table, rows=tuple(few)))["cka", "noisy"].value is None
