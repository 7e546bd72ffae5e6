"""``vlm_eval compare``: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil

import pytest

import vlm_eval
from vlm_eval.cli.main import main
from vlm_eval.runner.records import Record

TASK = "vlm-fix-inverse"
HOSTILE = "=HYPERLINK(1)|<script>alert(1)</script><!--\u202e\x1b[2J"


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "one"
    vlm_eval.evaluate("mock", TASK, limit=8, output_path=folder, progress=False)
    return folder


@pytest.fixture
def copy(one, tmp_path):
    """Return a function that copies the run, edits its run.json and some of its records."""

    def copy(edit=lambda _: None, change=lambda _, record: record, name="two"):
        target = tmp_path / name
        shutil.copytree(one, target)
        manifest = json.loads((target / "run.json").read_text())
        edit(manifest)
        (target / "run.json").write_text(json.dumps(manifest))
        path = target / "records" / "rank-000.jsonl"
        records = [Record.from_line(line) for line in path.open("rb")]
        changed = [change(i, record) for i, record in enumerate(records)]
        path.write_bytes(b"".join(record.to_line() for record in changed if record is not None))
        return target

    return copy


def flipped(record):
    """The record with its two options' log-likelihoods exchanged."""
    return dataclasses.replace(record, logprobs=record.logprobs[::-1])


def first_right(one):
    path = one / "records" / "rank-000.jsonl"
    records = [Record.from_line(line) for line in path.open("rb")]
    return next((i, r) for i, r in enumerate(records) if r.scores["accuracy"] == 1)


def test_two_runs_that_differ_by_one_flipped_answer_say_exactly_that(one, copy, capsys) -> None:
    place, record = first_right(one)
    two = copy(change=lambda i, r: flipped(r) if i == place else r)
    assert main(["compare", str(one), str(two)]) == 0
    out = capsys.readouterr().out
    assert "1 of 64 answers differs: 1 right in A and wrong in B, 0 wrong in A and right" in out
    other = next(c for c in record.choices if c != record.gold)
    assert f"{record.sample_id} [rule=" in out
    assert f"{record.gold} (right) -> {other} (wrong)" in out
    assert "more: --full" not in out
    found = vlm_eval.compare(one, two)[TASK]
    assert len(found.changes) == found.answers_changed == 1
    assert (found.overall.right_to_wrong, found.overall.wrong_to_right) == (1, 0)
    assert found.overall.difference == pytest.approx(-1 / 64)
    assert found.overall.p == 1.0
    touched = [part for part in found.parts if part.difference]
    assert len(touched) == 4  # a level of each of three factors, and one condition
    assert all(part.where.items() <= record.condition.items() for part in touched)


