"""The numbers of layer replacement: how a model answers with some of its layers put back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import Level, condition_key
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Panel
from vlm_eval.stats.bootstrap import Bootstrap, cluster_bootstraps
from vlm_eval.stats.clusters import Clusters, FloatArray
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.results import Estimate
from vlm_eval.tasks.trials import Trial

Group: TypeAlias = Literal["all", "conflict", "agree"]
NESTED = ("suffix", "prefix")
HALF = 0.5


@dataclass(frozen=True)
class Case:
    """A trial that is asked of every hybrid.

    Attributes
    ----------
    trial
        The trial.
    prior
        The answer that prior knowledge gives; None if there is none.
    base
        The base model's recorded score, in [0, 1].
    """

    trial: Trial
    prior: str | None
    base: float

    @property
    def key(self) -> tuple[str | None, ...]:
        """What identifies it in a ledger."""
        trial = self.trial
        return trial.sample_id, condition_key(trial.condition), trial.request.id, self.prior

    @property
    def conflict(self) -> bool | None:
        """Whether the prior answer is wrong; None if there is none."""
        return None if self.prior is None else self.prior != self.trial.gold


@dataclass(frozen=True)
class Point:
    """One hybrid in one sweep.

    Attributes
    ----------
    sweep
        Which.
    axis, at
        Where it stands: so many layers ``replaced``, or the first ``layer`` of a window.
    layers
        The layers put back, from 1, ascending.
    """

    sweep: str
    axis: str
    at: int
    layers: tuple[int, ...]

    @property
    def where(self) -> dict[str, Level]:
        """Its place, as estimates have it."""
        return {"sweep": self.sweep, self.axis: self.at}


@dataclass(frozen=True)
class Reading:
    """What a hybrid made of a case: its score (None if it failed), answer, and margin in nats."""

    accuracy: float | None
    answer: str | None
    margin: float | None


class Measures:
    """All estimates of a finished sweep.

    With Acc the accuracy, R(S) = (Acc(H(S)) - Acc(B)) / (Acc(F) - Acc(B)), on trials that every
    hybrid answered, with a bootstrap interval by cluster.

    Parameters
    ----------
    study
        For names, clusters and the seed.
    cases
        What was asked.
    points
        The points of all sweeps.
    found
        By set of layers, the readings of the cases in their order; holds the empty set's if a
        nested sweep was made.
    parsed
        Least share of parsed answers of a valid point.
    """

    def __init__(
        self,
        study: Study,
        cases: Sequence[Case],
        points: Sequence[Point],
        found: Mapping[tuple[int, ...], Sequence[Reading]],
        parsed: float,
    ) -> None:
        self._study, self._cases, self._points, self._found = study, cases, points, found
        self._groups: dict[Group, list[int]] = {"all": list(range(len(cases)))}
        some: dict[Group, bool] = {"conflict": True, "agree": False}
        for name, wanted in some.items():
            members = [i for i, case in enumerate(cases) if case.conflict is wanted]
            if 0 < len(members) < len(cases):
                self._groups[name] = members
        self._main: Group = "conflict" if "conflict" in self._groups else "all"
        self._invalid = {
            point.layers
            for point in points
            if (self._parse_rate(point.layers, "all").value or 0.0) < parsed
        }
        self._parsed = parsed
        self._recovered: dict[tuple[Group, str], _Recovery] = {
            (group, sweep): _Recovery(study, group, of, self._rows(group, of), cases, found)
            for group in self._groups
            if group != "agree"  # there the tuning need not change anything
            for sweep, of in self._sweeps().items()
        }

    def _sweeps(self) -> dict[str, list[Point]]:
        sweeps: dict[str, list[Point]] = {}
        for point in self._points:
            sweeps.setdefault(point.sweep, []).append(point)
        return sweeps

    def _rows(self, group: Group, points: Sequence[Point]) -> list[int]:
        """Return the cases of a group that the tuned model and all these hybrids answered."""
        sets = {(), *(point.layers for point in points)}
        return [
            i
            for i in self._groups[group]
            if all(self._found[layers][i].accuracy is not None for layers in sets)
        ]

    def estimates(self) -> Iterator[Estimate]:
        """Yield them, a sweep's points in order, then what is said of a sweep as a whole."""
        for group, members in self._groups.items():
            clusters = Clusters.of(self._cases[i].trial.cluster for i in members)
            base = clustered_mean([self._cases[i].base for i in members], clusters)
            yield base.estimate("base_accuracy", {"trials": group})
        for point in self._points:
            for group in self._groups:
                yield from self._at(point, group)
        for (group, _), recovery in self._recovered.items():
            yield from recovery.estimates({"trials": group})

    def _at(self, point: Point, group: Group) -> Iterator[Estimate]:
        where: dict[str, Level] = {**point.where, "trials": group}
        readings = self._found[point.layers]
        answered = [i for i in self._groups[group] if readings[i].accuracy is not None]
        accuracy = [readings[i].accuracy or 0.0 for i in answered]
        yield clustered_mean(accuracy, self._clusters(answered)).estimate("accuracy", where)
        yield self._parse_rate(point.layers, group, where)
        known = [i for i in answered if self._cases[i].prior is not None]
        if not any(case.prior is not None for case in self._cases):
            return
        bias, other = [], []
        for i in known:
            case, answer = self._cases[i], readings[i].answer
            bias.append(float(answer is not None and answer == case.prior))
            rest = answer is not None and answer not in (case.prior, case.trial.gold)
            other.append(float(rest))
        clusters = self._clusters(known)
        yield clustered_mean(bias, clusters).estimate("bias_ratio", where, lower_is_better=True)
        yield clustered_mean(other, clusters).estimate("other_ratio", where, lower_is_better=True)
        apart = [i for i in known if self._cases[i].conflict and readings[i].margin is not None]
        margins = [readings[i].margin or 0.0 for i in apart]
        if apart:
            mean = clustered_mean(margins, self._clusters(apart))
            yield mean.estimate("margin", where, signed=True, unit="nats")

    def _parse_rate(
        self, layers: tuple[int, ...], group: Group, where: Mapping[str, Level] | None = None
    ) -> Estimate:
        readings = self._found[layers]
        answered = [i for i in self._groups[group] if readings[i].accuracy is not None]
        parsed = [float(readings[i].answer is not None) for i in answered]
        return clustered_mean(parsed, self._clusters(answered)).estimate("parse_rate", where or {})

    def _clusters(self, members: Sequence[int]) -> Clusters:
        return Clusters.of(self._cases[i].trial.cluster for i in members)

    def facts(self) -> dict[str, Any]:
        """Return what is no estimate."""
        return {
            "sets": len({point.layers for point in self._points}),
            "layers_to_half": {
                sweep: self._recovered[self._main, sweep].half(self._invalid)
                for sweep in self._sweeps()
                if sweep in NESTED
            },
            "invalid": [p.where for p in self._points if p.layers in self._invalid],
            "window": next((len(p.layers) for p in self._points if p.sweep == "window"), None),
        }

    def notes(self) -> Iterator[str]:
        """Yield what a reader must know."""
        for point in self._points:
            if point.layers in self._invalid:
                place = ", ".join(f"{key}={value}" for key, value in point.where.items())
                yield (
                    f"invalid: less than {self._parsed:.0%} of the answers at {place} can be "
                    "parsed; the hybrid may be broken"
                )
        if all(recovery.undefined for recovery in self._recovered.values()):
            yield "base and tuned model are equally accurate here, so that there is no recovery"
        if not any(case.prior is not None for case in self._cases):
            yield (
                "no answer of prior knowledge is known, so there is no bias ratio and no margin: "
                "give the option prior"
            )

    def panels(self) -> Iterator[Panel]:
        """Yield the figure: what the hybrids answer, what is left of the tuning, which layers."""
        sweeps, main = self._sweeps(), {"trials": self._main}
        some = ", where prior knowledge is wrong" if self._main == "conflict" else ""
        answers = ("accuracy", "bias_ratio", "other_ratio")
        if "suffix" in sweeps:
            where = {**main, "sweep": "suffix"}
            title = f"Answers with the last layers put back to the base model{some}"
            half = self.facts()["layers_to_half"]["suffix"]
            marks = {} if half is None else {"recovery below one half": float(half)}
            yield Panel(title=title, axis="replaced", names=answers, where=where, marks=marks)
        if sweeps.keys() & set(NESTED):
            title = f"Recovery: 1 is the tuned model, 0 the base model{some}"
            yield Panel(title=title, axis="replaced", names=("recovery",), where=main)
            title = f"Recovery lost when this layer too is put back{some}"
            yield Panel(title=title, axis="layer", names=("layer_attribution",), where=main)
        if sweeps.keys() - set(NESTED):
            title = f"Recovery with a layer, or the window from it on, put back{some}"
            yield Panel(title=title, axis="layer", names=("recovery",), where=main)
        if "agree" in self._groups and sweeps.keys() & set(NESTED):
            title = "Accuracy where prior knowledge is right: is the hybrid still able"
            where = {"trials": "agree"}
            yield Panel(title=title, axis="replaced", names=("accuracy",), where=where)


