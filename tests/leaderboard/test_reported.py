"""Numbers of the papers, as they are printed."""

from __future__ import annotations

from collections import Counter

import pytest

import vlm_eval
from vlm_eval.leaderboard.reported import WINNER_ONLY, reported
from vlm_eval.leaderboard.views import key_of
from vlm_eval.published import vlm_fix, vlm_fix_counts, vlm_fix_steering


def found(task, model, name="accuracy", **where):
    return [
        one
        for one in reported()
        if (one.task, one.model, one.name, dict(one.where)) == (task, model, name, where)
    ]


def test_the_printed_tables_are_whole() -> None:
    source, rows = vlm_fix()
    assert source == "arXiv:2604.12119"
    assert len(rows) == 2920
    assert all(0 <= row.value <= 100 for row in rows if row.metric in ("std", "inv", "acc"))
    assert {row.table_name for row in rows if row.table == "T2_direct_base"} == {"Table 2"}


def test_a_number_is_reported_once() -> None:
    assert len({(o.task, o.model, key_of(o.name, o.where)) for o in reported()}) == len(reported())


@pytest.mark.parametrize(
    ("model", "rule", "value"),
    [("Qwen2.5-VL-7B", "standard", 0.631), ("Qwen2.5-VL-7B", "inverse", 0.418)],
)
def test_table_2_of_vlm_fix(model, rule, value) -> None:
    (one,) = found("vlm-fix-inverse", model, rule=rule)
    assert one.value == pytest.approx(value)
    assert (one.source, one.table, one.note) == ("arXiv:2604.12119", "Table 2", "")


def test_the_mean_of_the_rules_says_that_it_is_one() -> None:
    (one,) = found("vlm-fix-inverse", "Qwen2.5-VL-7B")
    assert one.value == pytest.approx((0.631 + 0.418) / 2)
    assert "mean of the two printed rules" in one.note


def test_models_that_were_asked_less_are_noted() -> None:
    assert all(WINNER_ONLY in one.note for one in found("vlm-fix-inverse", "GPT-4.1"))
    (one,) = found("vlmbias", "GPT-4.1", config="base")
    assert one.value == pytest.approx(0.099)  # Table 18


def test_cityscapes_is_by_condition() -> None:
    (one,) = found("cityscapes-degraded", "CLIP", "HR", degradation="ll2")
    assert one.value == pytest.approx(0.23)
    (one,) = found("cityscapes-degraded", "Qwen2-VL", "safety_parse_success", degradation="clean")
    assert one.value == pytest.approx(0.04)  # Table 6


def test_configurations_stand_with_the_tasks_that_ask_them() -> None:
    """Table 3 prints the mean over the 14 models that Tables 6 to 9 print game by game."""
    where = {"prompt_variant": "alias", "rule": "inverse"}
    at = [o for o in reported() if (o.task, dict(o.where)) == ("vlm-fix-prompts", where)]
    (mean,) = [one for one in at if one.model == "mean of 14 models"]
    means = [one for one in at if one is not mean]
    assert len(means) == 14
    assert (mean.value, mean.table) == (pytest.approx(0.631), "Table 3")
    assert sum(one.value for one in means) / 14 == pytest.approx(mean.value, abs=5e-4)
    assert {one.table for one in means} == {"Tables 6 to 9"}
    assert all("mean of the four printed games" in one.note for one in means)
    (one,) = found("vlm-fix-prompts", "GPT-4.1", game="tictactoe", **where | {"rule": "standard"})
    assert (one.value, one.table) == (pytest.approx(0.88), "Table 6")
    (one,) = found("vlm-fix-renders", "GPT-4.1", game="tictactoe", render="glyph", rule="standard")
    assert one.value == pytest.approx(0.84)
    (one,) = found("vlm-fix-inverse", "Qwen2.5-VL-7B", order="text_first", rule="standard")
    assert (one.value, one.table) == (pytest.approx(0.65), "Table 16")


@pytest.mark.parametrize(
    ("task", "where", "value", "table"),
    [
        ("vlm-fix-inverse", {"game": "reversi", "rule": "inverse"}, 0.518, "Table 3"),
        ("vlm-fix-renders", {"render": "glyph", "rule": "inverse"}, 0.549, "Table 3"),
        ("vlm-fix-cot", {"prompt_variant": "alias", "rule": "inverse"}, 0.841, "Table 4"),
        ("vlm-fix-descriptive", {"rule": "standard"}, 0.710, "Table 4"),
        ("vlm-fix-text-only", {"rule": "inverse"}, 0.586, "Table 4"),
        ("vlmbias", {"config": "flip_alias"}, 0.207, "Table 5"),
        ("vlmbias", {"config": "base", "topic": "Animals"}, 0.036, "Table 5"),
    ],
)
def test_means_over_the_models(task, where, value, table) -> None:
    (one,) = found(task, "mean of 14 models", **where)
    assert (one.value, one.table) == (pytest.approx(value), table)


def test_averages_below_the_models_say_the_same_as_the_means() -> None:
    """Which is why only those are taken that Tables 3 to 5 do not print, of ten models."""
    rows = vlm_fix()[1]
    means = {
        (row.group, row.config.casefold().replace("-", "_"), row.metric): row.value
        for row in rows
        if row.model == "mean14"
    }
    below = [row for row in rows if row.model == "Average" and "order" not in row.table]
    assert len(below) == 150
    for row in below:
        config = f"cot ({row.config})" if row.table.endswith("_cot") else row.config
        if config not in ("cot (glyph)", "cot (checkerboard)"):
            printed = means[row.group, config, row.metric]
            assert row.value == pytest.approx(printed, abs=0.051), row
    of_ten = {one.table for one in reported() if one.model == "mean of 10 models"}
    assert of_ten == {"Table 16", "Table 17"}


