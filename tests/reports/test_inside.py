"""The section "Inside the model" of a report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from vlm_eval.core.errors import RunError
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.reports.api import report
from vlm_eval.runner.folder import to_json
from vlm_eval.stats.results import Estimate

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\u202e\x1b'


def findings(analysis: str = "probe", task: str = "toy", word: str = "mlp") -> Findings:
    estimates = tuple(
        Estimate("accuracy", {"layer": layer, "probe": probe}, 0.5 + 0.1 * layer, 0.02,
                 0.4 + 0.1 * layer, 0.6 + 0.1 * layer, 40, 20, "student_t")
        for probe in (word, "linear") for layer in range(3)
    )  # fmt: skip
    panel = Panel(title=f"Where {word} reads", axis="layer", names=("accuracy",), marks={word: 1.0})
    return Findings(
        analysis=analysis, task=task, model="mock", options={"kind": word, "seeds": [0, 1]},
        estimates=estimates, panels=(panel,), facts={"crossover_layer": 2, "split": {"train": 3}},
        notes=(f"beware of {word}",), synthetic=True, notice=f"drawn by {word}",
    )  # fmt: skip


def put(run: Path, found: Findings, name: str) -> Path:
    folder = run / "analysis" / name
    folder.mkdir(parents=True)
    (folder / "findings.json").write_text(to_json(found.to_json()))
    return folder / "findings.json"


def page(run: Path) -> str:
    return (report(run, images=False).parent / "tasks" / "toy.html").read_text("utf-8")


class Seen(HTMLParser):
    """Collects the tags, and the texts outside of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_figure_table_facts_options_and_notes_are_on_the_page(make_run) -> None:
    run = make_run()
    assert "Inside the model" not in page(run)
    put(run, findings(), "probe-toy")
    put(run, findings("steer", word="alpha"), "steer-toy")
    put(run, findings(task="other"), "probe-other")
    text = page(run)
    seen = Seen(text)
    assert text.count('class="curve" role="img" aria-label="Where') == 2
    for word in ("probe", "steer", "beware of mlp", "drawn by alpha", "crossover layer", "seeds"):
        assert any(word in found for found in seen.texts), word
    body = text[text.index('id="inside"') :]
    # Each number stands in the table below the figure, and once more with all fields.
    assert len(re.findall(r"<b>60\.0</b> \[50\.0, 70\.0\]", body)) == 2 * 2
    assert body.count("[50.0, 70.0]") == 2 * 2 * 2
    captions = [found for found in seen.texts if found.strip() == "Where mlp reads"]
    assert len(captions) >= 2, "figure and table are both named"


def test_equal_findings_give_equal_pages(make_run) -> None:
    run = make_run()
    put(run, findings(), "probe-toy")
    assert page(run) == page(run)


def test_hostile_words_are_shown_and_cannot_act(make_run) -> None:
    run = make_run()
    plain = Seen(page(run))
    put(run, findings(HOSTILE, word=HOSTILE), "probe-toy")
    text = page(run)
    seen = Seen(text)
    scripts = [attributes for tag, attributes in seen.tags if tag == "script"]
    assert scripts == [attributes for tag, attributes in plain.tags if tag == "script"]
    assert not [tag for tag, _ in seen.tags if tag == "img"]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert not re.search("[\x1b\u202e]", text)
    assert any("alert(1)" in found for found in seen.texts)


def test_a_damaged_file_stops_the_report_and_leaves_the_old_one(make_run) -> None:
    run = make_run()
    path = put(run, findings(), "probe-toy")
    before = page(run)
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "schema": 99}))
    with pytest.raises(RunError, match="run the analysis again"):
        report(run, images=False)
    assert (run / "report" / "tasks" / "toy.html").read_text("utf-8") == before
