"""Trials that follow another: asked with its answer, whatever stops the run in between."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import vlm_eval
from vlm_eval.core.types import Answer, Failure, Outcome, Request, Response, Text
from vlm_eval.models.base import Capabilities
from vlm_eval.runner import plan
from vlm_eval.runner.execute import unsupported
from vlm_eval.runner.records import Record, RecordIndex

TASK = """\
task: dependent
version: 1.0.0
title: The question names what was answered first
data:
  source: toy
  table:
    - {id: a, image: "colour:red", answer: "Yes"}
    - {id: b, image: "colour:blue", answer: "No"}
    - {id: c, image: "colour:green", answer: "No"}
sample_id: "{{ id }}"
factors:
  overlay: [mislead, clean, identity]
follows: {when: "overlay == 'mislead'", condition: {overlay: clean}}
prompt:
  content:
    - {image: image}
    - {text: "{{ id }}, {{ overlay }}: Yes or No?"}
    - {text: " It is not {{ first_answer }}.", when: "overlay == 'mislead'"}
output: {kind: generate, choices: ["Yes", "No"]}
gold: "{{ answer }}"
parser: {name: label, also: [yes_no]}
metrics:
  - accuracy
  - {name: accuracy, score: accuracy_yes_no}
  - {name: paired_difference, factor: overlay, baseline: clean}
"""


class Said:
    """Says what it is told to say about a prompt's words, and notes what it was asked."""

    name = "said"
    capabilities = Capabilities()

    def __init__(self, dies: int = 10**6, **said: str | None) -> None:
        self.said, self.asked, self.dies = said, list[str](), dies

    def describe(self) -> dict[str, object]:
        return {}

    def outcome(self, words: str) -> Outcome:
        for word, text in self.said.items():
            if f"{word}, clean" in words:
                return Failure("oom", "no memory") if text is None else Answer(text=text)
        return Answer(text="Yes")

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        for request in requests:
            if len(self.asked) == self.dies:
                raise KeyboardInterrupt
            self.asked.append(words(request))
            yield Response(request.id, self.outcome(self.asked[-1]), 0.1)

    loglikelihood = generate


def words(request: Request) -> str:
    parts = request.messages[0].parts
    return "".join(part.text for part in parts if isinstance(part, Text))


@pytest.fixture
def run(write, folder, tmp_path):
    write(name="dependent.yaml", text=TASK)

    def run(model: Said, to: str = "run", **options: object) -> vlm_eval.Results:
        return vlm_eval.evaluate(
            model, "dependent", include_path=folder, output_path=tmp_path / to, progress=False,
            **options,
        )  # fmt: skip

    run.path = tmp_path / "run"
    return run


def records(folder: Path) -> dict[tuple[str, str], Record]:
    found = list(RecordIndex(folder / "records"))
    by_trial = {(r.sample_id, str(r.condition["overlay"])): r for r in found}
    assert len(by_trial) == len(found), "one record a trial"
    return by_trial


def test_the_question_holds_the_answer_that_was_given(run) -> None:
    model = Said(a="No", b="No", c="Yes")
    results = run(model)
    found = records(run.path)
    given = {s: found[s, "mislead"].fields["first_answer"] for s in "abc"}
    assert given == {"a": "No", "b": "No", "c": "Yes"}
    assert found["a", "mislead"].prompt == "<image>a, mislead: Yes or No? It is not No."
    assert model.asked.index("a, clean: Yes or No?") < model.asked.index(
        "a, mislead: Yes or No? It is not No."
    )
    assert len(model.asked) == 9
    assert results["dependent"].counts.missing == results["dependent"].counts.failed == 0


@pytest.mark.parametrize("dies", range(7))
def test_a_run_killed_anywhere_goes_on_to_the_same_records(run, tmp_path, dies) -> None:
    said = {"a": "No", "b": "cannot tell", "c": None}
    whole = run(Said(**said))
    expected = records(run.path)
    with pytest.raises(KeyboardInterrupt):
        run(Said(dies, **said), "killed")
    again = Said(**said)
    resumed = run(again, "killed", resume=True)
    found = records(tmp_path / "killed")
    assert found == expected
    assert resumed["dependent"].estimates == whole["dependent"].estimates
    assert resumed["dependent"].comparisons == whole["dependent"].comparisons


