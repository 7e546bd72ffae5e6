"""Hidden states of a real model, captured by a run: the right ones, whatever happens to the run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vlm_eval import evaluate, score
from vlm_eval.core.capture import Captured, CaptureSpec
from vlm_eval.core.errors import RunError, UsageError
from vlm_eval.models.registry import load_model
from vlm_eval.runner.captures import CaptureIndex
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import RecordIndex
from vlm_eval.runner.study import open_study
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

REPOSITORY = Path(__file__).parents[2]
TASK = """\
task: seen
include: _captured.yaml
data: {count: COUNT}
factors: {blur: [none, identity, strong], wording: [plain, same, polite]}
controls: {blur: [identity], wording: [same]}
image:
  transform:
    - {name: identity, when: "blur == 'identity'"}
    - {name: gaussian_blur, kernel: 9, when: "blur == 'strong'"}
capture:
  sites: [prompt_last, vision_mean, vision_grid, answer_mean]
  layers: [0, -1]
  when: "wording != 'polite'"
  samples: SAMPLES
"""


@pytest.fixture
def tasks(tmp_path: Path):
    """Return what writes the task and returns its folder."""

    def write(count: int = 3, samples: object = 5, *changes: tuple[str, str]) -> Path:
        text = TASK.replace("COUNT", str(count)).replace("SAMPLES", str(samples))
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "benchmarks" / "_captured.yaml", folder)
        (folder / "seen.yaml").write_text(text)
        return folder

    return write


@pytest.fixture(scope="module")
def tiny():
    return load_model("tiny", args="engine=naive")


def run(tasks: Path, folder: Path, **options):
    given = {"model": "tiny", "progress": False, "include_path": tasks, "output_path": folder}
    return evaluate(tasks="seen", **{**given, **options})


def captured(folder: Path) -> dict[str, Captured]:
    index = CaptureIndex(RunFolder(folder).captures)
    assert index.faults == []
    found = {request: index.load(request) for request in index}
    return {name: replace(one, arrays=dict(one.arrays)) for name, one in found.items() if one}


def check_equal(found: dict[str, Captured], expected: dict[str, Captured]) -> None:
    assert found.keys() == expected.keys()
    for request, one in expected.items():
        assert found[request].layers == one.layers
        assert found[request].missing == one.missing
        assert found[request].arrays.keys() == one.arrays.keys()
        for site, array in one.arrays.items():
            apart = np.linalg.norm(found[request].arrays[site] - array)
            assert apart <= 1e-5 * np.linalg.norm(array), site


def test_states_are_those_of_a_direct_capture(tasks, tmp_path, tiny) -> None:
    results = run(tasks(), tmp_path / "run")
    found = captured(tmp_path / "run")
    spec = CaptureSpec(
        sites=("prompt_last", "vision_mean", "answer_mean"), layers=(0, 4), norm="after"
    )
    trials = list(expand(TaskIndex([tmp_path / "tasks"]).load("seen")))
    requests = {t.request.id: t.request for t in trials if t.request.id in found}
    assert len(requests) == len(found) == 5 * 3, "5 samples, 3 images; two wordings are one"
    for response, states in tiny.capture(list(requests.values()), spec):
        one = found[response.request_id]
        assert states is not None
        assert one.layers == states.layers == ("0", "norm")
        for site, array in states.arrays.items():
            assert np.linalg.norm(one.arrays[site] - array) <= 1e-5 * np.linalg.norm(array)
        assert one.arrays["vision_energy"].shape == (6,)
        assert one.arrays["vision_energy"][0] > 0
    counts = results["seen"].counts
    assert (counts.captured, counts.answered) == (30, counts.trials)
    assert results["seen"].not_captured is None
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert stored["captures"]["requests"] == 15
    assert stored["captures"]["bytes"] == sum(
        path.stat().st_size for path in (tmp_path / "run" / "captures").rglob("*.safetensors")
    )
    assert type(results).from_json(stored, results.folder).captures == results.captures


@pytest.mark.parametrize("engine", ["auto", "memo", "naive"])
def test_equal_pixels_have_equal_states(tasks, tmp_path, engine) -> None:
    """A control is a request of its own, whose states are those of the clean image, exactly."""
    sites = ("vision_mean", "vision_energy", "prompt_last", "answer_mean")
    run(tasks(), tmp_path / "run", model_args=f"engine={engine}")
    folder = RunFolder(tmp_path / "run")
    study = open_study(folder, tasks_of(folder)[0], None)
    assert study.table.states is not None
    rows = {(r.sample_id, r.condition["blur"], r.condition["wording"]): r for r in study.table.rows}
    compared = 0
    for (sample, blur, wording), row in rows.items():
        control = study.table.states.of(row)
        if blur != "identity" or control is None:
            continue
        base = study.table.states.of(rows[sample, "none", wording])
        other = study.table.states.of(rows[sample, "strong", wording])
        assert base is not None
        assert other is not None
        assert control.request_id != base.request_id
        for site in sites:
            np.testing.assert_array_equal(control.arrays[site], base.arrays[site])
            assert np.any(other.arrays[site] != base.arrays[site])
        compared += 1
    assert compared == 10


@pytest.mark.parametrize("form", ["choice", "generate"])
def test_scores_are_the_same_with_and_without(tasks, tmp_path, form) -> None:
    def answers(folder: Path) -> list[tuple[str, str, float]]:
        lines = (folder / "records" / "rank-000.jsonl").read_text().splitlines()
        records = map(json.loads, lines)
        return sorted((r["sample_id"], str(r["condition"]), str(r["answer"])) for r in records)

    run(tasks(), tmp_path / "with", output=form, limit=4)
    results = run(tasks(), tmp_path / "without", output=form, limit=4, capture=False)
    assert answers(tmp_path / "with") == answers(tmp_path / "without")
    assert not (tmp_path / "without" / "captures").exists()
    assert results["seen"].counts.captured == 0
    assert "--no_capture" in (results["seen"].not_captured or "")
    assert results.captures == {}
    assert len(captured(tmp_path / "with")) == 4 * 3
    with pytest.raises(RunError, match="capture was false and is now true"):
        run(tasks(), tmp_path / "without", output=form, limit=4, resume=True)


def test_a_model_that_shows_nothing_is_asked_and_the_results_say_so(tasks, tmp_path) -> None:
    results = run(tasks(), tmp_path / "run", model="mock")
    assert results["seen"].counts.captured == 0
    assert results["seen"].not_captured == "mock does not show its hidden states"
    assert not (tmp_path / "run" / "captures").exists()
    assert score(tmp_path / "run")["seen"].not_captured == results["seen"].not_captured


def test_too_much_is_refused_before_anything_is_written(tasks, tmp_path) -> None:
    folder = tasks(3, "null", ("  when:", "  max_gib: 0.0001\n  when:"))
    with pytest.raises(UsageError) as error:
        run(folder, tmp_path / "run")
    for word in ("seen.yaml", "GiB", "max_gib is 0.0001", "`samples`", "`layers`", "--no_capture"):
        assert word in str(error.value)
    assert not (tmp_path / "run").exists()
    assert run(folder, tmp_path / "run", capture=False).complete


def test_the_estimate_is_what_it_takes(tasks, tmp_path) -> None:
    results = run(tasks(3, "null"), tmp_path / "run")
    gib = results.captures["bytes"] / 2**30
    for share, fits in ((1.1, True), (0.9, False)):
        folder = tasks(3, "null", ("  when:", f"  max_gib: {share * gib:.9f}\n  when:"))
        target = tmp_path / f"{share}"
        if fits:
            assert run(folder, target).captures["bytes"] == pytest.approx(gib * 2**30, rel=0.02)
        else:
            with pytest.raises(UsageError, match="would take about"):
                run(folder, target)


def test_a_layer_that_the_model_has_not_is_refused_before_anything_is_written(
    tasks, tmp_path
) -> None:
    with pytest.raises(UsageError, match="no layer 9"):
        run(tasks(3, 5, ("[0, -1]", "[0, 9]")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_tokens_of_an_image_are_kept_on_demand(tasks, tmp_path) -> None:
    run(tasks(3, 2, ("  when:", "  grid: tokens\n  when:")), tmp_path / "run")
    for one in captured(tmp_path / "run").values():
        assert one.arrays["vision_grid"].ndim == 4
        assert "vision_energy" not in one.arrays


def test_a_damaged_shard_is_told_and_asked_again(tasks, tmp_path) -> None:
    run(tasks(), tmp_path / "run")
    before = captured(tmp_path / "run")
    (shard,) = (tmp_path / "run" / "captures").rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-100])
    results = score(tmp_path / "run")
    assert results["seen"].counts.captured == 0
    assert results["seen"].not_captured == "none are in the run folder"
    assert len(results.captures["faults"]) == 1
    results = run(tasks(), tmp_path / "run", resume=True)
    assert results["seen"].counts.captured == 30
    shard.unlink()
    check_equal(captured(tmp_path / "run"), before)


def records(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (folder / "records").glob("*.jsonl"))


def ranks(folder: Path) -> list[int]:
    beats = (folder / "work").glob("*/rank-*.json")
    return [int(json.loads(path.read_text())["pid"]) for path in beats]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_kill_and_resume(tasks, tmp_path, before, after) -> None:
    """Killed when some states are on the disk and others are not; then another world size."""
    folder = tasks(14, 50)
    whole = run(folder, tmp_path / "whole")
    command = [sys.executable, "-m", "vlm_eval", "run", "--model", "tiny", "--tasks", "seen"]
    command += ["--include_path", str(folder), "--output_path", str(tmp_path / "run")]
    command += ["--num_processes", str(before), "--quiet", "--batch_size", "2"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    shards = tmp_path / "run" / "captures"
    end = time.monotonic() + 180
    while not list(shards.rglob("*.safetensors")):
        assert time.monotonic() < end, "the run does not get on"
        assert process.poll() is None, "too fast to be killed"
        time.sleep(0.002)
    done = records(tmp_path / "run")
    while records(tmp_path / "run") < done + 30 and process.poll() is None:
        time.sleep(0.002)
    for pid in [process.pid, *(ranks(tmp_path / "run") if before > 1 else [])]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "results.json").exists()
    left = captured(tmp_path / "run")
    assert 0 < len(left) < 50 * 3

    results = run(folder, tmp_path / "run", resume=True, num_processes=after)
    assert results["seen"].estimates == whole["seen"].estimates
    assert results["seen"].counts == whole["seen"].counts
    assert results["seen"].counts.captured == 50 * 3 * 2
    check_equal(captured(tmp_path / "run"), captured(tmp_path / "whole"))
    for request, one in left.items():  # what was there is still there, unchanged
        again = captured(tmp_path / "run")[request]
        np.testing.assert_array_equal(again.arrays["prompt_last"], one.arrays["prompt_last"])


@pytest.mark.slow
def test_two_processes_capture_what_one_does(tasks, tmp_path) -> None:
    folder = tasks(14, 20)
    one = run(folder, tmp_path / "one")
    two = run(folder, tmp_path / "two", num_processes=2)
    assert two["seen"].estimates == one["seen"].estimates
    assert two["seen"].counts == one["seen"].counts
    check_equal(captured(tmp_path / "two"), captured(tmp_path / "one"))
    assert sizes(tmp_path / "two") == sizes(tmp_path / "one")
    assert None not in sizes(tmp_path / "one").values()


def sizes(folder: Path) -> dict[tuple[str, str], object]:
    """At which size the images of each trial were read."""
    return {
        (record.sample_id, str(record.condition)): record.image_sizes
        for record in RecordIndex(folder / "records")
    }


FOLLOWER = """\
include: seen.yaml
task: follower
factors: {blur: [none], wording: [plain, polite]}
controls: null
follows: {when: "wording == 'polite'", condition: {wording: plain}}
prompt:
  content:
    - {image: image}
    - text: "is there a {{ object }}? Yes or No.{{ ' You said ' + first_answer if wording == 'polite' }}"
capture: {sites: [prompt_last], when: "wording == 'polite'", samples: 3}
"""  # noqa: E501


def test_trials_that_follow_another_are_captured_as_they_were_asked(tasks, tmp_path) -> None:
    folder = tasks()
    (folder / "follower.yaml").write_text(FOLLOWER)
    results = evaluate(
        "tiny", "follower", include_path=folder, output_path=tmp_path / "run", progress=False
    )
    assert results["follower"].counts.captured == 3
    found = captured(tmp_path / "run")
    lines = (tmp_path / "run" / "records" / "rank-000.jsonl").read_text().splitlines()
    asked = [r for r in map(json.loads, lines) if r["request_hash"] in found]
    assert len(asked) == 3
    assert {r["condition"]["wording"] for r in asked} == {"polite"}
    assert all(r["prompt"].endswith(f"You said {r['fields']['first_answer']}") for r in asked)
