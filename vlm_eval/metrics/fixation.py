"""Semantic fixation: VLM-Fix (arXiv 2604.12119), its gap, its controls and its significance tests.

With a(r, q) the share of answers that name the *salient* player (the line-former or the majority)
under rule r when asked for q, and both targets asked equally often::

    Acc_std = (a(std, w) + 1 - a(std, l)) / 2        Acc_inv = (1 - a(inv, w) + a(inv, l)) / 2
    fixation gap     = Acc_std - Acc_inv
    salience bias    = mean a - 1/2
    rule sensitivity = Acc_std + Acc_inv - 1

A model that always names the salient player has gap 0 and bias 1/2 over both targets, but gap 1
when only the winner is asked for; one that ignores the inversion has gap 1 either way. Hence the
rule x target table beside the gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.accuracy import mean_score
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.paired import compare_levels
from vlm_eval.metrics.pairing import Sides, answers_for, join_sides, unparsed
from vlm_eval.metrics.slices import By, crossed, slices
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.clusters import BoolArray, IntArray
from vlm_eval.stats.mean import Mean, clustered_mean, macro_mean
from vlm_eval.stats.multiplicity import adjust_family
from vlm_eval.stats.paired import paired_mean
from vlm_eval.stats.permutation import mcnemar_exact
from vlm_eval.stats.results import Comparison, Estimate

RULE, STANDARD, INVERSE = "rule", "standard", "inverse"
TARGET, WINNER = "target", "winner"
ORDER, IMAGE_FIRST = "order", "image_first"

Place: TypeAlias = tuple[tuple[str, Level], ...]
"""Levels of rule, target and order, as the items of a result's ``where``."""


