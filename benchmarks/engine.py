"""Times each level of the engine and the naive loop on the same requests, interleaved.

    python benchmarks/engine.py --rounds 3 --out benchmarks/results/engine.json

Every measurement is a process of its own, so that peak memory is that of the method alone; a round
runs every method once, in rotated order. Ratios are of CPU seconds on a CPU (other work on the
machine does not enter) and of wall seconds on a GPU. Loading is not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from checkpoint import SIZES, build
from workloads import WORKLOADS

METHODS = ("loop", "naive", "memo", "prefix", "tree")
HERE = Path(__file__).parent


def main() -> None:
    """Measure, print the tables and write the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/.models"))
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--samples", type=int, default=1, help="images, or samples of a task")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    import torch

    checkpoint = build(
        arguments.size,
        arguments.folder / f"{arguments.size}-{arguments.dtype}",
        dtype=getattr(torch, arguments.dtype),
        device=arguments.device,
    )
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for workload in arguments.workloads:
        found[workload] = runs = defaultdict(list)
        for number in range(arguments.rounds):
            shift = number % len(arguments.methods)
            for method in [*arguments.methods[shift:], *arguments.methods[:shift]]:
                runs[method].append(_measure(checkpoint, workload, method, arguments))
        print(table(workload, runs, "cpu" if arguments.device == "cpu" else "wall"), flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(_report(arguments, found), indent=1) + "\n")


def _measure(checkpoint: Path, workload: str, method: str, given: Any) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "measure.py"), str(checkpoint), workload, method]
    for name in ("samples", "threads", "device", "dtype"):
        command += [f"--{name}", str(getattr(given, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{workload} {method}:\n{done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def table(workload: str, runs: dict[str, list[dict[str, Any]]], clock: str) -> str:
    """Return a Markdown table: seconds, ratio to the loop with its range, memory, differences."""
    base = runs["loop"]
    lines = [
        f"\n### {workload}: {base[0]['requests']} requests, {base[0]['passes']} options or answers",
        f"| method | {clock} s | times the loop | peak MB | largest difference | flips |",
        "|---|---|---|---|---|---|",
    ]
    for method, measured in runs.items():
        ratios = [b[clock] / m[clock] for b, m in zip(base, measured, strict=True)]
        apart, flips = differences(base[0]["results"], measured[0]["results"])
        name = method
        if measured[0]["engine"] and measured[0]["engine"]["level"] != method:
            name += f" ({measured[0]['engine']['level']})"
        memory = median(m["gpu"] or m["rss"] for m in measured)
        lines.append(
            f"| {name} | {median(m[clock] for m in measured):.2f} | {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {memory:.0f} | {apart:.1e} | {flips} |"
        )
    return "\n".join(lines)


def differences(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, int]:
    """Return the largest difference of an option's score, and how many answers differ."""
    apart, flips = 0.0, 0
    for key, first in one.items():
        second = other[key]
        if isinstance(first, str):
            flips += first != second
            continue
        apart = max(apart, *(abs(a - b) for a, b in zip(first, second, strict=True)))
        flips += first.index(max(first)) != second.index(max(second))
    return apart, flips


def _report(given: Any, found: dict[str, Any]) -> dict[str, Any]:
    import torch
    import transformers

    for runs in found.values():
        for measured in runs.values():
            for each in measured:
                each.pop("results")
    device = torch.cuda.get_device_name() if given.device != "cpu" else platform.processor()
    return {
        "when": time.strftime("%Y-%m-%d"),
        "machine": {"device": device, "threads": given.threads, "python": sys.version.split()[0]},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "model": given.size,
        "dtype": given.dtype,
        "samples": given.samples,
        "runs": found,
    }


if __name__ == "__main__":
    main()
