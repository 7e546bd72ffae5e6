"""Every trial of a run with what became of it, and what is counted over pairs of trials."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from vlm_eval.core.types import Level, condition_key
from vlm_eval.runner.records import Record
from vlm_eval.runner.rows import score_record
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.results import Comparison
from vlm_eval.tasks.scoring import Scored
from vlm_eval.tasks.task import Task

Outcome: TypeAlias = Literal["right", "wrong", "partial", "unparsed", "failed"]
Flip: TypeAlias = Literal["to_wrong", "to_right"]
Baselines: TypeAlias = Mapping[str, Mapping[Level, Level]]
"""By factor and level, the level that it is compared with."""
OUTCOMES: tuple[Outcome, ...] = ("right", "wrong", "partial", "unparsed", "failed")
ANSWERS = 7  # distinct answers that a flip matrix can hold; more are open answers
CELLS, COLUMNS = 60, 12  # of a cross table, at most


@dataclass(frozen=True)
class Said:
    """One trial: its record, and the answer and scores that are found in it now."""

    record: Record
    scored: Scored

    @property
    def accuracy(self) -> float | None:
        """The score; None of a failure."""
        return self.scored.scores.get("accuracy")

    @property
    def outcome(self) -> Outcome:
        """What became of the trial; ``partial`` is a score between 0 and 1."""
        if self.record.outcome == "failure":
            return "failed"
        if self.scored.answer is None:
            return "unparsed"
        if self.accuracy in (0, 1):
            return "right" if self.accuracy else "wrong"
        return "partial"


@dataclass(frozen=True)
class Sample:
    """The trials of one sample, in the order of the task's conditions."""

    id: str
    cluster: str
    trials: tuple[Said, ...]

    def at(self, condition: Mapping[str, Level]) -> Said | None:
        """Return the trial under a condition, None if there is none."""
        return self._by_condition.get(frozenset(condition.items()))

    @cached_property
    def _by_condition(self) -> dict[frozenset[tuple[str, Level]], Said]:
        return {frozenset(said.record.condition.items()): said for said in self.trials}