@configurable
class Fixation:
    """The numbers of VLM-Fix for each game, and their unweighted mean over the games.

    ``accuracy`` by rule and by rule and target (the mean over games is called ``accuracy_macro``),
    ``names_salient`` (a above) by rule and target, ``fixation_gap`` (also for each target, and for
    the winner asked image first, as the paper asked its API models), ``salience_bias`` and
    ``rule_sensitivity``. Other factors than rule, target and order make configurations, which are
    never pooled.

    Attributes
    ----------
    score
        ``accuracy``, or ``accuracy_literal`` for the paper's own parser; the names of all numbers
        then end in ``_literal``.
    game
        The field whose values are averaged over.
    salient
        The field that names the salient player under a row's condition.
    """

    score: str = "accuracy"
    game: str = "game"
    salient: str = "salient"

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; the means over games have no game in their place."""
        check_level(table, RULE, STANDARD, INVERSE)
        check_trials(table, self.score)
        results: list[Result] = []
        for where, part in _configurations(table, self.game):
            games = [(game, rows) for game, rows in slices(part, (self.game,)) if game]
            found = [self._measure(rows) for _, rows in games] or [self._measure(part)]
            clusters = [frozenset(rows.attribute("cluster").present) for _, rows in games]
            for name, place in found[0]:
                mean = macro_mean([means[name, place] for means in found], clusters)
                macro = f"{name}_macro" if name == self.score else name
                results.append(self._estimate(macro, mean, {**where, **dict(place)}))
            for (game, _), means in zip(games, found, strict=False):
                results += [
                    self._estimate(name, mean, {**where, **game, **dict(place)})
                    for (name, place), mean in means.items()
                ]
        return results

    def _estimate(self, name: str, mean: Mean, where: dict[str, Level]) -> Estimate:
        gap = name == "fixation_gap"
        signed = gap or name in {"salience_bias", "rule_sensitivity"}
        if not name.startswith(self.score):
            name += self.score.removeprefix("accuracy")
        return mean.estimate(name, where, lower_is_better=gap, signed=signed)

    def _measure(self, table: Table) -> dict[tuple[str, Place], Mean]:
        """Return every number of one game in one configuration, by name and place."""
        targets = _varied(table, TARGET)
        rules: list[Place] = [((RULE, rule),) for rule in (STANDARD, INVERSE)]
        cells: list[Place] = [(*rule, (TARGET, target)) for rule in rules for target in targets]
        found = {
            (self.score, place): mean_score(table.where(**dict(place)), self.score)
            for place in [*rules, *cells]
        }
        for place in cells or rules:
            found["names_salient", place] = self._names_salient(table.where(**dict(place)))
        pairs = join_sides(table, RULE, self.score, STANDARD, INVERSE).both
        pairs = pairs.part(~(table.failed[pairs.one] | table.failed[pairs.other]))
        for place in _gap_places(table):
            at_place = table.mask(**dict(place))[pairs.one]
            found["fixation_gap", place] = self._gap(table, pairs.part(at_place))
        found["salience_bias", ()] = self._bias(table, np.concatenate(pairs))
        found["rule_sensitivity", ()] = self._sensitivity(table, pairs)
        return found

    def _gap(self, table: Table, pairs: Sides) -> Mean:
        """Return Acc_std - Acc_inv: positive is fixation."""
        scores = table.score(self.score)
        return paired_mean(scores[pairs.other], scores[pairs.one], table.clusters(pairs.one))

    def _sensitivity(self, table: Table, pairs: Sides) -> Mean:
        """Return Acc_std + Acc_inv - 1, as the paired difference Acc_std - (1 - Acc_inv)."""
        scores = table.score(self.score)
        return paired_mean(1 - scores[pairs.other], scores[pairs.one], table.clusters(pairs.one))

    def _bias(self, table: Table, rows: IntArray) -> Mean:
        """Return half of (share naming the salient player - share naming the other).

        With every answer parsed this is mean a - 1/2; an unparsed one names neither.
        """
        rows = rows[self._known(table)[rows]]
        salient = self._named(table)[rows]
        other = ~(unparsed(table, self.score)[rows] | salient)
        return paired_mean(other.astype(float), salient.astype(float), table.clusters(rows)).scaled(
            0.5
        )

    def _names_salient(self, table: Table) -> Mean:
        rows = table.has_score(self.score) & self._known(table)
        return clustered_mean(self._named(table)[rows].astype(float), table.clusters(rows))

    def _known(self, table: Table) -> BoolArray:
        """Return in which rows it is known who is salient."""
        return ~table.codes(self.salient).equal(None)

    def _named(self, table: Table) -> BoolArray:
        """Return in which rows the answer names the salient player."""

        def make(whole: Table) -> BoolArray:
            answers, salient = answers_for(whole, self.score), whole.codes(self.salient)
            return answers.same(salient)

        return table.derived(("names", self.score, self.salient), make)


@configurable
class VersusBase:
    """Each level of a factor against its base within each rule, with two kinds of p.

    ``<score>_versus_base`` treats clusters as independent: its p is a cluster sign-flip permutation
    (exact McNemar where every cluster is single). ``<score>_versus_base_mcnemar`` is the same
    comparison with the paper's test: exact McNemar over rows, as if the rows of one board were
    independent, Holm-adjusted over the non-base levels of one rule. The paper prints about twice
    these p values; these are the correct ones.

    Attributes
    ----------
    factor
        What differs: ``prompt_variant`` or ``render``.
    score
        Which score is compared.
    baseline
        The base; the factor's first level if None.
    within
        A factor; each level of it is a family of its own.
    by
        Fields to break each family down by, each slice again a family of its own.
    """

    factor: str
    score: str = "accuracy"
    baseline: Level | None = None
    within: str = RULE
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return the comparisons of each family, clustered ones first."""
        check_level(table, self.within)
        by: By = (self.within, *((self.within, *crossed(entry)) for entry in self.by))
        families: dict[Place, list[Comparison]] = {}
        for comparison in compare_levels(
            table,
            self.factor,
            score=self.score,
            baseline=self.baseline,
            by=by,
            name=f"{self.score}_versus_base",
        ):
            if comparison.where or not table.rows:
                families.setdefault(tuple(comparison.where.items()), []).append(comparison)
        results: list[Result] = []
        for family in families.values():
            results += adjust_family(family)
            results += adjust_family([rowwise(comparison) for comparison in family])
        return results


def rowwise(comparison: Comparison) -> Comparison:
    """Return the comparison with McNemar's p over its rows instead of its clusters."""
    losses, gains = comparison.right_to_wrong, comparison.wrong_to_right
    name = f"{comparison.name}_mcnemar"
    if losses is None or gains is None:
        return replace(comparison, name=name, p=None, p_method="none")
    p = mcnemar_exact(losses, gains)
    return replace(comparison, name=name, p=p, p_method="mcnemar_exact_rows")


def _configurations(table: Table, game: str) -> Iterator[tuple[dict[str, Level], Table]]:
    """Yield each combination of the factors that must not be pooled."""
    apart = tuple(
        name
        for name in table.factors
        if name not in {RULE, TARGET, ORDER, game} and _varied(table, name)
    )
    if not apart or not table.rows:
        yield {}, table
        return
    yield from ((where, part) for where, part in slices(table, (apart,)) if where)


def _varied(table: Table, factor: str) -> tuple[Level, ...]:
    """Return the levels of a factor; none if it is constant or absent."""
    known = table.factors.get(factor, ())
    return known if len(known) > 1 else ()


def _gap_places(table: Table) -> list[Place]:
    """Return where the gap is reported: everywhere, by target, and as API models were asked."""
    targets = _varied(table, TARGET)
    places: list[Place] = [(), *(((TARGET, target),) for target in targets)]
    if WINNER in targets and IMAGE_FIRST in _varied(table, ORDER):
        places.append(((TARGET, WINNER), (ORDER, IMAGE_FIRST)))
    return places