class _Recovery:
    """R at the points of one sweep, and what follows from it, with joint bootstrap intervals."""

    def __init__(
        self,
        study: Study,
        group: Group,
        points: Sequence[Point],
        rows: Sequence[int],
        cases: Sequence[Case],
        found: Mapping[tuple[int, ...], Sequence[Reading]],
    ) -> None:
        self._points, self._n = points, len(rows)
        sets = [(), *(point.layers for point in points)]
        columns = [
            [case.base for case in (cases[i] for i in rows)],
            *([found[layers][i].accuracy or 0.0 for i in rows] for layers in sets),
        ]
        clusters = Clusters.of(cases[i].trial.cluster for i in rows)
        self._clusters = clusters.count
        totals = clusters.sums(np.array(columns, float).T.reshape(len(rows), len(columns)))
        self._totals: FloatArray = totals
        self._nested = points[0].sweep in NESTED
        rng = derive_rng(study.seed, study.task.name, "replace", group, points[0].sweep)
        self._spread = cluster_bootstraps(totals, self._statistics, rng)
        self._values = self._statistics(totals.sum(axis=0)[np.newaxis])[0]

    def _statistics(self, totals: FloatArray) -> FloatArray:
        """Return R of each point and, of a nested sweep, its losses from point to point."""
        base, tuned = totals[:, :1], totals[:, 1:2]
        span = np.where(tuned == base, np.nan, tuned - base)
        recovery: FloatArray = (totals[:, 2:] - base) / span
        if not self._nested:
            return recovery
        return np.concatenate([recovery, recovery[:, :-1] - recovery[:, 1:]], axis=1)

    @property
    def undefined(self) -> bool:
        """Whether the tuned model is as accurate as the base."""
        return bool(np.isnan(self._values).all())

    def half(self, invalid: set[tuple[int, ...]]) -> int | None:
        """Return the smallest N at which R is below one half, None if there is none."""
        for point, value in zip(self._points, self._values, strict=False):
            if point.layers not in invalid and value < HALF:
                return point.at
        return None

    def estimates(self, place: Mapping[str, Level]) -> Iterator[Estimate]:
        """Yield R at every point and, of a nested sweep, -dR/dN by the layer that is put back."""
        for index, point in enumerate(self._points):
            yield self._estimate("recovery", {**point.where, **place}, index)
        if not self._nested:
            return
        for index in range(len(self._points) - 1):
            before, after = self._points[index : index + 2]
            (layer,) = set(after.layers) - set(before.layers)
            where = {"sweep": after.sweep, "layer": layer, **place}
            yield self._estimate("layer_attribution", where, len(self._points) + index, signed=True)

    def _estimate(
        self, name: str, where: Mapping[str, Level], index: int, *, signed: bool = False
    ) -> Estimate:
        value, spread = float(self._values[index]), self._spread[index]
        known = not math.isnan(value)
        if not known:
            spread = Bootstrap(None, None, None)
        return Estimate(
            name=name,
            where=dict(where),
            value=value if known else None,
            se=spread.se,
            low=spread.low,
            high=spread.high,
            n=self._n,
            clusters=self._clusters,
            method="none" if spread.low is None else "cluster_bootstrap",
            signed=signed,
        )
