"""Numbers of the papers, as they are printed."""

from __future__ import annotations

import pytest

from vlm_eval.leaderboard.reported import WINNER_ONLY, reported
from vlm_eval.published import vlm_fix


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
    assert len({(o.task, o.model, o.name, str(o.where)) for o in reported()}) == len(reported())


def test_configurations_stand_with_the_tasks_that_ask_them() -> None:
    """Table 3 prints the mean over the 14 models that Tables 6 to 9 print game by game."""
    where = {"prompt_variant": "alias", "rule": "inverse"}
    means = [o for o in reported() if (o.task, dict(o.where)) == ("vlm-fix-prompts", where)]
    assert len(means) == 14
    assert sum(one.value for one in means) / 14 == pytest.approx(0.631, abs=5e-4)
    assert {one.table for one in means} == {"Tables 6 to 9"}
    assert all("mean of the four printed games" in one.note for one in means)
    (one,) = found("vlm-fix-prompts", "GPT-4.1", game="tictactoe", **where | {"rule": "standard"})
    assert (one.value, one.table) == (pytest.approx(0.88), "Table 6")
    (one,) = found("vlm-fix-renders", "GPT-4.1", game="tictactoe", render="glyph", rule="standard")
    assert one.value == pytest.approx(0.84)
    (one,) = found("vlm-fix-inverse", "Qwen2.5-VL-7B", order="text_first", rule="standard")
    assert (one.value, one.table) == (pytest.approx(0.65), "Table 16")
