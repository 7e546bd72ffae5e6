"""A real browser on pages opened from disk, which must be silent and stay offline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import vlm_eval
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.stats.results import Estimate

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!-- \u202e\x1b[2J"
TASK = """\
task: toy
version: 1.0.0
title: TITLE
data: {source: scenes, count: 12, questions: 4}
sample_id: "{{ scene_id }}-{{ object | replace(' ', '_') }}"
cluster: "{{ scene_id }}"
slices: [present, object]
factors: {blur: [1, 11, 31], wording: [plain, polite]}
controls: {}
chance: 0.5
image: {transform: [{name: gaussian_blur, kernel: "{{ blur }}"}]}
prompt:
  content:
    - {image: image}
    - text: "{{ 'Please, ' if wording == 'polite' }}is there a {{ object }}? HOSTILE Yes or No."
output: {kind: choice, choices: ["Yes", "No"]}
gold: "{{ present }}"
parser: {name: yes_no}
metrics: [accuracy, {name: paired_difference, factor: blur, by: [wording, present]}, parse_failures]
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report with hostile words, failures, pictures and several pages of samples."""
    folder = tmp_path_factory.mktemp("report")
    quoted = json.dumps(HOSTILE)
    text = TASK.replace("TITLE", quoted).replace("HOSTILE", quoted[1:-1])
    (folder / "toy.yaml").write_text(text, encoding="utf-8")
    vlm_eval.evaluate(
        "mock:seed=4,fail=0.03", "toy", include_path=folder, output_path=folder / "run",
        progress=False,
    )  # fmt: skip
    path = folder / "run" / "records" / "rank-000.jsonl"
    records = [json.loads(line) for line in path.open(encoding="utf-8")]
    for record in records:
        record["image_sizes"] = [[120, 84] if record["condition"]["blur"] == 31 else [168, 112]]
    for record in records[::7]:
        if record["outcome"] == "answer":  # an answer in words, so that one can fail to parse
            record |= {"logprobs": None, "token_counts": None, "raw": HOSTILE, "finish": "stop"}
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    vlm_eval.score(folder / "run")
    analysis = folder / "run" / "analysis" / "probe-toy"
    analysis.mkdir(parents=True)
    (analysis / "findings.json").write_text(json.dumps(_findings().to_json()), encoding="utf-8")
    return vlm_eval.report(folder / "run", samples=20).parent


def _findings() -> Findings:
    """Return findings with curves over layers, rows of categories and hostile words."""
    curves = [
        Estimate("accuracy", {"layer": layer, "probe": probe}, 0.02 * layer + 0.1 * i, 0.05,
                 0.02 * layer, 0.02 * layer + 0.3, 40, 20, "student_t", chance=0.5)
        for i, probe in enumerate(("linear", "mlp", HOSTILE)) for layer in range(24)
    ]  # fmt: skip
    rows = [
        Estimate(name, {"mode": mode}, 1.5, 0.1, 1.2, 1.8, 40, 20, "student_t", unit="nats")
        for name in ("before", "after") for mode in ("pixel", HOSTILE)
    ]  # fmt: skip
    marks = {"crossover": 12.0, HOSTILE: 12.5}
    return Findings(
        analysis="probe", task="toy", model=HOSTILE, options={"word": HOSTILE},
        estimates=(*curves, *rows), facts={"word": HOSTILE}, notes=(HOSTILE,), synthetic=True,
        panels=(
            Panel(title=HOSTILE, axis="layer", names=("accuracy",), marks=marks),
            Panel(title="Margins", axis="mode", names=("before", "after")),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return the browser that ``--browser`` names."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=request.config.getoption("--browser"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page of the report.

    Fails if any page wrote to the console, raised, opened a dialogue or asked for anything that is
    not a file of the report.
    """
    faults: list[str] = []
    contexts = []

    def visit(path: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: faults.append(f"dialogue: {dialog.message}"))
        page.on("request", lambda request: faults.extend(_outside(request.url, folder)))
        page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
        page.goto(folder.as_uri() + "/" + path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []


def _outside(url: str, folder: Path) -> list[str]:
    return [] if url.startswith(folder.as_uri() + "/") else [f"request: {url}"]


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the source of axe-core."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
