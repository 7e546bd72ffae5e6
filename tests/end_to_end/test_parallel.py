"""Several processes: the same records as one, and none lost or doubled when some are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
TOY_TRIALS = 600

# The second question about a scene tells what was answered to the first.
FOLLOWER = """\
task: follower
version: 1.0.0
title: A question that follows another
data: {source: scenes, count: 60, questions: 4}
sample_id: "{{ scene_id }}-{{ object | replace(' ', '_') }}"
cluster: "{{ scene_id }}"
factors: {turn: [first, second]}
follows: {when: "turn == 'second'", condition: {turn: first}}
prompt:
  content:
    - {image: image}
    - {text: "Is there a {{ object }}? Yes or No."}
    - {text: " You said {{ first_answer }}.", when: "turn == 'second'"}
output: {kind: generate, choices: ["Yes", "No"]}
gold: "{{ present }}"
parser: {name: yes_no}
metrics: [accuracy]
"""


@pytest.fixture
def tasks(toys: Path) -> Path:
    """The folder of three tasks: many units, dependent trials, and questions shared by units."""
    text = (toys / "toy.yaml").read_text().replace("count: 5", "count: 50")
    (toys / "toy.yaml").write_text(text)
    (toys / "follower.yaml").write_text(FOLLOWER)
    shared = text.replace("task: toy", "task: shared").replace("count: 50", "count: 80")
    shared = shared.replace("    - {image: image}\n", "")  # so that few questions are left
    (toys / "shared.yaml").write_text(shared)
    return toys


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Return what starts the command line, by default ``python -m vlm_eval``."""

    def start(*arguments: object, by: tuple[str, ...] = (), **environment: str) -> Any:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "MASTER_"))}
        return subprocess.Popen(
            [sys.executable, *by, "-m", "vlm_eval", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**clean, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip

    return start


def arguments(tasks: Path, folder: Path, names: str = "toy", delay: float = 0.0) -> list[object]:
    return [
        "--model", "mock:fail=0.1", "--model_args", f"delay={delay}", "--tasks", names,
        "--include_path", tasks, "--output_path", folder, "--max_failures", 1,
    ]  # fmt: skip


def sorted_records(folder: Path) -> list[str]:
    found = []
    for path in (folder / "records").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            del record["seconds"]
            found.append(json.dumps(record))
    return sorted(found)


def by_trial(folder: Path) -> Counter[tuple[str, str, str]]:
    """How many lines that are records there are of each trial."""
    found: Counter[tuple[str, str, str]] = Counter()
    for path in (folder / "records").glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                record = json.loads(line)
                found[record["task"], record["sample_id"], str(record["condition"])] += 1
    return found


def recorded(folder: Path) -> int:
    return sum(p.read_bytes().count(b"\n") for p in (folder / "records").glob("*.jsonl"))


def process_id(folder: Path, rank: int) -> int | None:
    """The process that beats as this rank."""
    for path in (folder / "work").glob(f"*/rank-{rank:03d}.json"):
        try:
            return int(json.loads(path.read_text())["pid"])
        except (OSError, ValueError):
            return None
    return None


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Wait until a condition holds; false if the process ends before."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "the run does not get on"
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return True


def ended(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    return out, err


def test_one_two_and_three_processes_record_the_same(start, cli, tasks, tmp_path, numbers) -> None:
    """Three tasks of different length, one with dependent trials; a tenth of all requests fails."""
    names = "toy,follower,shared"
    assert cli(*arguments(tasks, tmp_path / "1", names)).status == 0
    one = sorted_records(tmp_path / "1")
    for size in (2, 3):
        folder = tmp_path / str(size)
        process = start(*arguments(tasks, folder, names, 0.002), "--num_processes", size)
        out, _ = ended(process)
        assert "accuracy" in out
        assert sorted_records(folder) == one
        assert numbers(folder) == numbers(tmp_path / "1")
        files = sorted(path.name for path in (folder / "records").iterdir())
        assert files == [f"rank-{rank:03d}.jsonl" for rank in range(size)]
        assert all((folder / "records" / name).stat().st_size for name in files), "all took part"
        assert not (folder / "work").exists()
        session = json.loads((folder / "run.json").read_text())["sessions"][-1]
        assert [rank["state"] for rank in session["ranks"]] == ["finished"] * size
        assert json.loads((folder / "results.json").read_text())["torn"] == 0


@pytest.mark.slow
def test_killed_at_twenty_random_points(start, cli, tasks, tmp_path, numbers) -> None:
    """Ten runs: one of three ranks is killed, and later all that is left; then one continues."""
    assert cli(*arguments(tasks, tmp_path / "whole")).status == 0
    whole, expected = numbers(tmp_path / "whole"), set(by_trial(tmp_path / "whole"))
    assert len(expected) == TOY_TRIALS
    rng = random.Random(4)
    kills: Counter[str] = Counter()
    for number in range(10):
        folder = tmp_path / str(number)
        first, second = sorted(rng.sample(range(1, TOY_TRIALS - 30), 2))
        victim = rng.randrange(3)
        process = start(*arguments(tasks, folder, delay=0.004), "--num_processes", 3, "--quiet")
        if wait_for(lambda f=folder, v=victim: process_id(f, v), process) and wait_for(
            lambda f=folder, n=first: recorded(f) >= n, process
        ):
            os.kill(process_id(folder, victim), signal.SIGKILL)
            kills["one"] += 1
        if wait_for(lambda f=folder, n=second: recorded(f) >= n, process):
            left = [process_id(folder, rank) for rank in range(3) if rank != victim]
            process.kill()
            for pid in filter(None, left):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            kills["all"] += 1
        process.communicate()
        if process.returncode != 0:
            before = by_trial(folder)
            assert not (folder / "results.json").exists()
            run = cli(*arguments(tasks, folder), "--resume", "--quiet")
            assert run.status == 0, run.err
            assert not before - by_trial(folder)
            asked_again = by_trial(folder) - before
            assert not set(asked_again) & set(before), "what is recorded is not asked again"
        assert set(by_trial(folder)) == expected
        assert numbers(folder) == whole
        counts = json.loads((folder / "results.json").read_text())["tasks"]["toy"]["counts"]
        assert counts["answered"] + counts["failed"] == counts["trials"] == TOY_TRIALS
    assert kills["one"] >= 8
    assert kills["all"] >= 8


def test_the_others_do_the_work_of_one_that_is_killed(start, cli, tasks, tmp_path, numbers) -> None:
    assert cli(*arguments(tasks, tmp_path / "whole")).status == 0
    folder = tmp_path / "run"
    process = start(*arguments(tasks, folder, delay=0.01), "--num_processes", 3)
    assert wait_for(lambda: process_id(folder, 0) and recorded(folder) >= 60, process)
    os.kill(process_id(folder, 0), signal.SIGKILL)
    _, err = ended(process)
    assert err.count("rank 0 was ended by SIGKILL; the others go on") == 1
    assert "Traceback" not in err
    assert set(by_trial(folder).values()) == {1}
    assert sorted_records(folder) == sorted_records(tmp_path / "whole")
    assert numbers(folder) == numbers(tmp_path / "whole")
    session = json.loads((folder / "run.json").read_text())["sessions"][-1]
    assert [rank["state"] for rank in session["ranks"]] == ["dead", "finished", "finished"]


def test_a_rank_that_hangs_is_given_up(start, tasks, tmp_path, numbers) -> None:
    folder = tmp_path / "run"
    process = start(*arguments(tasks, folder, delay=0.01), "--num_processes", 2, "--lease", 4)
    assert wait_for(lambda: process_id(folder, 1) and recorded(folder) >= 40, process)
    os.kill(process_id(folder, 1), signal.SIGSTOP)
    _, err = ended(process)
    assert "rank 1 hangs and is ended; its work is done" in err
    assert len(by_trial(folder)) == TOY_TRIALS
    assert numbers(folder)["toy"]["counts"]["missing"] == 0


def test_ranks_end_with_their_parent_and_another_size_continues(
    start, cli, tasks, tmp_path, numbers
) -> None:
    folder = tmp_path / "run"
    process = start(*arguments(tasks, folder, delay=0.05), "--num_processes", 3)
    assert wait_for(lambda: process_id(folder, 2) and recorded(folder) >= 30, process)
    ranks = [process_id(folder, rank) for rank in range(3)]
    process.kill()
    process.communicate()  # returns when the ranks, which hold its standard error, are gone too
    end = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/stat").exists() for pid in ranks):
        assert time.monotonic() < end, "a rank lives on"
        time.sleep(0.05)
    before = by_trial(folder)
    ended(start(*arguments(tasks, folder), "--num_processes", 2, "--resume"))
    assert not set(by_trial(folder) - before) & set(before)
    assert set(by_trial(folder).values()) == {1}
    assert len(numbers(folder)) == 1
    assert len(by_trial(folder)) == TOY_TRIALS


@pytest.fixture
def heeded() -> Iterator[None]:
    """What is started heeds interrupts, though the tests were perhaps started with ``&``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_an_interrupt_ends_ranks_that_are_starting_in_one_line(start, tasks, tmp_path) -> None:
    process = start(*arguments(tasks, tmp_path / "run"), "--num_processes", 2)
    assert wait_for(lambda: len(children(process.pid)) == 2, process)
    ranks = children(process.pid)
    time.sleep(0.5)  # so that they are importing
    for pid in (*ranks, process.pid):  # as a terminal does, to all of them
        os.kill(pid, signal.SIGINT)
    assert ended(process, 130) == ("", "\nvlm_eval: interrupted\n")
    end = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in ranks):
        assert time.monotonic() < end, "a rank has outlived its parent"
        time.sleep(0.05)


def test_all_die(start, tasks, tmp_path) -> None:
    folder = tmp_path / "run"
    process = start(*arguments(tasks, folder, delay=0.05), "--num_processes", 2, "--quiet")
    assert wait_for(lambda: all(process_id(folder, rank) for rank in range(2)), process)
    for rank in range(2):
        os.kill(process_id(folder, rank), signal.SIGKILL)
    out, err = ended(process, 2)
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("vlm_eval: error: no process is left: rank 0 was ended by SIGKILL")
    assert last.endswith("continue with --resume")


def test_a_fault_of_all_ranks_is_said_once(start, tasks, tmp_path) -> None:
    folder = tmp_path / "run"
    process = start(
        "--model", "mock:fial=1", "--tasks", "toy", "--include_path", tasks,
        "--output_path", folder, "--num_processes", 3,
    )  # fmt: skip
    out, err = ended(process, 2)
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("vlm_eval: error: ")
    assert "'fial'" in line
    assert "did you mean fail?" in line
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "mock", "--num_processes", 0), "--num_processes 0 must be 1 or more"),
        (("--model", "mock", "--num_processes", 2, "--lease", 0), "--lease 0.0 is no time"),
        (
            ("--model", "tiny", "--model_args", "device_map=auto", "--num_processes", 2),
            "device_map spreads one process",
        ),
        (("--model", "moc", "--num_processes", 2), "unknown model 'moc'"),
    ],
)
def test_wrong_arguments_are_refused_before_any_process(cli, tasks, tmp_path, options, words):
    run = cli(
        *options, "--tasks", "toy", "--include_path", tasks, "--output_path", tmp_path / "run"
    )
    assert run.status == 2
    assert run.err.count("\n") == 1
    assert words in run.err
    assert not (tmp_path / "run").exists()


LAUNCHERS = {
    "torchrun": "-m torch.distributed.run --standalone --nproc_per_node 2",
    "accelerate": "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    " --mixed_precision no --dynamo_backend no --main_process_port 0",
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers(start, cli, tasks, tmp_path, numbers, launcher) -> None:
    """Processes that a launcher has started, by the commands of docs/parallel.md."""
    assert cli(*arguments(tasks, tmp_path / "whole")).status == 0
    folder = tmp_path / "run"
    by = LAUNCHERS[launcher].split()
    out, err = ended(start(*arguments(tasks, folder, delay=0.02), by=by))
    assert out.count("mock:fail=0.1 on toy") == 1
    assert "600 of 600 trials (100 %)" in err
    assert sorted_records(folder) == sorted_records(tmp_path / "whole")
    assert numbers(folder) == numbers(tmp_path / "whole")
    assert (folder / "records" / "rank-001.jsonl").stat().st_size > 0
    assert not (folder / "work").exists()


def test_a_fault_of_rank_zero_is_said_once(start, tasks, tmp_path) -> None:
    """Two processes with an address and no launcher: rank 0 keeps the store itself."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        start(*arguments(tasks, folder), **common, RANK=rank, LOCAL_RANK=rank) for rank in "01"
    ]
    errors = [ended(process, 2)[1] for process in processes]
    assert errors[1] == ""
    assert "is not empty and holds no run" in errors[0]
    assert errors[0].count("\n") == 1


def test_srun(start, cli, tasks, tmp_path, numbers) -> None:
    """Without an address the ranks meet in the run folder, whichever comes first."""
    assert cli(*arguments(tasks, tmp_path / "whole")).status == 0
    folder = tmp_path / "run"
    step = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}
    processes = [
        start(
            *arguments(tasks, folder, delay=0.01),
            **step, SLURM_PROCID=rank, SLURM_LOCALID=rank,
        )
        for rank in ("1", "0")
    ]  # fmt: skip
    outs = [ended(process)[0] for process in processes]
    assert [bool(out) for out in outs] == [False, True], "rank 0 prints"
    assert sorted_records(folder) == sorted_records(tmp_path / "whole")
    assert numbers(folder) == numbers(tmp_path / "whole")


def test_a_launched_rank_needs_a_common_folder(cli, tasks, monkeypatch) -> None:
    for name, value in {"PROCID": "1", "JOB_ID": "1", "STEP_ID": "0", "NTASKS": "2"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    asked = ("--model", "mock", "--tasks", "toy", "--include_path", tasks)
    assert "give --output_path" in cli(*asked).err
    assert "leave --num_processes to it" in cli(*asked, "--num_processes", 2).err
