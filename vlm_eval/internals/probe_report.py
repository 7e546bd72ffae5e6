"""What an analysis by probes says: estimates, panels, facts, and what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlm_eval.internals.findings import Panel
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.probe_curves import (
    ACCURACY,
    CONTROL,
    GOLD,
    LOST,
    PRIOR,
    SELECTIVITY,
    Curve,
    crossover,
    estimates,
    make_curve,
    p_values,
    seen_then_lost,
    spread,
)
from vlm_eval.internals.probe_fits import Fits, Place
from vlm_eval.stats.results import Estimate


class Report:
    """Puts together what the probes of an analysis gave.

    Parameters
    ----------
    task
        The task's name.
    fits
        The probes.
    ledger
        What each gave.
    """

    def __init__(self, task: str, fits: Fits, ledger: Ledger) -> None:
        self._task, self._fits = task, fits
        self.estimates: list[Estimate] = []
        self.panels: list[Panel] = []
        self.notes: list[str] = []
        self.facts: dict[str, Any] = {
            "layers": list(fits.states.layers),
            "groups": len(set(fits.groups)),
            "seeds": fits.seeds,
            "labels": {p.target.name: list(p.target.classes) for p in fits.places},
            "crossover": {},
            "p_selectivity": {},
            "seed_sd": {},
            "temperature": {},
            "epochs": {},
        }
        for place in fits.places:
            self._add(place, ledger)
        self._add_panels()
        self._add_notes()

    def found(self) -> dict[str, Any]:
        """Return the fields of `Findings` that are the analysis's own."""
        return {
            "estimates": tuple(self.estimates),
            "panels": tuple(self.panels),
            "facts": self.facts,
            "notes": tuple(self.notes),
        }

    def _add(self, place: Place, ledger: Ledger) -> None:
        fits, name = self._fits, _name(place)
        layers = fits.states.layers
        said = {
            (seed, layer): ledger[place.name(layer, seed)]
            for seed in range(fits.seeds)
            for layer in layers
        }
        known = {
            (seed, layer): (fits.rows(place, seed, "test"), values)
            for (seed, layer), values in said.items()
            if values
        }
        if not known:
            self.notes.append(f"{name}: no split holds out a trial to evaluate")
            return
        curve = make_curve(place.where, layers, known, fits.seeds)
        self.estimates += estimates(curve, fits.groups, place.target.chance(curve.rows))
        if place.target.priors is not None:
            self.estimates.append(seen_then_lost(curve, place.target, fits.groups))
            self._add_crossover(name, curve)
        if CONTROL in curve.values:
            self.facts["p_selectivity"][name] = p_values(curve, fits.groups, self._task)
        self.facts["seed_sd"][name] = spread(curve)
        for fact in ("temperature", "epochs"):
            by_layer = [
                [v[fact] for (_, at), (_, v) in known.items() if at == layer] for layer in layers
            ]
            self.facts[fact][name] = [round(float(np.mean(each)), 4) for each in by_layer]

    def _add_crossover(self, name: str, curve: Curve) -> None:
        gold, prior = (curve.of_rows(measure).mean(1) for measure in (GOLD, PRIOR))
        by_seed = zip(curve.of_seeds(GOLD), curve.of_seeds(PRIOR), strict=True)
        self.facts["crossover"][name] = {
            "layer": crossover(curve.layers, gold, prior),
            "by_seed": [crossover(curve.layers, *both) for both in by_seed],
        }

    def add_lens(self, lens: Mapping[str, Any]) -> None:
        """Add what the logit lens showed; see `vlm_eval.internals.probe_lens.read_lens`."""
        for why, count in lens["left_out"].items():
            self.notes.append(f"logit lens: {count} trials left out: {why}")
        if not lens["rows"]:
            return
        place = next(p for p in self._fits.places if p.site == "prompt_last")
        where = {"label": place.target.name, "site": place.site, "probe": "lens"}
        rows, layers = np.array(lens["rows"], dtype=np.intp), self._fits.states.layers
        values = {
            name: np.array(value, dtype=np.float64)[None] for name, value in lens["values"].items()
        }
        curve = Curve(where, layers, rows, values)
        self.estimates += estimates(curve, self._fits.groups, None)
        names = (GOLD, PRIOR) if PRIOR in values else (GOLD,)
        self.panels.append(Panel(
            title="Logit lens, among the options: untrained, for contrast",
            axis="layer", names=names, where=where,
        ))  # fmt: skip

    def _add_panels(self) -> None:
        places = self._fits.places
        controlled = any(place.control for place in places)
        for site, kind in dict.fromkeys((place.site, place.kind) for place in places):
            where = {"site": site, "probe": kind}
            self.panels.append(Panel(
                title=f"What can be read at which layer ({site}, {kind})",
                axis="layer", names=(SELECTIVITY if controlled else ACCURACY,), where=where,
            ))  # fmt: skip
        for place in places:
            if place.target.priors is None or place.kind != places[0].kind:
                continue
            at = self.facts["crossover"].get(_name(place), {}).get("layer")
            self.panels.append(Panel(
                title=f"Ground truth against prior ({_name(place)})",
                axis="layer", names=(GOLD, PRIOR), where=place.where,
                marks={} if at is None else {"prior overtakes": float(at)},
            ))  # fmt: skip

    def _add_notes(self) -> None:
        fits, target = self._fits, self._fits.places[0].target
        if fits.states.without:
            self.notes.append(f"{fits.states.without} answered trials have no captured states")
        if fits.states.normed:
            self.notes.append("the last layer's states are those after the final norm")
        if target.priors is not None:
            rows = fits.places[0].rows
            if target.evaluated[rows].all():
                self.notes.append(
                    "every trial is in conflict with the prior: a probe that is trained on these "
                    "alone can learn to name anything but the prior's answer"
                )
            self.notes.append(
                f"{LOST} counts what the probe names right at any one layer: with few classes a "
                "probe at chance does so often"
            )
        self.notes.append(
            "intervals are over the held-out groups; how much the probes' own training adds is in "
            "the fact seed_sd"
        )


def _name(place: Place) -> str:
    return ", ".join(map(str, place.where.values()))
