"""How long a leaderboard of many runs takes to build and to check.

    python benchmarks/leaderboard.py --runs 50 --limit 100

One mock run is asked once; every further run is a copy of it under another name, with each trial
answered rightly at a rate of its own that is lower away from the baselines. The numbers therefore
look like those of models, and come from no model.
"""

from __future__ import annotations

import argparse
import dataclasses
import filecmp
import json
import tempfile
import time
from pathlib import Path

import vlm_eval
from vlm_eval.core.hashing import derive_rng
from vlm_eval.leaderboard.site import check, leaderboard
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import Record
from vlm_eval.runner.summarise import tasks_of

TASKS = (
    "vlm-fix-inverse", "vlm-fix-renders", "mis", "mic", "sugarcrepe", "pope-perturbed",
)  # fmt: skip
EMBEDDED = dict.fromkeys(("sugarcrepe", "pope-perturbed"), "embedded")


def main() -> None:
    """Make the runs, build twice, compare, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--limit", type=int, default=100, help="samples a task")
    parser.add_argument(
        "--folder", type=Path, help="make the runs here, or use those that are there"
    )
    parser.add_argument("--check", action="store_true", help="also time --check")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "runs"
        site = Path(scratch) / "site"
        if not folder.exists():
            make_runs(folder, arguments.runs, arguments.limit)
        trials = sum(
            1 for path in folder.rglob("*.jsonl") for line in path.open("rb") if line.strip()
        )
        seconds = []
        for name in ("site", "again"):
            start = time.perf_counter()
            leaderboard(folder, site.with_name(name))
            seconds.append(round(time.perf_counter() - start, 1))
        found = {
            "runs": len(list(folder.iterdir())), "tasks": len(TASKS), "trials": trials,
            "build_seconds": seconds, "same_bytes": same(site, site.with_name("again")),
        }  # fmt: skip
        if arguments.check:
            start = time.perf_counter()
            found["drift"] = len(check(folder, site))
            found["check_seconds"] = round(time.perf_counter() - start, 1)
        print(json.dumps(found))


def make_runs(folder: Path, count: int, limit: int) -> None:
    """Make ``count`` run folders."""
    first = folder / "model-00"
    vlm_eval.evaluate(
        "mock", list(TASKS), limit=limit, output_path=first, data=EMBEDDED, progress=False
    )
    origin = RunFolder(first)
    manifest = origin.manifest()
    tasks = {task.name: task for task in tasks_of(origin)}
    path = Path("records/rank-000.jsonl")
    records = [Record.from_line(line) for line in (first / path).open("rb")]
    for number in range(count):
        name = f"model-{number:02d}"
        target = folder / name
        (target / "records").mkdir(parents=True, exist_ok=True)
        manifest["model"]["name"] = name
        manifest["limit"] = None
        for entry in manifest["tasks"].values():
            entry["data"]["synthetic"] = entry["task"] == "pope-perturbed"
        (target / "run.json").write_text(json.dumps(manifest))
        with (target / path).open("wb") as file:
            for record in records:
                file.write(answered(record, tasks[record.task].factors, number).to_line())
        vlm_eval.score(target)


def answered(record: Record, factors: object, number: int) -> Record:
    """Return the record with another answer: right more often at the baselines."""
    rng = derive_rng(number, record.task, record.sample_id, json.dumps(dict(record.condition)))
    ability = derive_rng(number, record.task, "ability").uniform(0.55, 0.9)
    fragility = derive_rng(number, record.task, "fragility").uniform(0.0, 0.15)
    away = sum(record.condition[name] != levels[0] for name, levels in factors.items())  # type: ignore[attr-defined]
    choices = record.choices or ("Yes", "No")
    wrong = next((choice for choice in choices if choice != record.gold), "none")
    said = record.gold if rng.random() < ability - fragility * min(away, 2) else wrong
    if record.logprobs is None:
        return dataclasses.replace(record, raw=said, answer=said)
    return dataclasses.replace(
        record, logprobs=tuple(-0.1 if c == said else -3.0 for c in choices), answer=said,
        scores={**record.scores, "accuracy": float(said == record.gold)},
    )  # fmt: skip


def same(one: Path, other: Path) -> bool:
    """Return whether two folders have the same files with the same bytes."""
    names = sorted(str(p.relative_to(one)) for p in one.rglob("*") if p.is_file())
    others = sorted(str(p.relative_to(other)) for p in other.rglob("*") if p.is_file())
    return names == others and not any(filecmp.cmpfiles(one, other, names, shallow=False)[1:])


if __name__ == "__main__":
    main()
