"""Whether the numbers are those of the records, and the site that of the numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import RunError
from vlm_eval.leaderboard.boards import close
from vlm_eval.leaderboard.runs import Run
from vlm_eval.runner.summarise import recompute, tasks_of


def run_drift(run: Run) -> Iterator[str]:
    """Yield what a run's results say that its records do not, each in one line.

    Every record is parsed and scored, and every metric computed, anew.

    Raises
    ------
    VlmEvalError
        If the records cannot be read, or a task does not load here.
    """
    stored = run.results.to_json()
    asked, copied = (
        {key: value for key, value in manifest.items() if key != "sessions"}
        for manifest in (run.folder.manifest(), run.manifest)
    )
    yield from (f"{run.id}: run.json: {line}" for line in _differences(copied, asked))
    now = recompute(run.folder, tasks_of(run.folder)).to_json()
    for name in ("model", "complete", "torn", "records"):
        if stored[name] != now[name]:
            yield f"{run.id}: {name}: results.json has {stored[name]}, the records {now[name]}"
    for task in [*now["tasks"], *(t for t in stored["tasks"] if t not in now["tasks"])]:
        one, other = stored["tasks"].get(task), now["tasks"].get(task)
        if one is None or other is None:
            place = "run.json" if one is None else "results.json"
            yield f"{run.id}: task {task} is only in {place}"
        else:
            yield from (f"{run.id}: {task}: {line}" for line in _task_drift(one, other))


def _task_drift(stored: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("estimates", "comparisons"):
        if len(stored[kind]) != len(now[kind]):
            yield f"{len(stored[kind])} {kind} in results.json, {len(now[kind])} from the records"
            continue
        for one, other in zip(stored[kind], now[kind], strict=True):
            yield from (f"{_named(other)}: {line}" for line in _differences(one, other))
    scalars = {k: v for k, v in now.items() if k not in ("estimates", "comparisons")}
    yield from _differences({key: stored.get(key) for key in scalars}, scalars)


def _named(number: Mapping[str, Any]) -> str:
    where = ", ".join(f"{k}={v}" for k, v in number["where"].items())
    level = f" {number['factor']} {number['level']}" if "factor" in number else ""
    return f"{number['name']}{level}{f' [{where}]' if where else ''}"


def _differences(stored: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for key in [*now, *(key for key in stored if key not in now)]:
            inner = f"{name}.{key}" if name else str(key)
            yield from _differences(stored.get(key), now.get(key), inner)
    elif not close(_number(stored), _number(now)):
        yield f"{name} is {stored} in results.json and should be {now}"


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def site_drift(site: Path, fresh: Path) -> Iterator[str]:
    """Yield the files of a site that are not those of a fresh build."""
    one, other = _digests(site), _digests(fresh)
    for name in sorted(one.keys() | other.keys()):
        if name not in one:
            yield f"site: {name} is missing"
        elif name not in other:
            yield f"site: {name} does not belong to it"
        elif one[name] != other[name]:
            yield f"site: {name} is not what these runs give"


def _digests(folder: Path) -> dict[str, str]:
    try:
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(folder)) from error


def all_drift(runs: Sequence[Run]) -> list[str]:
    """Return the drift of all runs."""
    return [line for run in runs for line in run_drift(run)]
