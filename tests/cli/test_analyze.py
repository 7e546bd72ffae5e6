"""``vlm_eval analyze``: what it prints and writes, and how it answers mistakes."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.cli.analyze import options_of
from vlm_eval.cli.findings import print_findings
from vlm_eval.cli.main import main
from vlm_eval.core.errors import UsageError
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.stats.results import Estimate

HOSTILE = "\x1b[2J\u202e[bold red]x[/]\n</svg>"


@pytest.fixture
def run(write, folder, plugin) -> Path:
    plugin("vlm_eval.analyses", counting="toy_analysis:Counting")
    write()
    vlm_eval.evaluate("mock", "toy", include_path=[folder], output_path="run", progress=False)
    return Path("run")


def test_it_prints_and_keeps_table_facts_and_figure(run, capsys) -> None:
    assert main(["analyze", "counting", "run", "--options", "times=2"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "counting of mock on toy" in lines
    assert "Trials by blur" in lines
    row = next(line for line in lines if line.startswith("5 "))
    count = vlm_eval.score(run).tasks[0].counts.trials
    found = Findings.from_json(
        json.loads((run / "analysis" / "counting-toy" / "findings.json").read_text()), ""
    )
    assert sum(e.value or 0 for e in found.estimates) == 2 * count
    assert f"{found.of('count', blur=5)[0].value:g} [" in row
    assert "base: 0" in lines
    assert lines[-1] == "kept in run/analysis/counting-toy: findings.json, figure.svg"
    assert ET.parse(run / "analysis" / "counting-toy" / "figure.svg").getroot().tag.endswith("svg")


def test_quiet_prints_nothing_and_still_draws(run, capsys) -> None:
    assert main(["analyze", "counting", "run", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert (run / "analysis" / "counting-toy" / "figure.svg").is_file()


def test_full_prints_every_estimate_with_its_method(run, capsys) -> None:
    assert main(["analyze", "counting", "run", "--full"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^count, blur \d \(trials\).*student_t$", out, re.MULTILINE)) == 2


def test_a_model_is_evaluated_first_if_asked(write, folder, plugin, capsys) -> None:
    plugin("vlm_eval.analyses", counting="toy_analysis:Counting")
    write()
    command = ["analyze", "counting", "new", "--model", "mock", "--task", "toy"]
    command += ["--include_path", str(folder)]
    assert main([*command, "--quiet"]) == 0
    assert (folder / "new" / "analysis" / "counting-toy" / "findings.json").is_file()
    assert main(["analyze", "counting", "--model", "mock"]) == 2
    assert "give --task NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["countin", "run"], "unknown analysis 'countin'; did you mean counting"),
        (["counting", "nowhere"], "nowhere/run.json: no such file; is this a run folder?"),
        (["counting"], "which run?"),
        (["counting", "run", "--task", "tois"], "has no task 'tois'; known: toy"),
        (["counting", "run", "--options", "tims=2"], "no option 'tims'; did you mean times"),
        (["counting", "run", "--options", "times=many"], "option 'times'"),
        (["counting", "run", "--options", "times=1,times=2"], "given twice"),
        (["counting", "run", "--base", "nowhere"], "nowhere/run.json: no such file"),
        (["counting", "run", "--limit", "3"], "--limit is about a new run"),
        (["counting", "run", "--options", "device=cuda"], "write --device"),
        (["attack", "run", "--options", "modes=[]"], "analysis attack: modes must be distinct"),
        (["coherence", "run", "--options", "cutoffs=[0.5,0.1]"], "cutoffs must rise"),
        (["probe", "run"], "capture: {sites:"),
        (["attack", "run"], "does not show its inside"),
        (["spectrum", "run", "--options", "factor=blurr"], "blurr"),
        (["spectrum", "run", "--options", "factr=blur"], "did you mean factor"),
    ],
)
def test_mistakes_are_one_line_and_status_two(run, capsys, arguments, why) -> None:
    assert main(["analyze", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("vlm_eval: error: ")
    assert captured.err.count("\n") == 1
    assert why in captured.err
    assert not list(Path().glob("run/analysis/*/findings.json"))


def test_spectrum_runs_on_any_task_that_perturbs_images(run, capsys) -> None:
    assert main(["analyze", "spectrum", "run", "--options", "factor=blur"]) == 0
    assert "spectrum of mock on toy" in capsys.readouterr().out


def test_options_may_be_lists_and_mappings() -> None:
    text = 'modes=[low, high],families={a: [x, "y*"], b: z},samples=none,steps=5,literal'
    assert options_of(text) == {
        "modes": ["low", "high"], "families": {"a": ["x", "y*"], "b": "z"}, "samples": None,
        "steps": "5", "literal": "true",
    }  # fmt: skip
    assert options_of(None) == options_of("") == {}
    for wrong in ("=3", "a=1,a=2", "a=[1", "a={b: }}"):
        with pytest.raises(UsageError):
            options_of(wrong)


def estimate(name: str, value: float | None, low: float | None = None, **more: object) -> Estimate:
    where = more.pop("where", {})
    high = None if low is None or value is None else 2 * value - low
    return Estimate(name, where, value, None, low, high, 40, 7, "student_t", **more)  # type: ignore[arg-type]


def printed(found: Findings, **options: bool) -> list[str]:
    file = io.StringIO()
    print_findings(found, Path("runs/x"), file=file, **options)
    return file.getvalue().splitlines()


def made(*estimates: Estimate, **more: object) -> Findings:
    given = {"analysis": "probe", "task": "toy", "model": "m", "options": {}, **more}
    return Findings(estimates=estimates, **given)  # type: ignore[arg-type]


def test_many_curves_are_folded_into_tables_that_fit() -> None:
    estimates = [
        estimate("accuracy", 0.5, 0.4, where={"layer": layer, "probe": f"a probe of name {probe}"})
        for layer in range(3)
        for probe in range(9)
    ]
    panel = Panel(title="T", axis="layer", names=("accuracy",), marks={"half": 1.5})
    lines = printed(made(*estimates, panels=(panel,)))
    assert max(map(len, lines)) <= 100
    assert sum(line.count("50.0 [40.0, 60.0]") for line in lines) == 27
    assert sum(line.startswith("layer") for line in lines) > 1
    assert "in %, with 95 % intervals; n 40 in 7 clusters; half at layer 1.5" in lines


def test_unknown_is_a_dash_and_signs_and_units_are_shown() -> None:
    panel = Panel(title="T", axis="at", names=("gap",))
    lines = printed(
        made(
            estimate("gap", None, where={"at": 1}, signed=True, unit="nats"),
            estimate("gap", 0.125, -0.5, where={"at": 2}, signed=True, unit="nats"),
            estimate("gap", 0.0, where={"at": 3}, signed=True, unit="nats"),
            estimate("alone", 0.25),
            panels=(panel,),
        )
    )
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line[:1] in set("123")}
    assert rows == {"1": "-", "2": "+0.125 [-0.5, +0.75]", "3": "0"}
    assert any(re.fullmatch(r"alone \(%\) +25\.0 +- +40 +7 +student_t", line) for line in lines)


def test_what_no_panel_shows_is_cut_unless_all_is_asked() -> None:
    found = made(*(estimate(f"e{i}", 0.5) for i in range(30)))
    assert "18 more numbers: --full, or findings.json" in printed(found)
    assert sum(line.startswith("e") for line in printed(found, full=True)) == 31  # with the head


def test_synthetic_data_and_notes_stand_out() -> None:
    notes = ("beware " * 40,)
    lines = printed(made(estimate("a", 0.5), synthetic=True, notice="drawn", notes=notes))
    assert lines[2:4] == ["SYNTHETIC DATA: not a benchmark result", "drawn"]
    assert any(line.startswith("* beware") for line in lines)
    assert max(map(len, lines)) <= 100


def test_hostile_words_cannot_act_on_the_terminal() -> None:
    where = {HOSTILE: HOSTILE, "at": HOSTILE}
    found = made(
        estimate(HOSTILE, 0.5, 0.4, where=where, unit=HOSTILE), estimate("b" + HOSTILE, 0.1),
        panels=(Panel(title=HOSTILE, axis="at", names=(HOSTILE,), marks={HOSTILE: 1.0}),),
        facts={HOSTILE: HOSTILE}, notes=(HOSTILE,), notice=HOSTILE, analysis="a" + HOSTILE,
        model=HOSTILE, task=HOSTILE,
    )  # fmt: skip
    text = "\n".join(printed(found, full=True))
    assert not set(text) & {"\x1b", "\u202e"}
    assert "[bold red]" in text
