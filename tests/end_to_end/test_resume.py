"""A run that is killed goes on: same numbers, nothing recorded asked again."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from vlm_eval.core.errors import RunError
from vlm_eval.runner.records import RecordWriter

TRIALS, REQUESTS = 60, 40


def arguments(toys: Path, folder: Path, log: Path, delay: float) -> list[object]:
    return [
        "--model", "slow:", "--model_args", f"log={log},delay={delay}", "--tasks", "toy",
        "--include_path", toys, "--output_path", folder,
    ]  # fmt: skip


def wait_for(path: Path, count: int) -> None:
    """Wait until a file has this many lines."""
    end = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end, "the run does not get on"
        time.sleep(0.01)


def asked(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.fixture
def uninterrupted(cli, toys, tmp_path, numbers) -> dict:
    """The numbers of a whole run; the slow backend answers as the mock does."""
    folder = tmp_path / "whole"
    run = cli(
        "--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder
    )  # fmt: skip
    assert run.status == 0, run.err
    return numbers(folder)


def test_kill_and_resume(spawn, toys, tmp_path, numbers, lines, uninterrupted) -> None:
    folder, first, second = tmp_path / "run", tmp_path / "first.log", tmp_path / "second.log"
    records = folder / "records" / "rank-000.jsonl"
    process = spawn(arguments(toys, folder, first, 0.05))
    wait_for(records, 15)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "results.json").exists()
    whole = records.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    recorded = {json.loads(line)["request_hash"] for line in whole.splitlines()}
    assert 0 < len(recorded) < REQUESTS
    records.write_bytes(whole + whole.splitlines()[0][:50])  # what a kill in mid-write leaves

    process = spawn([*arguments(toys, folder, second, 0), "--resume"])
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert not recorded & set(asked(second))
    assert recorded | set(asked(second)) == set(asked(first)) | set(asked(second))
    assert len(asked(second)) == len(set(asked(second))) == REQUESTS - len(recorded)
    assert records.read_bytes().startswith(whole)
    assert len(lines(folder)) == TRIALS
    # the model options (delay, log) are another session's, the numbers are the same
    assert numbers(folder) == uninterrupted
    sessions = json.loads((folder / "run.json").read_text())["sessions"]
    assert len(sessions) == 2


def test_resume_of_a_finished_run_asks_nothing(cli, toys, tmp_path, numbers) -> None:
    folder = tmp_path / "run"
    common = ("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder)
    assert cli(*common).status == 0
    before, size = numbers(folder), (folder / "records" / "rank-000.jsonl").stat().st_size
    assert cli(*common, "--resume").status == 0
    assert numbers(folder) == before
    assert (folder / "records" / "rank-000.jsonl").stat().st_size == size


def test_failures_are_asked_again_only_on_demand(cli, toys, tmp_path, lines, monkeypatch) -> None:
    folder = tmp_path / "run"
    common = ("--model", "mock:", "--tasks", "toy", "--include_path", toys, "--output_path", folder)

    def failed() -> set[str]:
        results = json.loads((folder / "results.json").read_text())["tasks"]["toy"]["counts"]
        return results["failed"], results["answered"]

    with monkeypatch.context() as patch:
        from vlm_eval.core.types import Failure
        from vlm_eval.models.mock import Mock

        patch.setattr(Mock, "_failure", lambda *_: Failure("oom", "out of memory"))
        assert cli(*common).status == 1
    assert failed() == (TRIALS, 0)
    assert cli(*common, "--resume").status == 1
    assert failed() == (TRIALS, 0)
    assert len(lines(folder)) == TRIALS
    assert cli(*common, "--resume", "--retry_failures").status == 0
    assert failed() == (0, TRIALS)
    assert len(lines(folder)) == 2 * TRIALS  # the failures stay on disk
    assert cli("score", folder).status == 0
    assert failed() == (0, TRIALS)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (["--seed", "1"], "seed was 0 and is now 1"),
        (["--limit", "2"], "limit was null and is now 2"),
        (["--gen_kwargs", "temperature=1"], "decoding.temperature was null and is now 1;"),
        (["--output", "generate"], 'output was null and is now "generate"'),
        (["--model", "mock:seed=1"], "model.name"),
        (["--model_args", "seed=1"], "model.options.seed was 0 and is now 1"),
        (["--tasks", "scene-presence"], "tasks.scene-presence was null"),
    ],
)
def test_resume_refuses_another_question(cli, toys, tmp_path, change, field) -> None:
    folder = tmp_path / "run"
    common = ["--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder]
    assert cli(*common).status == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = cli(*common, *change, "--resume")
    assert run.status == 2
    assert field in run.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("Yes or No.", "Yes or no?", "tasks.toy.digest"),
        ("count: 5", "count: 6", "tasks.toy.digest"),
    ],
)
def test_resume_refuses_another_task_file(cli, toys, tmp_path, old, new, field) -> None:
    folder = tmp_path / "run"
    common = ("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder)
    assert cli(*common).status == 0
    text = (toys / "toy.yaml").read_text()
    (toys / "toy.yaml").write_text(text.replace(old, new))
    run = cli(*common, "--resume")
    assert run.status == 2
    assert field in run.err


def test_resume_refuses_other_data(cli, pairs, tmp_path) -> None:
    folder = tmp_path / "run"
    common = (
        "--model", "mock", "--tasks", "mis", "--data", f"mis={pairs}", "--output_path", folder,
    )  # fmt: skip
    assert cli(*common).status == 0
    text = (pairs / "metadata.jsonl").read_text()
    (pairs / "metadata.jsonl").write_text(text.replace("a red page", "a crimson page"))
    run = cli(*common, "--resume")
    assert run.status == 2
    assert "tasks.mis.data.digest" in run.err


def test_two_processes_cannot_write_one_run(cli, toys, tmp_path) -> None:
    folder = tmp_path / "run"
    common = ("--model", "mock", "--tasks", "toy", "--include_path", toys, "--output_path", folder)
    assert cli(*common).status == 0
    with RecordWriter(folder / "records" / "rank-000.jsonl"):
        run = cli(*common, "--resume")
    assert run.status == 2
    assert "another process is writing" in run.err
    with pytest.raises(RunError), RecordWriter(folder / "records" / "rank-000.jsonl"):
        RecordWriter(folder / "records" / "rank-000.jsonl")


def test_a_full_disk_keeps_what_is_recorded(spawn, toys, tmp_path, numbers, uninterrupted) -> None:
    """A limit on file sizes stands in for the full disk: a record is cut in the middle."""
    folder, first, second = tmp_path / "run", tmp_path / "first.log", tmp_path / "second.log"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))"
    process = spawn(arguments(toys, folder, first, 0), before=limit)
    out, err = process.communicate()
    assert process.returncode == 2
    assert out == ""
    errors = [line for line in err.splitlines() if "trials" not in line]
    assert len(errors) == 1
    assert errors[0].startswith("vlm_eval: error: ")
    assert "rank-000.jsonl: cannot be written" in errors[0]
    assert "--resume" in errors[0]
    whole = (folder / "records" / "rank-000.jsonl").read_bytes()
    assert whole.endswith(b"\n")
    recorded = {json.loads(line)["request_hash"] for line in whole.splitlines()}
    assert recorded

    process = spawn([*arguments(toys, folder, second, 0), "--resume"])
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert not recorded & set(asked(second))
    assert numbers(folder) == uninterrupted
