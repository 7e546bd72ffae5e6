"""Which run folders there are, and what each says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import digest
from vlm_eval.runner.folder import RESULTS, RUN, RunFolder
from vlm_eval.runner.results import Results, TaskResult

DEPTH = 4  # folders below the given one, at most


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes
    ----------
    id
        Its path below the folder of runs, with ``/``.
    folder
        The run folder.
    results
        Its ``results.json``.
    """

    id: str
    folder: RunFolder
    results: Results

    @property
    def model(self) -> str:
        """The model's name."""
        return self.results.model

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What was asked: the copy of ``run.json`` in the results."""
        return self.results.run

    @cached_property
    def model_digest(self) -> str:
        """Identity of the model: its name, and all that it says decides its answers."""
        return digest(self.manifest["model"])

    @cached_property
    def records_digest(self) -> str:
        """Identity of what was recorded, as the results declare it."""
        return digest({name: entry["sha256"] for name, entry in self.results.records.items()})


@dataclass(frozen=True)
class Cell:
    """One task of one run."""

    run: Run
    result: TaskResult

    @property
    def task(self) -> str:
        """The task's name."""
        return self.result.task

    @property
    def declared(self) -> Mapping[str, Any]:
        """What ``run.json`` says about the task."""
        entry: Mapping[str, Any] = self.run.manifest["tasks"][self.task]
        return entry

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no full measurement of the benchmark; empty if it is one."""
        found = []
        if self.result.synthetic:
            found.append("synthetic")
        if self.run.manifest["limit"] is not None:
            found.append("limited")
        if self.result.counts.missing:
            found.append("unfinished")
        return tuple(found)


def find_runs(root: Path) -> tuple[list[Run], list[str]]:
    """Return the finished runs below a folder, by id, and the ids of unfinished ones.

    Raises
    ------
    RunError
        If there is no folder or no finished run, or a run cannot be read.
    """
    if not root.is_dir():
        raise RunError("no such folder", where=str(root), hint="give a folder of run folders")
    finished, unfinished = [], []
    for path in _run_folders(root):
        name = path.relative_to(root).as_posix()
        if (path / RESULTS).is_file():
            finished.append(read_run(path, name))
        else:
            unfinished.append(name)
    if not finished:
        hint = "give a folder whose folders have been written by vlm_eval run"
        raise RunError("holds no finished run", where=str(root), hint=hint)
    return finished, unfinished


def _run_folders(root: Path) -> list[Path]:
    found: list[Path] = []
    level: Sequence[Path] = [root]
    for _ in range(DEPTH):
        below = []
        for folder in level:
            if folder != root and (folder / RUN).is_file():
                found.append(folder)
            else:
                below += [p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()]
        level = below
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def read_run(path: Path, name: str) -> Run:
    """Read a run. Raises RunError if its results are damaged or miss what a run has."""
    folder = RunFolder(path)
    try:
        results = Results.from_json(folder.results(), path)
        for task in results.tasks:
            results.run["tasks"][task.task]["data"]["digest"]
        _ = results.run["limit"], results.run["seed"], results.run["model"]["name"]
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"is not what a run writes ({error})",
            where=str(path / RESULTS),
            hint="run: vlm_eval score",
        ) from error
    return Run(name, folder, results)