@pytest.mark.parametrize(
    ("task", "model", "where", "value", "figure"),
    [
        ("vlm-fix-posttrain", "Qwen2.5-VL-7B", {"rule": "inverse"}, 0.442, 4),
        ("vlm-fix-posttrain", "Qwen2.5-VL-7B, SFT on D1", {"rule": "inverse"}, 0.106, 4),
        ("vlm-fix-posttrain", "Qwen2.5-VL-3B, RLVR on D2", {"rule": "standard"}, 0.448, 4),
        ("vlm-fix-posttrain", "InternVL3.5-4B, SFT on D2", {"rule": "inverse"}, 0.643, 11),
        (
            "vlm-fix-posttrain",
            "Molmo2-4B, SFT on D3",
            {"game": "connect4 and dots_boxes", "rule": "standard"},
            0.753,
            11,
        ),
        (
            "vlmbias",
            "Qwen2.5-VL-3B, SFT on drawn legs",
            {"config": "base", "topic": "Animals"},
            0.346,
            5,
        ),
        (
            "vlmbias-layers",
            "Qwen2.5-VL-7B, RLVR on drawn legs",
            {"altered": False, "picture": "shown", "topic": "Animals"},
            0.890,
            5,
        ),
        (
            "vlmbias-layers",
            "Molmo2-4B",
            {"altered": False, "picture": "shown", "topic": "Logos, Flags and Game Boards"},
            0.857,
            12,
        ),
    ],
)
def test_figures_of_post_trained_models_are_marked_as_digitised(
    task, model, where, value, figure
) -> None:
    (one,) = found(task, model, **where)
    assert (one.value, one.table) == (pytest.approx(value), f"Figure {figure} (digitised)")


def test_bars_that_are_left_out_are_drawn_elsewhere() -> None:
    """Bases are the same for D1 and D2, and those of Animals are in Table 19."""
    bars = {
        (row.model, row.group, row.metric): row.value
        for row in vlm_fix()[1]
        if row.table.startswith("Fig") and row.config == "base"
    }
    for (model, group, metric), value in bars.items():
        if group == "D2":
            assert value == bars[model, "D1", metric]
        elif group == "vlmbias_animals":
            (one,) = found("vlmbias", model, config="base", topic="Animals")
            assert (round(100 * one.value, 1), one.table) == (value, "Table 19")


def test_the_counts_of_the_released_code() -> None:
    sums = Counter[str]()
    for cell in vlm_fix_counts():
        assert cell.asked == 1200
        sums[cell.model] += cell.right
    # As that code sums them up over three prompts and two rules.
    assert sums == {"GPT-5.2": 5932, "Molmo2-4B": 3814, "Molmo2-8B": 4675, "Qwen3-VL-32B": 4915}
    slice_ = {"target": "winner", "order": "image_first"}
    (one,) = found("vlm-fix-prompts", "Molmo2-4B", prompt_variant="alias", rule="inverse", **slice_)
    assert (one.value, one.note) == (604 / 1200, "604 of 1,200")
    (one,) = found("vlm-fix-prompts", "GPT-5.2", prompt_variant="base", rule="inverse", **slice_)
    (printed,) = found("vlm-fix-inverse", "GPT-5.2", rule="inverse")  # of the same questions
    assert one.value == pytest.approx(printed.value, abs=5e-4)
    assert {o.model for o in reported() if "released code" in o.table} <= {
        row.model for row in vlm_fix()[1]
    }


def test_steering_curves() -> None:
    points = vlm_fix_steering()
    assert {point.task for point in points} == {"vlm_fix", "vlmbias_animals_2v3"}
    assert all(0 <= point.value <= 100 for point in points)
    task, model = "vlm-fix-steering", "Qwen2.5-VL-7B"
    (one,) = found(task, model, game="reversi")
    assert (one.value, one.table) == (pytest.approx(0.543), "App. D (digitised)")
    (one,) = found(task, model, "patched_accuracy", game="reversi", layer=23)
    assert one.value == pytest.approx(0.953)
    (one,) = found(task, model, "router_answer_accuracy", game="reversi", layer=23)
    assert one.value == pytest.approx(0.956)
    layers = {o.where["layer"] for o in reported() if o.task == task and "layer" in o.where}
    assert layers == set(range(17, 37))


UNMATCHED = {"connect4 and dots_boxes", "Logos, Flags and Game Boards"}
"""Means over some games or topics: listed, and to be read beside those."""


def test_what_is_reported_is_measured(tmp_path) -> None:
    """Each number has its estimate; the curves of steering are an analysis's findings."""
    tasks = sorted({one.task for one in reported()} - {"vlmbias-layers", "vlm-fix-steering"})
    synthetic = {"vlmbias": "embedded", "cityscapes-degraded": "embedded"}
    run = vlm_eval.evaluate(
        "mock", tasks, data=synthetic, limit=8, output_path=tmp_path / "run", progress=False
    )
    measured = {(task, key_of(e.name, e.where)) for task in tasks for e in run[task].estimates}
    for one in reported():
        if one.task in tasks and not UNMATCHED & set(one.where.values()):
            assert (one.task, key_of(one.name, one.where)) in measured, one
