"""The real command line on toy tasks, and a slow backend that keeps a log of what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlm_eval.cli.main import main

REPOSITORY = Path(__file__).parents[2]

# "same" words its question like "plain", so that those two trials of a sample ask one thing.
TOY = """\
task: toy
version: 1.0.0
title: A toy task
data: {source: scenes, count: 5, questions: 4}
sample_id: "{{ scene_id }}-{{ object | replace(' ', '_') }}"
cluster: "{{ scene_id }}"
slices: [present]
factors: {wording: [plain, same, polite]}
controls: {wording: [same]}
chance: 0.5
prompt:
  content:
    - {image: image}
    - text: "{{ 'Please: ' if wording == 'polite' }}is there a {{ object }}? Yes or No."
output: {kind: choice, choices: ["Yes", "No"]}
gold: "{{ present }}"
parser: {name: yes_no}
metrics: [accuracy, {name: paired_difference, factor: wording}, parse_failures]
"""
SAMPLES, TRIALS, REQUESTS = 20, 60, 40

BACKEND = '''
"""A mock that is slow and writes down what it is asked."""
import time
from vlm_eval.models import mock

class Slow(mock.Mock):
    log, delay = "", 0.0

    def _each(self, requests, answer):
        for request in requests:
            time.sleep(self.delay)
            with open(self.log, "a") as file:
                file.write(request.id + "\\n")
            yield from answer([request])

    def generate(self, requests):
        yield from self._each(requests, super().generate)

    def loglikelihood(self, requests):
        yield from self._each(requests, super().loglikelihood)

def load(target, *, name, args, batch_size, device, dtype):
    model = Slow(name="slow")
    model.log, model.delay = args["log"], float(args["delay"])
    return model
'''


@dataclass(frozen=True)
class Run:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Return what runs the command line in this process."""

    def run(*arguments: object) -> Run:
        capsys.readouterr()
        status = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Run(status, captured.out, captured.err)

    return run


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """Return a folder with the task file toy.yaml, to be given as --include_path."""
    folder = tmp_path / "toys"
    folder.mkdir()
    (folder / "toy.yaml").write_text(TOY, encoding="utf-8")
    return folder


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Return what starts the command line in another process, with the backend ``slow:``."""
    plugin = tmp_path / "plugin"
    info = plugin / "slow-1.0.dist-info"
    info.mkdir(parents=True)
    (plugin / "slow_backend.py").write_text(BACKEND, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vlm_eval.models]\nslow = slow_backend:load\n")

    def start(arguments: Sequence[object], before: str = "") -> subprocess.Popen[str]:
        code = textwrap.dedent(before) + (
            "\nimport sys\nfrom vlm_eval.cli.main import main\nsys.exit(main(sys.argv[1:]))"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{plugin}"},
        )  # fmt: skip

    return start


@pytest.fixture
def numbers() -> Callable[[Path], dict[str, Any]]:
    """Return what reads from results.json all that must not depend on how a run went."""

    def read(folder: Path) -> dict[str, Any]:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        assert results["complete"] is True
        return {
            name: {key: value for key, value in task.items() if key != "seconds"}
            for name, task in results["tasks"].items()
        }

    return read


@pytest.fixture
def lines() -> Callable[[Path], list[dict[str, Any]]]:
    """Return what reads the records of a run folder, file by file."""

    def read(folder: Path) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for path in sorted((folder / "records").glob("*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]

    return read


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return a folder with two pairs of images and captions, for ``--data mis=``."""
    folder = tmp_path / "pairs"
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, colours in enumerate((("red", "green"), ("blue", "yellow"))):
        for colour in colours:
            Image.new("RGB", (8, 6), colour).save(folder / "images" / f"{colour}.png")
        rows.append(
            {
                "id": f"p{number}",
                **{f"image_{i}": f"images/{colour}.png" for i, colour in enumerate(colours)},
                **{f"caption_{i}": f"a {colour} page" for i, colour in enumerate(colours)},
                "label_0": "safe",
                "label_1": "unsafe",
                "category": "page",
            }
        )
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    return folder
