"""The table on the terminal: readable in 100 columns, and honest about what is not known."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from vlm_eval.cli.tables import coarse, leading, percent_of, print_results
from vlm_eval.runner.results import Counts, GroupResult, Results, TaskResult
from vlm_eval.stats.results import Comparison, Estimate


def estimate(name: str = "accuracy", value: float | None = 0.5, **where: str) -> Estimate:
    known = value is not None
    return Estimate(
        name=name, where=where, value=value, se=0.01 if known else None,
        low=value - 0.02 if known else None, high=value + 0.02 if known else None,
        n=4800, clusters=1200, method="student_t",
    )  # fmt: skip


def comparison(
    level: str = "inverse", difference: float | None = -0.661, **where: str
) -> Comparison:
    return Comparison(
        name="accuracy", factor="rule", baseline="standard", level=level, where=where,
        n_pairs=4800, n_clusters=1200, dropped={"failed": 0}, baseline_value=0.952,
        baseline_se=0.01, level_value=0.291, level_se=0.01, difference=difference, se=0.01,
        low=-0.68, high=-0.642, method="student_t", p=0.00001, p_method="sign_flip",
        p_adjusted=0.00003, family=3, right_to_wrong=3204, wrong_to_right=31, flip_rate=0.674,
        answer_change_rate=0.7, kappa=None, retained=None, retained_low=None, retained_high=None,
        parse_failures_baseline=0, parse_failures_level=0, bound_low=-0.7, bound_high=-0.6,
        mde=0.02,
    )  # fmt: skip


COUNTS = Counts(
    trials=9600, asked=9600, answered=9600, failed=0, missing=0, unparsed=0,
    rules={"argmax": 9600}, literal_rules={}, failures={}, samples=1200, clusters=1200,
)  # fmt: skip


def shown(*, full: bool = False, model: str = "tiny", **changes: object) -> str:
    task = TaskResult(
        task="fix", version="1.0.0", title="A title", synthetic=False, notice=None, counts=COUNTS,
        seconds=1.0, estimates=(estimate(),), comparisons=(comparison(),),
    )  # fmt: skip
    results = Results(
        model=model, folder=Path("x"), tasks=(replace(task, **changes),),
        run={"tasks": {"fix": {"factors": {"rule": ["standard", "inverse"]}}}}, records={},
        torn=0, finished="",
    )  # fmt: skip
    file = io.StringIO()
    print_results(results, file=file, full=full)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    return text


def line(text: str, start: str) -> list[str]:
    (found,) = [row for row in text.splitlines() if row.startswith(start)]
    return found.split()


def test_a_comparison_is_one_row_with_all_that_it_needs() -> None:
    text = shown()
    assert "accuracy: rule against standard, paired by sample" in text
    assert line(text, "inverse") == [
        "inverse", "95.2", "29.1", "-66.1", "[-68.0,", "-64.2]", "3,204", "31", "67.4", "<0.0001",
        "4,800", "1,200",
    ]  # fmt: skip


def test_what_is_unknown_is_a_dash_and_never_zero() -> None:
    unknown = replace(
        comparison(), difference=None, low=None, high=None, p_adjusted=None, flip_rate=None,
        right_to_wrong=None, wrong_to_right=None, level_value=None,
    )  # fmt: skip
    text = shown(estimates=(estimate(value=None),), comparisons=(unknown,))
    assert line(text, "accuracy ") == ["accuracy", "-", "-", "4,800", "1,200"]
    assert line(text, "inverse") == [
        "inverse", "95.2", "-", "-", "-", "-", "-", "-", "-", "4,800", "1,200"
    ]  # fmt: skip


def test_signs_and_zeros() -> None:
    text = shown(
        estimates=(
            replace(estimate("gap", 0.0501), signed=True),
            replace(estimate("bias", -0.00001), signed=True),
        ),
        comparisons=(),
    )
    assert line(text, "gap")[1:4] == ["+5.0", "[+3.0,", "+7.0]"]
    assert line(text, "bias")[1] == "0.0"


def test_rows_of_one_name_stand_together_with_their_slices_indented() -> None:
    text = shown(
        estimates=(
            estimate("accuracy"), estimate("gap"), estimate("accuracy", game="chess"),
            estimate("gap", game="chess"),
        ),
        comparisons=(comparison("a"), comparison("b"), comparison("a", game="chess")),
    )  # fmt: skip
    rows = [row.strip().split("  ")[0] for row in text.splitlines()]
    names = [row for row in rows if row in {"accuracy", "gap", "a", "b", "game=chess"}]
    assert names == ["accuracy", "game=chess", "gap", "game=chess", "a", "game=chess", "b"]


def test_warnings_are_above_the_numbers() -> None:
    counts = replace(
        COUNTS, failed=12, missing=7, unparsed=3, answered=9581, failures={"oom": 10, "image": 2}
    )
    text = shown(synthetic=True, notice="drawn pairs, not the benchmark", counts=counts)
    head = text[: text.index("score, %")]
    assert "SYNTHETIC DATA: not a benchmark result" in head
    assert "drawn pairs, not the benchmark" in head
    assert "UNFINISHED: 7 of 9,600 trials are missing" in head
    assert "10 oom, 2 image" in head
    assert "3 unparsed or tied answers (0.031 %) count as wrong" in head
    assert "SYNTHETIC" not in shown()
    tied = shown(counts=replace(COUNTS, rules={"argmax": 9598, "tie_first": 2}))
    assert "2 ties: the first of the tied options counts as the answer" in tied


@pytest.mark.parametrize(("value", "warned"), [(0.25, True), (0.0, False)])
def test_images_that_change_their_size_are_a_warning(value, warned) -> None:
    text = shown(estimates=(estimate(), estimate("image_tokens_changed", value)))
    assert ("image_tokens_changed: levels differ in more than content" in text) == warned


def test_dropped_pairs_and_bounds_of_unparsed_answers_are_notes() -> None:
    found = replace(
        comparison(), dropped={"failed": 2, "level_missing": 0}, parse_failures_baseline=1,
        parse_failures_level=5,
    )  # fmt: skip
    text = shown(comparisons=(found,))
    assert "inverse: pairs dropped: 2 failed" in text
    assert (
        "unparsed 1 at the baseline, 5 here; whatever they meant, it is in [-70.0, -60.0]" in text
    )


def test_too_fine_breakdowns_are_named_and_shown_on_demand() -> None:
    many = tuple(estimate(game=f"g{i}") for i in range(50))
    text = shown(estimates=(estimate(), *many))
    assert "game=g49" not in text
    assert "50 more numbers: --full, or results.json" in text
    text = shown(estimates=(estimate(), *many), full=True)
    assert "game=g49" in text
    assert "more numbers" not in text


def test_coarse_keeps_whole_levels() -> None:
    ones = [estimate(game=f"g{i}") for i in range(39)]
    twos = [estimate(game="g", side=f"s{i}") for i in range(3)]
    assert coarse([estimate(), *ones, *twos], (), 40) == (estimate(), *ones)
    assert coarse([*ones, *ones], (), 40) == (*ones, *ones)  # nothing coarser is there
    assert coarse([], (), 40) == ()


def test_scores_are_shown_whole_as_far_as_they_fit() -> None:
    scores = [estimate(name, level=f"l{i}") for i in range(3) for name in ("HR", "COR", "SMR")]
    assert {e.name for e in leading(scores, 8)} == {"HR", "COR"}
    assert len(leading(scores, 8)) == 6
    assert {e.name for e in leading(scores, 2)} == {"HR"}
    assert leading([], 2) == ()


def test_factors_are_coarser_than_fields() -> None:
    cells = [estimate(rule=r, target=t) for r in "si" for t in "wl"]
    games = [estimate(game=f"g{i}") for i in range(4)]
    assert coarse([estimate(), *games, *cells], ("rule", "target"), 6) == (estimate(), *cells)


def test_a_part_of_nothing_that_went_wrong_is_not_shown() -> None:
    none = replace(estimate(), name="parse_failures", value=0.0, lower_is_better=True)
    parts = [replace(none, where={"game": "quiet"}), replace(none, where={"game": "x"}, value=0.5)]
    text = shown(estimates=(none, *parts))
    assert "parse_failures" in text
    assert "game=x" in text
    assert "game=quiet" not in text


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\rb", "\x07", "\u202e", "\u2028", "x\ny"])
def test_no_text_can_act_on_the_terminal(evil: str) -> None:
    text = shown(
        model=f"m{evil}", title=f"t{evil}", notice=f"n{evil}",
        estimates=(estimate(f"e{evil}", game=f"g{evil}"),),
        comparisons=(replace(comparison(f"l{evil}"), dropped={f"d{evil}": 1}),),
        counts=replace(COUNTS, failed=1, failures={f"k{evil}": 1}),
    )  # fmt: skip
    assert evil not in text
    assert not {"\x1b", "\r", "\x07", "\u202e", "\u2028"} & set(text)


def test_brackets_are_no_markup() -> None:
    assert "[red]x[/red]" in shown(title="[red]x[/red]")


def test_percent_of_large_and_small() -> None:
    assert [percent_of(x) for x in (0, 1, 0.5, 0.0001)] == ["0.0 %", "100.0 %", "50.0 %", "0.01 %"]


def test_a_number_with_a_unit_is_no_percentage() -> None:
    margin = replace(estimate("margin", -0.963), signed=True, unit="nats")
    cells = line(shown(estimates=(margin,)), "margin")
    assert cells[:5] == ["margin", "(nats)", "-0.96", "[-0.98,", "-0.94]"]


@pytest.mark.parametrize("tasks", [1, 6])
def test_means_over_tasks_follow_the_tasks(tasks) -> None:
    task = TaskResult(
        task="fix", version="1.0.0", title="A title", synthetic=False, notice=None, counts=COUNTS,
        seconds=1.0, estimates=(estimate(),), comparisons=(),
    )  # fmt: skip
    names = [f"fix{i}" for i in range(tasks)]
    group = GroupResult(
        group="all-fixes", title="Fixes", tasks=tuple(names), synthetic=True,
        estimates=(estimate(value=0.125), estimate("C", None)),
    )  # fmt: skip
    results = Results(
        model="tiny", folder=Path("x"), tasks=tuple(replace(task, task=name) for name in names),
        run={"tasks": {name: {"factors": {}} for name in names}}, records={}, torn=0, finished="",
        groups=(group, replace(group, group="none", estimates=())),
    )  # fmt: skip
    file = io.StringIO()
    print_results(results, file=file)
    text = file.getvalue().partition("tiny on all-fixes  Fixes")[2]
    assert f"means of {tasks} tasks, each weighing the same: fix0" in text
    assert "SYNTHETIC DATA" in text
    assert re.search(r"accuracy +12.5 +\[10.5, 14.5\]", text)
    assert re.search(r"C +- +- ", text)
    assert "none in common" in text


def test_captured_states_are_counted_and_their_absence_is_told() -> None:
    assert "captured" not in shown()
    assert "0 unparsed, 12 captured" in shown(counts=replace(COUNTS, captured=12))
    why = "mock does not show its hidden states"
    assert f"no hidden states were captured: {why}" in shown(not_captured=why)
