"""Whether perturbed representations keep the geometry of the clean ones: CKA, and its null.

Drift compares each vector with its own; CKA asks whether samples that were alike are still alike,
whatever rotation, shift or scale the whole set has undergone (vlm_eval/stats/cka.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from vlm_eval.core.capture import Site
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Level
from vlm_eval.metrics.representation import Part, Representation, Subject
from vlm_eval.metrics.table import Result, Table
from vlm_eval.stats.cka import Alignment, align, gram
from vlm_eval.stats.clusters import FloatArray
from vlm_eval.stats.intervals import UNKNOWN
from vlm_eval.stats.mean import Mean
from vlm_eval.stats.paired import SEED
from vlm_eval.stats.results import Estimate


@configurable
class Cka(Representation):
    """Debiased linear CKA of clean and perturbed representations, over samples.

    ``cka``
        For each site and family, the mean over the family's levels; without a family, over all.
        Interval: delete-one jackknife.
    ``cka_null``, ``cka_p``
        The mean over 999 permutations of the samples, near 0, and the share of them with at least
        as much CKA.

    The estimator takes rows as independent, so one sample of each cluster enters: the first, by id,
    of those that were captured at every level of the family. This project's.

    Options: those of every metric of captured states (docs/internals/representation.md), and these.

    Attributes
    ----------
    most
        At most so many samples, the first of a seeded shuffle: time grows with their square.
    """

    most: Annotated[int, Field(ge=4)] = 500

    def __call__(self, table: Table) -> list[Result]:
        """Return estimates; None where nothing was captured."""
        found: list[Result] = []
        for where, part in self.parts(table):
            for site in self.sites:
                at = {**where, **self.place(site)}
                for levels, place in part.places:
                    found += self._estimates(part, site, levels, {**at, **place})
        return found

    def _estimates(
        self, part: Part, site: Site, levels: Sequence[Level], where: Mapping[str, Level]
    ) -> Iterator[Estimate]:
        task = part.table.task
        chosen = self._chosen(part, site, levels)
        grams = [self._gram(part, chosen, site, level) for level in (None, *levels)]
        known = [found for found in grams if found is not None]
        nothing = Mean(None, None, *UNKNOWN, n=len(chosen), clusters=len(chosen))
        found = Alignment(nothing, None, None)
        if levels and len(known) == len(grams):
            found = align(known[0], known[1:], derive_rng(SEED, task, "cka"))
        yield found.cka.estimate("cka", where)
        for name, value, unit in (("cka_null", found.null, ""), ("cka_p", found.p, "p")):
            yield replace(nothing, value=value).estimate(name, where, unit=unit)

    def _chosen(self, part: Part, site: Site, levels: Sequence[Level]) -> list[Subject]:
        """Return one sample a cluster, captured at every level."""
        found: dict[str, Subject] = {}
        for subject in sorted(part.subjects, key=lambda subject: subject.clean.sample_id):
            rows = [subject.clean, *(subject.others[x] for x in levels if x in subject.others)]
            if subject.clean.cluster in found or len(rows) <= len(levels):
                continue
            if all(part.has(row, site) for row in rows):
                found[subject.clean.cluster] = subject
        chosen = list(found.values())
        order = derive_rng(SEED, part.table.task, "cka", "samples").permutation(len(chosen))
        return [chosen[i] for i in sorted(order[: self.most])]

    def _gram(
        self, part: Part, chosen: Sequence[Subject], site: Site, level: Level | None
    ) -> FloatArray | None:
        """Return the Gram matrix at a level, or of the clean trials."""
        rows = [subject.clean if level is None else subject.others[level] for subject in chosen]
        vectors = [part.vector(row, site, self.layer) for row in rows]
        known = [vector for vector in vectors if vector is not None]
        return gram(np.stack(known)) if known and len(known) == len(rows) else None
