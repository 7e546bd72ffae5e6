"""How long a report of 20,000 trials takes to write, and to open in Chromium.

    python benchmarks/report.py [FOLDER]

Makes a run of the mock model on drawn scenes (in FOLDER, or a temporary folder), writes its report
and opens the sample browser from disk: time until the first cards are drawn and the filters work,
time to filter, and time of the first text search, which loads every shard. Needs playwright
(``pip install playwright``) and a Chromium (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import vlm_eval

SCENES, TRIALS = 834, 20_016  # 4 questions a scene, 6 wordings a question
TASK = """\
task: many
version: 1.0.0
title: Many trials
data: {source: scenes, count: 834, questions: 4}
sample_id: "{{ scene_id }}-{{ object | replace(' ', '_') }}"
cluster: "{{ scene_id }}"
slices: [present]
factors: {wording: [plain, polite, short, long, strict, twice]}
chance: 0.5
prompt:
  content:
    - {image: image}
    - text: "{{ wording }}: is there a {{ object }} in the image? Answer with Yes or No."
output: {kind: choice, choices: ["Yes", "No"]}
gold: "{{ present }}"
parser: {name: yes_no}
metrics: [accuracy, {name: paired_difference, factor: wording}, parse_failures]
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        page = _written(folder)
        _open(page.parent / "samples" / "many" / "index.html")


def _written(folder: Path) -> Path:
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    (folder / "tasks" / "many.yaml").write_text(TASK, encoding="utf-8")
    run = folder / "run"
    if not (run / "results.json").exists():
        vlm_eval.evaluate(
            "mock:seed=1,fail=0.001", "many", output_path=run, include_path=folder / "tasks"
        )
    began = time.perf_counter()
    page = vlm_eval.report(run)
    files = [file for file in page.parent.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    seconds = time.perf_counter() - began
    print(f"written in {seconds:.1f} s: {len(files):,} files, {size:.1f} MB")
    return page


def _open(page: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for attempt in range(3):
            tab = browser.new_context().new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri())
            tab.locator(".status", has_text="samples").wait_for()
            tab.locator(".card").first.wait_for()
            opened = time.perf_counter() - began
            began = time.perf_counter()
            tab.select_option("[name=show]", "to_wrong")
            tab.locator(".tile.off").first.wait_for()
            filtered = time.perf_counter() - began
            began = time.perf_counter()
            tab.fill("[name=q]", "strict: is there a bus")
            tab.locator("#cards > .card:first-child[data-sample$='-bus']").wait_for()
            searched = time.perf_counter() - began
            status = tab.inner_text("#status")
            print(f"{attempt}: open {opened:.2f} s, filter {filtered:.2f} s, "
                  f"search {searched:.2f} s ({status})")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