def samples_of(task: Task, records: Iterable[Record]) -> list[Sample]:
    """Return the recorded samples in the order of their ids, every answer parsed and scored.

    Raises
    ------
    RunError, TaskError
        As `vlm_eval.tasks.scoring.score`.
    """
    order = {condition_key(condition): i for i, condition in enumerate(task.conditions())}
    by_sample: dict[str, list[Said]] = {}
    for record in records:
        by_sample.setdefault(record.sample_id, []).append(Said(record, score_record(task, record)))
    return [
        Sample(
            name,
            found[0].record.cluster,
            tuple(sorted(found, key=lambda s: _place(order, s.record))),
        )
        for name, found in sorted(by_sample.items(), key=lambda item: natural(item[0]))
    ]


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key by which ``s-2`` comes before ``s-10``."""
    words = (word for word in re.split(r"([0-9]{1,18})", text) if word)
    return [(0, int(w), w) if w[0] in "0123456789" else (1, 0, w) for w in words]


def _place(order: Mapping[str, int], record: Record) -> tuple[int, str]:
    key = condition_key(record.condition)
    return order.get(key, len(order)), key


def baselines(
    factors: Mapping[str, Sequence[Level]], comparisons: Iterable[Comparison] = ()
) -> Baselines:
    """Return which level each level is compared with: as the comparisons say, else the first.

    What others are compared with is not itself compared with the first level. Comparisons of the
    accuracy count before others.
    """
    found: dict[str, dict[Level, Level]] = {factor: {} for factor in factors}
    for c in sorted(comparisons, key=lambda c: c.name != "accuracy"):
        if c.factor in found:
            found[c.factor].setdefault(c.level, c.baseline)
    for factor, levels in factors.items():
        compared = set(found[factor].values())
        for level in levels[1:]:
            if level not in compared:
                found[factor].setdefault(level, levels[0])
    return found


def flips(sample: Sample, said: Said, compared: Baselines) -> dict[str, Flip]:
    """Return, by factor, how a trial's correctness differs from that at its level's baseline.

    The other trial is the sample's under the same condition but for this factor. An unparsed answer
    is wrong; a failed trial flips nothing.
    """
    found: dict[str, Flip] = {}
    condition = said.record.condition
    for factor, levels in compared.items():
        if condition.get(factor) not in levels:
            continue
        base = sample.at({**condition, factor: levels[condition[factor]]})
        if base is None:
            continue
        if (base.accuracy, said.accuracy) == (1, 0):
            found[factor] = "to_wrong"
        elif (base.accuracy, said.accuracy) == (0, 1):
            found[factor] = "to_right"
    return found


@dataclass(frozen=True)
class Matrix:
    """How outcomes at a factor's baseline go over into outcomes at another level.

    Attributes
    ----------
    factor, baseline, level
        What is compared.
    kind
        ``outcome`` (right, wrong, ...) or ``answer``.
    labels
        Of rows (at the baseline) and columns (at the level).
    counts
        Pairs, by row and column.
    """

    factor: str
    baseline: Level
    level: Level
    kind: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def total(self) -> int:
        """All pairs."""
        return sum(map(sum, self.counts))


def matrices(
    samples: Sequence[Sample], factor: str, baseline: Level, level: Level
) -> tuple[Matrix, ...]:
    """Return the matrix of outcomes and, where answers are few and closed, that of answers."""
    pairs = [
        (base, said)
        for sample in samples
        for said in sample.trials
        if said.record.condition.get(factor) == level
        and (base := sample.at({**said.record.condition, factor: baseline})) is not None
    ]
    if not pairs:
        return ()
    by_outcome = Counter((base.outcome, said.outcome) for base, said in pairs)
    used = [o for o in OUTCOMES if any(o in pair for pair in by_outcome)]
    found = [_matrix(factor, baseline, level, "outcome", used, by_outcome)]
    answered = [(b, s) for b, s in pairs if "failed" not in (b.outcome, s.outcome)]
    by_answer = Counter((_answer(base), _answer(said)) for base, said in answered)
    if len({a for pair in by_answer for a in pair}) > ANSWERS:
        by_answer = Counter((_option(base, base), _option(said, base)) for base, said in answered)
    answers = sorted({a for pair in by_answer for a in pair}, key=lambda a: (a == UNPARSED, a))
    if 1 < len(answers) <= ANSWERS:
        found.append(_matrix(factor, baseline, level, "answer", answers, by_answer))
    return tuple(found)


UNPARSED = "(unparsed)"


def _answer(said: Said) -> str:
    return UNPARSED if said.scored.answer is None else said.scored.answer


def _option(said: Said, base: Said) -> str:
    """Return an answer as its place among the options as they stood at the baseline."""
    answer, options = said.scored.answer, base.record.choices or ()
    if answer is None or answer not in options:
        return _answer(said)
    return f"option {options.index(answer) + 1}"


def _matrix(
    factor: str,
    baseline: Level,
    level: Level,
    kind: str,
    labels: Sequence[str],
    tally: Mapping[Any, int],
) -> Matrix:
    counts = tuple(tuple(tally.get((row, column), 0) for column in labels) for row in labels)
    return Matrix(factor, baseline, level, kind, tuple(labels), counts)


@dataclass(frozen=True)
class Cross:
    """Accuracy at each level of one factor under each of another, over all else."""

    rows: tuple[str, tuple[Level, ...]]
    columns: tuple[str, tuple[Level, ...]]
    cells: tuple[tuple[Mean | None, ...], ...]


def crosses(samples: Sequence[Sample], factors: Mapping[str, Sequence[Level]]) -> list[Cross]:
    """Return a cross table for every two factors that vary; cells without a trial are None."""
    varied = [(name, tuple(levels)) for name, levels in factors.items() if len(levels) > 1]
    trials = [
        (said.record.condition, said.record.cluster, said.accuracy)
        for sample in samples
        for said in sample.trials
        if said.accuracy is not None
    ]
    found = []
    for i, one in enumerate(varied):
        for other in varied[i + 1 :]:
            rows, columns = (one, other) if len(one[1]) <= len(other[1]) else (other, one)
            if len(columns[1]) > COLUMNS:
                rows, columns = columns, rows
            if len(rows[1]) * len(columns[1]) <= CELLS:
                found.append(Cross(rows, columns, _cells(trials, rows, columns)))
    return found


def _cells(
    trials: Sequence[tuple[Mapping[str, Level], str, float]],
    rows: tuple[str, tuple[Level, ...]],
    columns: tuple[str, tuple[Level, ...]],
) -> tuple[tuple[Mean | None, ...], ...]:
    by_cell: dict[tuple[Level | None, Level | None], list[tuple[str, float]]] = {}
    for condition, cluster, accuracy in trials:
        key = (condition.get(rows[0]), condition.get(columns[0]))
        by_cell.setdefault(key, []).append((cluster, accuracy))
    return tuple(
        tuple(_mean(by_cell.get((row, column))) for column in columns[1]) for row in rows[1]
    )


def _mean(found: Sequence[tuple[str, float]] | None) -> Mean | None:
    if not found:
        return None
    return clustered_mean([s for _, s in found], Clusters.of(cluster for cluster, _ in found))
