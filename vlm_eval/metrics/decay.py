"""What is left of an answer when the image is taken away step by step.

"Diagnosing Visual Ignorance in Vision-Language Models" (arXiv 2606.06890) blurs an image more and
more and asks the same question. An answer that survives to the end did not need the image. The
exact averaging, the controls and the intervals are this project's: docs/metrics.md says which.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level, condition_key
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.decay_answers import Answers, Unit, content, raw, strict
from vlm_eval.metrics.decay_shares import Shares, shares_of
from vlm_eval.metrics.pairing import score_suffix
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.table import Result, Table, TableRow
from vlm_eval.stats.bootstrap import Bootstrap, cluster_bootstraps
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.intervals import UNKNOWN, Interval, wilson
from vlm_eval.stats.mean import clustered_mean, is_binary
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate

TEXT_ONLY = "text_only"
"""The level without an image, if the factor has it."""
TOKENS_CHANGED = "image_tokens_changed"

_PRIOR = ("E", "C", "Ebar", "Ebar_incl0", "E_terminal", "C_excess", "C_offdefault", "C_content")
_NO_SHARE = ("Ret", "C_null", "C_excess")
_ROUNDING = 1e-12


@configurable
class Decay:
    """How long answers stay the same while a factor takes the image away.

    The levels of ``factor`` are the steps, the first (or ``baseline``) the untouched image;
    ``terminal`` levels (a constant image, no image) are reported apart as ``E_terminal`` and
    ``Acc_terminal``. ``E`` of a level is the share of samples that answer as on the original, ``C``
    the share that did so at *every* level up to it, ``Acc`` the score, ``AccInv`` the original's
    score among the samples that ``C`` counts. Without a level: ``Ebar`` (mean E over the steps
    after the original; ``Ebar_incl0`` with it), ``C`` and ``AccInv`` at the last step, ``AccDeg``
    (mean Acc after the original), ``Ret`` (AccDeg / Acc of the original), ``C_null`` (C of answers
    drawn at each level from that level's own distribution), ``C_excess`` (C - C_null),
    ``C_default`` (samples whose original answer is the default answer of its option set: the most
    frequent one at the first terminal level, or at the last step), ``C_offdefault`` (C among the
    others, less those that answer so without an image), and with ``orders`` ``C_content`` (the same
    *content* at every step in every order) and ``AccInv_content``.

    ``image_tokens_changed`` is the share of samples whose images did not take the same number of
    tokens at every step: a decay takes the content of an image and must leave its size, so it must
    be 0. It is left out where the backend does not count them.

    A failed trial drops its sample from C and AccInv, and from E and Acc at its level. Further
    factors are never pooled: each of their combinations has its own results. Intervals are
    percentile bootstraps by cluster with one set of resamples for all numbers; the default answer
    is held fixed. A share without spread gets Wilson's interval, each cluster one trial.

    Attributes
    ----------
    factor
        What takes the image away; its levels are the steps in order.
    baseline
        The untouched level; the factor's first if None.
    terminal
        Levels that are no steps.
    include_terminal
        Count the terminal levels as further steps after all.
    invariance
        ``strict``: parsed answers are compared, and an unparsed answer equals nothing. ``raw``: the
        texts, stripped and in lower case.
    orders
        A factor whose levels are cyclic shifts of lettered options: position p shows option
        (p + level) mod n. All else is computed in its first level.
    score
        Which score Acc averages, and whose answers are compared; the names of all results end so,
        ``C_literal``.
    resamples
        Bootstrap replicates.
    by
        Fields to break the results down by.
    """

    factor: str
    baseline: Level | None = None
    terminal: tuple[Level, ...] = ()
    include_terminal: bool = False
    invariance: Literal["strict", "raw"] = "strict"
    orders: str | None = None
    score: str = "accuracy"
    resamples: int = 10_000
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return the estimates, named as above; ``where`` has the level of those of one level."""
        steps, apart = self._levels(table)
        found: list[Result] = []
        for where, part in self._parts(table):
            found += self._measure(part, where, steps, apart)
        return found

    def _levels(self, table: Table) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        check_trials(table, self.score)
        check_level(table, self.factor, *self.terminal)
        known = table.factors[self.factor]
        base = known[0] if self.baseline is None else self.baseline
        check_level(table, self.factor, base)
        if self.orders is not None:
            check_level(table, self.orders)
        own = {self.factor, self.orders}
        if base in self.terminal or any(
            own & {*([e] if isinstance(e, str) else e)} for e in self.by
        ):
            raise TaskError(
                f"decay over {self.factor!r}: the baseline is terminal, or `by` names the factor",
                where=table.task,
            )
        apart = () if self.include_terminal else self.terminal
        last = self.terminal if self.include_terminal else ()
        steps = [level for level in known if level != base and level not in self.terminal]
        if not steps and not last:
            raise TaskError(
                f"decay needs a level of {self.factor!r} beside {base!r} that is not terminal",
                where=table.task,
            )
        return (base, *steps, *last), apart

    def _parts(self, table: Table) -> Iterator[tuple[dict[str, Level], Table]]:
        own = {self.factor, self.orders}
        further = tuple(
            name for name, known in table.factors.items() if name not in own and len(known) > 1
        )
        settings = slices(table, (further,) if further and table.rows else ())
        for setting, part in settings:
            if setting or not further or not table.rows:
                for where, piece in slices(part, self.by):
                    yield {**setting, **where}, piece

    def _measure(
        self,
        table: Table,
        where: Mapping[str, Level],
        steps: tuple[Level, ...],
        apart: tuple[Level, ...],
    ) -> Iterator[Estimate]:
        units = _units(table, self.factor, self.orders)
        levels = (*steps, *apart)
        says = strict(self.score) if self.invariance == "strict" else raw
        answers = Answers.of([unit[0] for unit in units], levels, self.score, says)
        default = self.terminal[0] if self.terminal else steps[-1]
        shares = shares_of(
            answers,
            len(steps),
            default=levels.index(default),
            text_only=levels.index(TEXT_ONLY) if TEXT_ONLY in levels else None,
        )
        if self.orders is not None:
            shifts = table.factors[self.orders]
            told = [_contents(unit, shifts, steps, self.score) for unit in units]
            whole = np.array([None not in said for said in told], dtype=bool)
            one = np.array([len(set(said)) == 1 for said in told], dtype=bool)
            asked = np.array([len(said) == len(shifts) * len(steps) for said in told], dtype=bool)
            shares.add("C_content", None, whole & one, asked)
            shares.add("AccInv_content", None, answers.score[:, 0], asked & whole & one)
        yield from self._estimates(table, where, shares, answers)
        yield from _changed([unit[0] for unit in units], steps, where)

    def _estimates(
        self, table: Table, where: Mapping[str, Level], shares: Shares, answers: Answers
    ) -> Iterator[Estimate]:
        """Yield every number with its interval from one set of resamples."""
        totals = answers.clusters.sums(shares.matrix())
        values = shares.values(totals.sum(axis=0)[np.newaxis])
        rng = derive_rng(SEED, table.task, "decay", "bootstrap")
        spreads = cluster_bootstraps(
            totals,
            lambda drawn: np.column_stack(list(shares.values(drawn).values())),
            rng,
            self.resamples,
        )
        binary = is_binary(answers.score)
        for (key, value), spread in zip(values.items(), spreads, strict=True):
            name, level = key
            among = shares.among(key)
            clusters = len(np.unique(answers.clusters.index[among]))
            known = float(value[0]) if np.isfinite(value[0]) else None
            share = name not in _NO_SHARE and (binary or not name.startswith("Acc"))
            low, high, method = _interval(known, spread, clusters if share else 0)
            yield Estimate(
                name=name + score_suffix(self.score),
                where=dict(where) if level is None else {**where, self.factor: level},
                value=known,
                se=None if known is None else spread.se,
                low=low,
                high=high,
                n=int(among.sum()),
                clusters=clusters,
                method=method,
                lower_is_better=name in _PRIOR,
                signed=name == "C_excess",
                chance=table.chance if name.startswith("Acc") else None,
            )


def _changed(
    units: Sequence[Unit], steps: Sequence[Level], where: Mapping[str, Level]
) -> Iterator[Estimate]:
    """Yield the share of samples whose number of image tokens changes; nothing if none is known."""
    values, names = [], []
    for unit in units:
        rows = [unit[level] for level in steps if level in unit and not unit[level].failed]
        counts = [row.image_tokens for row in rows]
        if counts and None not in counts:
            values.append(float(len(set(counts)) > 1))
            names.append(rows[0].cluster)
    if values:
        mean = clustered_mean(values, Clusters.of(names))
        yield mean.estimate(TOKENS_CHANGED, where, lower_is_better=True)


def _interval(value: float | None, spread: Bootstrap, trials: int) -> Interval:
    """Return the percentile interval; Wilson's of a share that no resample changes."""
    if value is None or spread.low is None or spread.high is None:
        return UNKNOWN
    if spread.high - spread.low > _ROUNDING:
        return Interval(spread.low, spread.high, "cluster_bootstrap")
    return wilson(min(1.0, max(0.0, value)), trials) if trials > 1 else UNKNOWN


def _units(table: Table, factor: str, orders: str | None) -> list[list[Unit]]:
    """Return for each sample its trials by level, a mapping for each option order.

    Samples without a trial in the first order are left out.
    """
    shifts: Sequence[Level | None] = (None,) if orders is None else table.factors[orders]
    found: dict[tuple[str, str], dict[Level | None, dict[Level, TableRow]]] = {}
    for row in table.rows:
        rest = {k: v for k, v in row.condition.items() if k not in (factor, orders)}
        unit = found.setdefault((row.sample_id, condition_key(rest)), {})
        shift = None if orders is None else row.condition[orders]
        unit.setdefault(shift, {})[row.condition[factor]] = row
    return [
        [unit.get(shift, {}) for shift in shifts] for unit in found.values() if unit.get(shifts[0])
    ]


def _contents(
    unit: Sequence[Unit], shifts: Sequence[Level], steps: Sequence[Level], score: str
) -> list[Hashable | None]:
    """Return what was chosen at every step in every order; shorter if a trial is not there."""
    return [
        content(row, shift, score)
        for trials, shift in zip(unit, shifts, strict=True)
        for row in (trials.get(level) for level in steps)
        if row is not None and not row.failed
    ]