def test_a_run_against_itself_has_no_difference(one, copy, capsys) -> None:
    assert main(["compare", str(one), str(copy())]) == 0
    assert "All 64 answers are the same." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("field", "edit"),
    [
        ("task version", lambda m: m["tasks"][TASK].update(version="9.9.9")),
        ("seed", lambda m: m.update(seed=1)),
        ("data digest", lambda m: m["tasks"][TASK]["data"].update(digest="0")),
        (
            "transforms",
            lambda m: m["tasks"][TASK]["spec"]["image"].update(transform=[{"name": "identity"}]),
        ),
        ("prompt", lambda m: m["tasks"][TASK]["spec"]["prompt"].update(template="x")),
        ("gold", lambda m: m["tasks"][TASK]["spec"].update(gold="{{ p1 }}")),
        ("output", lambda m: m["tasks"][TASK]["spec"]["output"].update(kind="generate")),
        ("limit", lambda m: m.update(limit=4)),
    ],
)
def test_runs_that_were_declared_otherwise_are_refused_by_name(
    one, copy, capsys, field, edit
) -> None:
    assert main(["compare", str(one), str(copy(edit))]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"differ in {field}" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("field", ["prompt", "images", "choices", "gold", "request_hash"])
def test_trials_that_were_asked_otherwise_are_refused_by_name(one, copy, capsys, field) -> None:
    def change(i, record):
        if i != 7:
            return record
        value = getattr(record, field)
        other = tuple(f"x{v}" for v in value) if isinstance(value, tuple) else f"{value} "
        return dataclasses.replace(record, **{field: other})

    two = copy(change=change)
    assert main(["compare", str(one), str(two)]) == 2
    said = capsys.readouterr().err
    assert f"differ in {field}" in said
    assert "sample " in said


def test_other_limits_are_compared_on_shared_samples_only_when_asked(one, tmp_path, capsys) -> None:
    few = tmp_path / "few"
    vlm_eval.evaluate("mock:seed=2", TASK, limit=4, output_path=few, progress=False)
    assert main(["compare", str(one), str(few)]) == 2
    assert "--shared_samples" in capsys.readouterr().err
    assert main(["compare", str(one), str(few), "--shared-samples"]) == 0
    assert "limits differ (8 and 4): compared on the 4 samples" in " ".join(
        capsys.readouterr().out.split()
    )
    found = vlm_eval.compare(one, few, shared_samples=True)[TASK]
    assert found.overall.n_pairs == 32
    assert not any(found.overall.dropped.values())


def test_other_tasks_are_compared_only_when_asked(one, tmp_path, capsys) -> None:
    more = tmp_path / "more"
    vlm_eval.evaluate("mock", f"{TASK},mis", limit=8, output_path=more, progress=False)
    assert main(["compare", str(one), str(more)]) == 2
    assert "only one has mis" in capsys.readouterr().err
    assert main(["compare", str(one), str(more), "--shared_tasks"]) == 0
    assert "only one run has mis: not compared" in capsys.readouterr().out


def test_missing_and_failed_trials_are_dropped_and_counted(one, copy, capsys) -> None:
    failure = {"kind": "oom", "message": "", "attempts": 1}

    def change(i, record):
        if i == 0:
            return None
        if i == 1:
            return dataclasses.replace(record, outcome="failure", failure=failure, logprobs=None)
        return record

    two = copy(change=change)
    found = vlm_eval.compare(one, two)[TASK]
    assert found.overall.n_pairs == 62
    assert found.overall.dropped == {"baseline_missing": 0, "level_missing": 1, "failed": 1}
    assert found.notes == ("B is not finished: 1 of 64 trials are missing",)
    assert main(["compare", str(one), str(two)]) == 0
    assert "pairs dropped: 1 only in A, 1 failed" in capsys.readouterr().out


def test_the_gap_is_the_difference_of_the_paired_changes(one, copy) -> None:
    two = copy(
        change=lambda _, r: (
            flipped(r) if r.condition["rule"] == "inverse" and r.scores["accuracy"] == 0 else r
        )
    )
    found = vlm_eval.compare(one, two)[TASK]
    gap = next(c for c in found.gaps if c.where == {"rule": "inverse"})
    standard, inverse = (
        next(c for c in found.parts if c.where == {"rule": level})
        for level in ("standard", "inverse")
    )
    assert gap.baseline_value == pytest.approx(inverse.baseline_value - standard.baseline_value)
    assert gap.level_value == pytest.approx(1 - standard.level_value)
    assert gap.difference == pytest.approx(gap.level_value - gap.baseline_value)
    assert gap.n_pairs == 32
    assert gap.right_to_wrong is None


def test_holm_is_over_each_family(one, copy) -> None:
    found = vlm_eval.compare(one, copy(change=lambda i, r: flipped(r) if i % 3 else r))[TASK]
    assert found.overall.family == 1
    assert found.overall.p_adjusted == found.overall.p
    assert {part.family for part in found.parts} == {14}  # six levels, eight conditions
    assert {gap.family for gap in found.gaps} == {3}
    least = min(found.parts, key=lambda part: part.p)
    assert least.p_adjusted == pytest.approx(min(1, 14 * least.p))


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv", "html"])
def test_what_models_are_called_is_inert_in_every_form(one, copy, tmp_path, capsys, form) -> None:
    two = copy(lambda m: m["model"].update(name=HOSTILE), lambda _, r: flipped(r))
    out = tmp_path / "out.txt"
    assert main(["compare", str(one), str(two), "--format", form, "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    text = out.read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert "\u202e" not in text
    if form in ("html", "markdown"):
        assert "<script" not in text
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["level"][:2] for row in rows} == {"'="}
        assert rows[0]["kind"] == "overall"
        assert float(rows[0]["difference"]) == vlm_eval.compare(one, two)[TASK].overall.difference


def test_the_html_is_one_file_that_allows_nothing_else(one, copy, capsys) -> None:
    assert main(["compare", str(one), str(copy()), "--format", "html"]) == 0
    page = capsys.readouterr().out
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in page
    assert "<script" not in page
    assert "src=" not in page.replace("style-src=", "")


@pytest.mark.parametrize("missing", ["first", "second"])
def test_what_is_no_run_is_refused(one, tmp_path, capsys, missing) -> None:
    places = [str(tmp_path / "nothing"), str(one)]
    assert main(["compare", *(places if missing == "first" else places[::-1])]) == 2
    assert "no such file" in capsys.readouterr().err


def test_an_unknown_score_is_refused_with_the_nearest(one, copy, capsys) -> None:
    assert main(["compare", str(one), str(copy()), "--score", "acuracy"]) == 2
    assert "did you mean accuracy?" in capsys.readouterr().err
