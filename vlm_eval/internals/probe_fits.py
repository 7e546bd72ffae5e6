"""The probes of an analysis one by one: what each is trained on, and what it says of held-out rows.

What a probe gives depends on its name and the data alone: not on which other probes there are, or
on the order of rows. So each is kept in the ledger by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from vlm_eval.core.capture import Site
from vlm_eval.core.hashing import derive_seed, digest
from vlm_eval.core.types import Level
from vlm_eval.internals.probe_curves import ACCURACY, CONTROL, GOLD, PRIOR, TOP_PRIOR
from vlm_eval.internals.probe_data import Indices, States, Target
from vlm_eval.internals.probe_nets import Examples, Fitted, Kind, Training, fit
from vlm_eval.internals.probe_split import Part, control_labels, split_groups


@dataclass(frozen=True, eq=False)
class Place:
    """The probes of one kind for one target at one site: one curve along the layers.

    Attributes
    ----------
    target
        What they are trained for.
    site, kind
        Where, and which.
    rows
        The trials that they are about: with the image, or without.
    where
        What their estimates say.
    agreement
        Whether they are trained only on trials that are not in conflict with the prior.
    control
        Whether each is trained on control labels too.
    """

    target: Target
    site: Site
    kind: Kind
    rows: Indices
    where: Mapping[str, Level]
    agreement: bool = False
    control: bool = False

    def name(self, layer: int, seed: int) -> str:
        """Return the name of one of its probes."""
        return "/".join(map(str, (*self.where.values(), layer, seed)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Fits:
    """All probes of an analysis.

    Attributes
    ----------
    states
        What they are trained on.
    places
        Which there are.
    groups, types
        Of each row: what is never on two sides of a split, and what has one control label.
    training
        How they are trained.
    seed, seeds
        The master seed, and how many splits there are.
    """

    states: States
    places: tuple[Place, ...]
    groups: tuple[str, ...]
    types: tuple[str, ...]
    training: Training
    seed: int
    seeds: int

    def __iter__(self) -> Iterator[tuple[Place, int, int]]:
        """Yield place, layer and seed of each probe."""
        return product(self.places, self.states.layers, range(self.seeds))

    def __len__(self) -> int:
        return len(self.places) * len(self.states.layers) * self.seeds

    def digest(self) -> str:
        """Return the identity of the data: which trials there are, and what is said of them."""
        trials = [[row.sample_id, dict(row.condition), row.request] for row in self.states.rows]
        said = {
            place.target.name: [
                place.target.classes,
                place.target.labels.tolist(),
                None if place.target.priors is None else place.target.priors.tolist(),
                place.target.evaluated.tolist(),
                place.target.strata,
            ]
            for place in self.places
        }
        return digest([trials, self.states.layers, self.groups, self.types, sorted(said.items())])

    def rows(self, place: Place, seed: int, part: Part) -> Indices:
        """Return the rows of one side of a split; of those held out, the ones to evaluate."""
        sides = split_groups(self.groups, derive_seed(self.seed, "probe", seed))
        chosen = place.rows[[sides[self.groups[row]] == part for row in place.rows]]
        if part == "test":
            return chosen[place.target.evaluated[chosen]]
        return chosen[~place.target.evaluated[chosen]] if place.agreement else chosen

    def carry_out(self, place: Place, layer: int, seed: int) -> dict[str, Any]:
        """Train one probe, and its control; return what they say of the held-out rows, JSON-able.

        Empty if a side of the split has no rows.
        """
        parts: tuple[Part, ...] = ("train", "val", "test")
        train, val, test = (self.rows(place, seed, part) for part in parts)
        if not (len(train) and len(val) and len(test)):
            return {}
        target = place.target
        probe = self._fit(place, layer, seed, target.labels, train, val)
        found = probe.probabilities(self.states.at(place.site, layer, test))
        top, each = found.argmax(1), np.arange(len(test))
        values: dict[str, Any] = {
            GOLD: found[each, target.labels[test]],
            ACCURACY: top == target.labels[test],
        }
        if target.priors is not None:
            values[PRIOR] = found[each, target.priors[test]]
            values[TOP_PRIOR] = top == target.priors[test]
        if place.control:
            own = derive_seed(self.seed, "probe control", target.name, seed)
            random = control_labels(target.labels, self.types, target.strata, own)
            other = self._fit(place, layer, seed, random, train, val, "control")
            guessed = other.probabilities(self.states.at(place.site, layer, test)).argmax(1)
            values[CONTROL] = guessed == random[test]
        made = {name: _rounded(value) for name, value in values.items()}
        return {**made, "temperature": round(probe.temperature, 6), "epochs": probe.epochs}

    def _fit(
        self,
        place: Place,
        layer: int,
        seed: int,
        labels: Indices,
        train: Indices,
        val: Indices,
        purpose: str = "probe",
    ) -> Fitted:
        one, other = (
            Examples(self.states.at(place.site, layer, rows), labels[rows]) for rows in (train, val)
        )
        own = derive_seed(self.seed, purpose, place.name(layer, seed))
        return fit(place.kind, one, other, len(place.target.classes), self.training, own)


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 6) for value in values]
