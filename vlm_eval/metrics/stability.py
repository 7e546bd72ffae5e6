r"""How often a perturbation of the image changes the answer.

"Same Answer, Different Representations" (arXiv 2602.06652), with y_i the clean answer of sample i,
y_i^{f,j} its answer to instance j of family f, and χ = 1 where that exists and is another::

    IFR_f   = Σ_{i,j} χ_{i,f,j} / number of instances of f        instance flip rate
    IV_f    = |{i : some χ_{i,f,j} = 1}| / number of samples      image vulnerability
    IFR_any = Σ_{i,f,j} χ_{i,f,j} / number of all instances
    IV_any  = |{i : some χ_{i,f,j} = 1}| / number of samples      union over the families
    H_v     = - Σ_a p(a) ln p(a)                                  over the answers to one sample

A missing answer is no change and stays in IFR's denominator; a sample without a clean answer is
left out of everything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.checks import check_trials
from vlm_eval.metrics.slices import By, slices
from vlm_eval.metrics.stability_instances import (
    Families,
    Instance,
    Unit,
    Units,
    clean_level,
    collect,
    family_levels,
    family_places,
)
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.results import Estimate

TRANSITIONS = {
    "right_to_wrong": (True, False),
    "wrong_to_right": (False, True),
    "right_to_right": (True, True),
    "wrong_to_wrong": (False, False),
}
"""Right before, right after."""


@configurable
class Stability:
    """IFR, IV, transitions and visual entropy, for each family of perturbations and for any.

    ``ifr``, ``iv``
        IFR_f and IV_f, with the family in the result's place.
    ``ifr_any``, ``iv_any``
        IFR_any (pooled, so weighted by instance counts) and IV_any (union).
    ``iv_image``, ``iv_image_any``
        The same share of *clusters* (images) with a changed answer, where the paper's unit is the
        question-image sample.
    ``right_to_wrong``, ``wrong_to_right``, ``right_to_right``, ``wrong_to_wrong``
        Shares of the instances with an answer, which they sum to 1 over; counts are ``value * n``.
        By family, and without one for all.
    ``missing``
        Share of instances without an answer (failed, unparsed, tied).
    ``visual_entropy``
        Mean H_v in nats over the clean answer and all perturbed ones of a sample.

    With ``answers``, ``ifr`` and the transitions also come for each clean answer and gold answer:
    for yes/no questions, what becomes of true and false positives and negatives. Levels that the
    task calls controls come as ``ifr`` at that level and enter nothing else; of a deterministic
    model they are 0.

    Attributes
    ----------
    families
        Families by name: each one level, a pattern of levels (``translate_*``), or several.
    factor
        The factor of perturbations.
    clean
        Its level without perturbation; the first if None.
    score
        Whose answers and whose rights: ``accuracy``, ``accuracy_literal``, ``accuracy_NAME``.
    answers
        Answers to break transitions down by, ``[Yes, No]``.
    by
        Factors or fields to break the results down by.
    """

    families: Families
    factor: str = "perturbation"
    clean: Level | None = None
    score: str = "accuracy"
    answers: tuple[str, ...] = ()
    by: By = ()

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; everything is broken down by ``by``."""
        clean = clean_level(table, self.factor, self.clean)
        families = family_levels(table, self.factor, clean, self.families)
        check_trials(table, self.score)
        controls = (table.controls or {}).get(self.factor, ())
        found: list[Result] = []
        for where, part in slices(table, self.by):
            units = collect(part, self.factor, clean, families, self.score)
            for family, place in family_places(families):
                found += self._family(units, family, {**where, **place})
            found.append(_entropy(units, where))
            noise = collect(part, self.factor, clean, {str(c): (c,) for c in controls}, self.score)
            for control in controls:
                instances = noise.instances(str(control))
                found.append(_ifr("ifr", instances, {**where, self.factor: control}))
        return found

    def _family(
        self, units: Units, family: str | None, where: Mapping[str, Level]
    ) -> Iterator[Estimate]:
        suffix = "_any" if family is None else ""
        instances = units.instances(family)
        yield _ifr(f"ifr{suffix}", instances, where)
        yield from _vulnerability(units, family, suffix, where)
        yield _mean("missing", instances, [i.after is None for i in instances], where)
        yield from _transitions(instances, where, self.score)
        for before in self.answers:
            for gold in self.answers:
                cell = [i for i in instances if (i.before, i.row.gold) == (before, gold)]
                if cell:
                    place = {**where, "clean": before, "gold": gold}
                    yield _ifr(f"ifr{suffix}", cell, place)
                    yield from _transitions(cell, place, self.score)


def _ifr(name: str, instances: Sequence[Instance], where: Mapping[str, Level]) -> Estimate:
    return _mean(name, instances, [i.changed for i in instances], where)


def _transitions(
    instances: Sequence[Instance], where: Mapping[str, Level], score: str
) -> Iterator[Estimate]:
    """Yield the share of each transition among the instances that have an answer."""
    known = [i for i in instances if i.after is not None]
    turns = [(i.clean.scores[score] == 1.0, i.row.scores[score] == 1.0) for i in known]
    for name, turn in TRANSITIONS.items():
        yield _mean(
            name, known, [found == turn for found in turns], where, worse=name.endswith("wrong")
        )


def _vulnerability(
    units: Units, family: str | None, suffix: str, where: Mapping[str, Level]
) -> Iterator[Estimate]:
    changed = [any(i.changed for i in units.of(unit, family)) for unit in units.units]
    names = [unit.clean.cluster for unit in units.units]
    images = dict.fromkeys(names, False)
    for name, flag in zip(names, changed, strict=True):
        images[name] = images[name] or flag
    for label, flags, owners in (
        ("iv", changed, names),
        ("iv_image", list(images.values()), list(images)),
    ):
        mean = clustered_mean([float(flag) for flag in flags], Clusters.of(owners))
        yield mean.estimate(f"{label}{suffix}", where, lower_is_better=True)


def _entropy(units: Units, where: Mapping[str, Level]) -> Estimate:
    values = [entropy(_answers(units, unit)) for unit in units.units]
    clusters = Clusters.of(unit.clean.cluster for unit in units.units)
    mean = clustered_mean(values, clusters)
    return mean.estimate("visual_entropy", where, lower_is_better=True, unit="nats")


def _answers(units: Units, unit: Unit) -> list[str]:
    clean = units.answer(unit.clean)
    perturbed = [instance.after for instance in units.of(unit, None)]
    return [answer for answer in (clean, *perturbed) if answer is not None]


def entropy(answers: Sequence[str]) -> float:
    """Return the Shannon entropy of the answers' shares, in nats, 0 or more.

    >>> entropy(["a", "a", "a"])
    0.0
    """
    total = len(answers)
    return math.fsum(n / total * math.log(total / n) for n in Counter(answers).values())


def _mean(
    name: str,
    instances: Sequence[Instance],
    flags: Sequence[bool],
    where: Mapping[str, Level],
    *,
    worse: bool = True,
) -> Estimate:
    clusters = Clusters.of(instance.clean.cluster for instance in instances)
    mean = clustered_mean([float(flag) for flag in flags], clusters)
    return mean.estimate(name, where, lower_is_better=worse)
