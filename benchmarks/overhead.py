"""Measures what vlm_eval costs beside the model: VLM-Fix with the mock backend.

    python benchmarks/overhead.py

Runs the group ``vlm-fix`` (110,400 trials) and a quarter of it, each in a process of its own, and
prints for each phase CPU microseconds a trial and trials a second, and the peak memory of the
process at the end of each, which shows what memory grows by. CPU time, since other work on the
machine does not enter it. The mock's own time is counted apart. ``--processes 2`` adds a run of the
whole command with so many ranks: wall time, start-up included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlm_eval import evaluate
from vlm_eval.core.types import Request, Response
from vlm_eval.models.mock import Mock

TASKS = "vlm-fix"
PHASES = ("plan", "execute", "mock", "summarise")


class Clocked(Mock):
    """A mock that keeps the CPU time of its own work, and the state when it is asked of itself.

    A run asks for the description when planning ends and again when the last answer is there. What
    is kept then are the CPU time and the peak memory so far, in bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.described: list[tuple[float, int]] = []

    def describe(self) -> Mapping[str, Any]:
        """Return what a mock says of itself."""
        self.described.append((time.process_time(), _peak()))
        return super().describe()

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer as a mock does."""
        return self._timed(super().generate(requests))

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Answer as a mock does."""
        return self._timed(super().loglikelihood(requests))

    def _timed(self, responses: Iterator[Response]) -> Iterator[Response]:
        while True:
            began = time.process_time()
            response = next(responses, None)
            self.seconds += time.process_time() - began
            if response is None:
                return
            yield response


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, nargs="+", default=[300, 1200], help="samples a task")
    parser.add_argument("--processes", type=int, default=0, help="also run with so many ranks")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    print(f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, {_processor()}, Python", end=" ")
    print(platform.python_version(), end="\n\n")
    print(
        "| trials | phase | CPU s | us a trial | trials a second |",
        "|---|---|---|---|---|",
        sep="\n",
    )
    found = [_in_process(boards) for boards in arguments.boards]
    for run in found:
        for phase in (*PHASES, "all but mock"):
            seconds = run["seconds"][phase]
            rate = run["trials"] / seconds
            print(
                f"| {run['trials']:,} | {phase} | {seconds:.1f} | {1e6 / rate:.0f} | {rate:,.0f} |"
            )
    print(
        "\n| trials | peak memory, MB: when planned | when asked | at the end |",
        end="\n|---|---|---|---|\n",
    )
    for run in found:
        print(f"| {run['trials']:,} |", *(f"{peak / 2**20:.1f} |" for peak in run["peaks"]))
    if len(found) > 1:
        first, last = found[0], found[-1]
        more = last["trials"] - first["trials"]
        growth = (last["peaks"][-1] - first["peaks"][-1]) / more
        print(f"\nPeak memory grows by {growth:.0f} bytes a trial.")
    if arguments.processes:
        wall = _command(arguments.processes)
        rate = found[-1]["trials"] / wall
        print(f"\n{arguments.processes} ranks: {wall:.1f} s of wall time, {rate:,.0f} trials/s.")


def measure(boards: int) -> dict[str, Any]:
    """Run once in this process; return its trials, CPU seconds a phase and peak memory in bytes."""
    model = Clocked()
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        results = evaluate(
            model, TASKS, limit=boards, output_path=Path(folder) / "run", progress=False
        )
        ended = time.process_time()
    (planned, peak_planned), (answered, peak_asked) = model.described[0], model.described[-1]
    seconds = {
        "plan": planned - began,
        "execute": answered - planned - model.seconds,
        "mock": model.seconds,
        "summarise": ended - answered,
        "all but mock": ended - began - model.seconds,
    }
    trials = sum(task.counts.trials for task in results.tasks)
    return {"trials": trials, "seconds": seconds, "peaks": [peak_planned, peak_asked, _peak()]}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _in_process(boards: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(boards)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def _command(processes: int) -> float:
    """Return the wall seconds of the whole command with several ranks."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "vlm_eval", "--model", "mock", "--tasks", TASKS]
        command += ["--num_processes", str(processes), "--output_path", f"{folder}/run"]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
