"""The two numbers by which a task stands on the leaderboard.

*Accuracy* is the mean accuracy of the trials over everything, or at the baseline of what the task
varies. *Change* is the mean paired difference between
the other levels of the factor that the task compares first and its baseline. Both are means over
trials, so that two runs can be compared pair by pair; the task's other metrics stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vlm_eval.core.types import Level, condition_key
from vlm_eval.leaderboard.runs import Cell
from vlm_eval.leaderboard.scores import SCORE, Key, Scored
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import Mean, clustered_mean
from vlm_eval.stats.paired import paired_mean


@dataclass(frozen=True)
class Headline:
    """What the two numbers of a task are.

    Attributes
    ----------
    where
        Levels at which the accuracy is taken; empty is all trials.
    factor, baseline, levels
        What the change is between; ``factor`` is None for a task that compares nothing.
    """

    where: Mapping[str, Level]
    factor: str | None
    baseline: Level | None
    levels: tuple[Level, ...]

    @property
    def change_name(self) -> str:
        """The change in words: "inverse minus standard", "mean of 27 levels minus clean"."""
        if self.factor is None:
            return ""
        several = f"mean of {len(self.levels)} levels of {self.factor}"
        what = str(self.levels[0]) if len(self.levels) == 1 else several
        return f"{what} minus {self.baseline}"


def headline_of(cell: Cell) -> Headline:
    """Return what a task's headline is, by a rule that reads the task's design and its metrics.

    The change is over the levels that are compared with the baseline of the first comparison, over
    all samples, without controls. If these are several and the baseline is the factor's first
    level, the accuracy is taken at the baseline: over everything it would depend on how many
    degraded conditions a task has. Otherwise it is taken where the first estimate named
    ``accuracy`` is, if that names only factors, and over all trials if there is none.
    """
    factors = cell.declared["factors"]
    first = next((e.where for e in cell.result.estimates if e.name == SCORE), {})
    where = first if first.keys() <= factors.keys() else {}
    compared = [c for c in cell.result.comparisons if not c.where and not c.control]
    if not compared:
        return Headline(where, None, None, ())
    factor, baseline = compared[0].factor, compared[0].baseline
    same = [c.level for c in compared if (c.factor, c.baseline) == (factor, baseline)]
    levels = tuple(dict.fromkeys(same))
    if len(levels) > 1 and next(iter(factors.get(factor, ())), None) == baseline:
        where = {factor: baseline}
    return Headline(where, factor, baseline, levels)


def accuracy(trials: Mapping[Key, Scored], where: Mapping[str, Level]) -> Mean:
    """Return the mean accuracy of the trials at some levels."""
    rows = sorted(_at(trials, where).items())
    return clustered_mean(
        [t.score or 0.0 for _, t in rows], Clusters.of(t.cluster for _, t in rows)
    )


def _at(trials: Mapping[Key, Scored], where: Mapping[str, Level]) -> dict[Key, Scored]:
    return {
        key: trial
        for key, trial in trials.items()
        if trial.score is not None
        and all(trial.condition.get(name) == level for name, level in where.items())
    }


def change(trials: Mapping[Key, Scored], headline: Headline) -> Mean | None:
    """Return the mean paired difference of the levels from the baseline; None without a factor.

    Every pair of a baseline trial and a level's trial of the same sample counts once.
    """
    if headline.factor is None:
        return None
    base: dict[Key, Scored] = {}
    other: list[tuple[Key, str, Scored]] = []
    for (sample, _), trial in trials.items():
        level = trial.condition.get(headline.factor)
        if trial.score is None or (level != headline.baseline and level not in headline.levels):
            continue
        rest = {k: v for k, v in trial.condition.items() if k != headline.factor}
        key = sample, condition_key(rest)
        if level == headline.baseline:
            base[key] = trial
        else:
            other.append((key, str(level), trial))
    pairs = sorted(
        ((key, level, base[key], trial) for key, level, trial in other if key in base),
        key=lambda pair: pair[:2],
    )
    sides = np.array([(one.score, two.score) for _, _, one, two in pairs], dtype=np.float64)
    sides = sides.reshape(-1, 2)
    clusters = Clusters.of(one.cluster for _, _, one, _ in pairs)
    return paired_mean(sides[:, 0], sides[:, 1], clusters)
