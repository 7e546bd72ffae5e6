"""Boards: the runs of one task that were asked the same, in the order of their accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from vlm_eval.comparison.same import SPEC_FIELDS, differing
from vlm_eval.core.errors import RunError
from vlm_eval.core.hashing import digest
from vlm_eval.core.types import Level
from vlm_eval.leaderboard.headline import Headline, accuracy, change, headline_of
from vlm_eval.leaderboard.ranking import Duel, Rank, Side, adjusted, duel, ranks
from vlm_eval.leaderboard.runs import Cell, Run
from vlm_eval.leaderboard.scores import SCORE, Key, Scored, TaskScores, recorded_scores, rescored
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean

TOLERANCE = 1e-9
"""Relative; above what another library version or processor does to the last digits."""


@dataclass(frozen=True)
class Entry:
    """A cell with the two numbers that it stands for, and where it stands.

    Attributes
    ----------
    cell
        The task of the run.
    label
        The model, with the run where the model alone does not say which.
    score, change
        Accuracy and mean paired change, see :mod:`vlm_eval.leaderboard.headline`.
    rank
        On its board.
    """

    cell: Cell
    label: str
    score: Mean
    change: Mean | None
    rank: Rank


@dataclass(frozen=True)
class Board:
    """Runs of one task that can be compared.

    Attributes
    ----------
    task
        The task's name.
    headline
        What the numbers are.
    entries
        Best first; equal ones by label.
    duels
        Every pair of entries, tested.
    measured
        Whether these are full measurements; otherwise ``reasons`` says why not.
    reasons
        ``synthetic``, ``limited``, ``unfinished``.
    differs
        The fields in which it differs from the task's first board of its kind; empty for that.
    """

    task: str
    headline: Headline
    entries: tuple[Entry, ...]
    duels: tuple[Duel, ...]
    measured: bool
    reasons: tuple[str, ...]
    differs: tuple[str, ...] = ()

    @property
    def leads(self) -> int:
        """How many entries no other is ahead of."""
        return sum(entry.rank.leads for entry in self.entries)


@dataclass(frozen=True)
class _Loaded:
    cell: Cell
    headline: Headline
    score: Mean
    change: Mean | None
    side: Side
    fingerprint: str


def make_boards(runs: Sequence[Run]) -> dict[str, list[Board]]:
    """Return the boards of every task, tasks by name; full measurements first, then the largest.

    Raises
    ------
    RunError
        If a run's results are not what its records say.
    """
    groups: dict[tuple[str, str], list[_Loaded]] = {}
    for run in runs:
        for one in _load(run):
            groups.setdefault((one.cell.task, one.fingerprint), []).append(one)
    labels = label_of(runs)
    boards: dict[str, list[Board]] = {}
    for (task, _), found in sorted(groups.items()):
        boards.setdefault(task, []).append(_board(task, found, labels))
    return {task: _told_apart(found) for task, found in boards.items()}


def label_of(runs: Sequence[Run]) -> dict[str, str]:
    """Return what each run is called, by its id: the model, with the run where that is not enough.

    It is not where two runs of a model have a task in common, or two models have one name.
    """
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.model, []).append(run)
    labels = {}
    for name, same in by_name.items():
        tasks = [task.task for run in same for task in run.results.tasks]
        alone = len(set(tasks)) == len(tasks) and len({run.model_digest for run in same}) == 1
        for run in same:
            labels[run.id] = name if alone else f"{name} ({run.id})"
    return labels


def _load(run: Run) -> Iterator[_Loaded]:
    cells = [Cell(run, result) for result in run.results.tasks]
    recorded = recorded_scores(run.folder, [cell.task for cell in cells])
    anew: dict[str, dict[Key, Scored]] | None = None
    for cell in cells:
        headline, found = headline_of(cell), recorded[cell.task]
        trials, mean = found.trials, accuracy(found.trials, headline.where)
        if dict(cell.result.counts.rules) != found.rules or not agrees(cell, headline, mean):
            anew = anew or rescored(run.folder, [one.task for one in cells])
            trials = anew[cell.task]
            mean = accuracy(trials, headline.where)
            if not agrees(cell, headline, mean):
                raise RunError(
                    f"task {cell.task}: accuracy is not what the records say ({mean.value})",
                    where=str(run.folder.path),
                    hint="run: vlm_eval score",
                )
        at = {
            key: trial
            for key, trial in trials.items()
            if all(trial.condition.get(k) == level for k, level in headline.where.items())
        }
        yield _Loaded(
            cell, headline, mean, change(trials, headline), Side(at),
            _fingerprint(cell, headline, found),
        )  # fmt: skip


def agrees(cell: Cell, headline: Headline, mean: Mean) -> bool:
    """Return whether the results say the same of the headline, if they have it."""
    for estimate in cell.result.estimates:
        if estimate.name == SCORE and dict(estimate.where) == dict(headline.where):
            return (estimate.n, estimate.clusters) == (mean.n, mean.clusters) and close(
                estimate.value, mean.value
            )
    return True


def close(one: Any, other: Any) -> bool:
    """Return whether two numbers, or other values, are equal but for the last digits."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)


def _fingerprint(cell: Cell, headline: Headline, scores: TaskScores) -> str:
    """Return the identity of what was asked, and of what its headline is."""
    declared, manifest = cell.declared, cell.run.manifest
    unfinished = bool(cell.result.counts.missing)
    return digest(
        [
            cell.task,
            declared["version"],
            {key: declared["spec"].get(key) for key in SPEC_FIELDS},
            declared["data"]["digest"],
            [manifest["seed"], manifest["limit"], cell.result.synthetic],
            "unfinished" if unfinished else scores.asked,
            [dict(headline.where), headline.factor, headline.baseline, list(headline.levels)],
        ]
    )


def _board(task: str, found: Sequence[_Loaded], labels: Mapping[str, str]) -> Board:
    def place(one: _Loaded) -> tuple[float, str]:
        return -(-1.0 if one.score.value is None else one.score.value), labels[one.cell.run.id]

    order = sorted(found, key=place)
    clusters: dict[int, Clusters] = {}
    tests = {
        (i, j): duel(order[i].side, order[j].side, task, clusters)
        for i, j in combinations(range(len(order)), 2)
    }
    duels = adjusted(tests)
    entries = [
        Entry(one.cell, labels[one.cell.run.id], one.score, one.change, rank)
        for one, rank in zip(order, ranks(len(order), duels), strict=True)
    ]
    reasons = order[0].cell.reasons
    return Board(task, order[0].headline, tuple(entries), tuple(duels), not reasons, reasons)


def _told_apart(boards: Iterable[Board]) -> list[Board]:
    """Return a task's boards in order, each with what tells it from the first of its kind."""
    order = sorted(boards, key=lambda b: (not b.measured, -len(b.entries), b.entries[0].label))
    first: dict[bool, Board] = {}
    found = []
    for board in order:
        if board.measured not in first:
            first[board.measured] = board
            found.append(board)
            continue
        found.append(replace(board, differs=_fields(first[board.measured], board)))
    return found


def _fields(one: Board, other: Board) -> tuple[str, ...]:
    a, b = one.entries[0].cell, other.entries[0].cell
    fields = [found.field for found in differing(a.run.manifest, b.run.manifest, one.task)]
    if one.reasons != other.reasons:
        fields.append("completeness")
    if not fields and one.headline != other.headline:
        fields.append("metrics")
    return tuple(fields) or ("recorded prompts or images",)


def shown_where(where: Mapping[str, Level]) -> str:
    """Return levels as text."""
    return ", ".join(f"{name} {level}" for name, level in where.items())