def test_without_a_first_answer_there_is_nothing_to_ask(run) -> None:
    model = Said(a="No", b="cannot tell", c=None)
    results = run(model)
    found = records(run.path)
    for sample in ("b", "c"):
        record = found[sample, "mislead"]
        assert record.failure["kind"] == "no_first_answer"
        assert record.failure["message"] == "the trial under overlay=clean has no answer to follow"
        assert (record.request_hash, record.prompt, record.images) == ("", "", ())
        assert record.fields["first_answer"] is None
        assert record.scores == {}
    assert len(model.asked) == 3 + 3 + 1
    counts = results["dependent"].counts
    assert counts.failures == {"no_first_answer": 2, "oom": 1}
    assert counts.missing == 0
    resumed = run(again := Said(), resume=True)
    assert again.asked == []
    assert resumed["dependent"].counts == counts


def test_a_retried_first_trial_lets_the_other_be_asked(run) -> None:
    run(Said(a="No", b="cannot tell", c=None))
    model = Said()
    results = run(model, resume=True, retry_failures=True)
    assert model.asked == ["c, clean: Yes or No?", "c, mislead: Yes or No? It is not Yes."]
    found = records(run.path)
    assert len(found) == 9
    assert found["c", "mislead"].outcome == "answer"
    assert found["c", "mislead"].fields["first_answer"] == "Yes"
    assert results["dependent"].counts.failures == {"no_first_answer": 1}
    assert results["dependent"].counts.missing == 0
    assert vlm_eval.score(run.path)["dependent"].estimates == results["dependent"].estimates


def test_the_answered_record_wins_in_whatever_file_it_is(run) -> None:
    run(Said(c=None))
    run(Said(), resume=True, retry_failures=True)
    folder = run.path / "records"
    lines = (folder / "rank-000.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "rank-000.jsonl").write_bytes(b"".join(reversed(lines)))
    assert records(run.path)["c", "mislead"].outcome == "answer"
    assert RecordIndex(folder).count() == 9
    shutil.copy(folder / "rank-000.jsonl", folder / "rank-001.jsonl")
    assert RecordIndex(folder).count() == 9


def test_other_parsers_are_recorded_and_measured(run) -> None:
    results = run(Said(a="No"))
    assert records(run.path)["a", "clean"].also == {"yes_no": "No"}
    names = {e.name for e in results["dependent"].estimates}
    assert names == {"accuracy", "accuracy_yes_no"}
    assert vlm_eval.score(run.path)["dependent"] == results["dependent"]


def test_a_question_that_an_answer_breaks_is_a_failure_and_stops_nothing(
    run, write, tmp_path
) -> None:
    broken = TASK.replace("{{ first_answer }}", "{{ {'Yes': 'it', 'No': 'so'}[first_answer] }}")
    write(name="dependent.yaml", text=broken.replace('["Yes", "No"]}', '["Yes", "No", Eh]}'))
    results = run(Said(a="Eh"))
    assert results["dependent"].counts.failures == {"bug": 1}
    assert "has no attribute 'Eh'" in records(run.path)["a", "mislead"].failure["message"]


def test_a_trial_that_does_not_apply_is_neither_missing_nor_a_dropped_pair(run, write) -> None:
    text = TASK.replace("follows:", "applies: \"overlay != 'identity' or id != 'b'\"\nfollows:")
    write(name="dependent.yaml", text=text)
    results = run(Said())
    counts = results["dependent"].counts
    assert (counts.trials, counts.missing, counts.answered) == (8, 0, 8)
    by_level = {c.level: c for c in results["dependent"].comparisons if not c.where}
    assert by_level["identity"].n_pairs == 2
    assert set(by_level["identity"].dropped.values()) == {0}
    assert by_level["mislead"].n_pairs == 3


def test_a_model_that_only_compares_answers_what_has_a_match() -> None:
    from vlm_eval.core.types import Decoding, ImageRef, Match

    able = Capabilities(chat=False, generate=False, multi_image=False, text_only=False)
    image = ImageRef("k", lambda: None)  # type: ignore[arg-type, return-value]
    matched = Request("id", (), ("a", "b"), match=Match((image, image), ("a",)))
    assert unsupported(matched, able) is None
    for request in (Request("id", (), ("a", "b")), Request("id", (), decoding=Decoding())):
        assert "only compares images with texts" in str(unsupported(request, able))


def test_a_question_of_several_units_is_asked_once_even_so(run, write, monkeypatch) -> None:
    """Units of such a task do not wait for each other, but one process remembers its answers."""
    monkeypatch.setattr(plan, "UNIT", 3)
    monkeypatch.setattr(plan, "SMALL_UNIT", 3)
    same = TASK.replace("{image: image}", "{image: image, when: \"overlay != 'identity'\"}")
    same = same.replace("{{ id }},", "{{ 'it' if overlay == 'identity' else id }},")
    write(name="dependent.yaml", text=same)
    results = run(model := Said())
    assert [said for said in model.asked if "identity" in said] == ["it, identity: Yes or No?"]
    assert results["dependent"].counts.answered == 9
