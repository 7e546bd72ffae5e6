"""The numbers of steering: accuracies over layers, from what was said to each arm."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vlm_eval.core.types import Level
from vlm_eval.internals.base import Study
from vlm_eval.internals.findings import Findings, Panel
from vlm_eval.internals.router import Route
from vlm_eval.metrics.table import TableRow
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean
from vlm_eval.stats.paired import paired_mean
from vlm_eval.stats.results import Estimate

if TYPE_CHECKING:
    from vlm_eval.internals.steer import Arm, Steer
    from vlm_eval.internals.steer_data import QueryStates

PATCHED, HF = "patched", "patched_hf"
_READ_OUT = (
    "patched accuracy is a supervised read-out written back: read it beside router_answer_accuracy "
    "and the controls random and wrong_label"
)


class Tested(NamedTuple):
    """One test row of one arm.

    Attributes
    ----------
    row
        Its number.
    repeat
        The split.
    route
        Where the router sent it.
    score
        Of what was said.
    """

    row: int
    repeat: int
    route: Route
    score: float


class Outcomes:
    """What came of the arms of one setup.

    Parameters
    ----------
    rows
        All rows, by number.
    score
        Which score counts.

    Attributes
    ----------
    failed
        How many answers failed; they do not enter.
    """

    def __init__(self, rows: Sequence[TableRow], score: str) -> None:
        self.rows, self._score = rows, score
        self.failed = 0
        self._found: dict[tuple[str, int], list[Tested]] = {}

    def add(self, arm: Arm, row: int, route: Route, score: float | None) -> None:
        """Take the score of a test row; None of a failure."""
        if score is None:
            self.failed += 1
            return
        tested = Tested(row, arm.split.repeat, route, score)
        self._found.setdefault((arm.name, arm.layer), []).append(tested)

    def arms(self) -> tuple[str, ...]:
        """Return the names of the arms."""
        return tuple(dict.fromkeys(name for name, _ in self._found))

    def of(self, arm: str, layer: int) -> list[Tested]:
        """Return the test rows of an arm; the script's states differ at the last layer only."""
        if arm == HF and (arm, layer) not in self._found:
            arm = PATCHED
        return self._found.get((arm, layer), [])

    def layers(self) -> list[int]:
        """Return the layers."""
        return sorted({layer for _, layer in self._found})

    def base(self, tested: Tested) -> float:
        """Return the score of what the model said by itself."""
        return self.rows[tested.row].scores[self._score]


class Curves:
    """Collects the estimates of all setups.

    Parameters
    ----------
    rule
        The factor whose levels are the rules.
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._estimates: list[Estimate] = []
        self._spread: list[dict[str, Any]] = []
        self._centroids: list[dict[str, Any]] = []
        self._setups: dict[str, list[str]] = {}
        self._failed = self._unconverged = 0

    def add(self, setup: str, outcomes: Outcomes, arms: Sequence[Arm]) -> None:
        """Take the outcomes of a setup."""
        self._failed += outcomes.failed
        self._unconverged += sum(not arm.converged for arm in arms if arm.name in (PATCHED, HF))
        names: list[str] = []
        for layer in outcomes.layers():
            for name, values in self._values(outcomes, layer):
                names += [name] if name not in names else []
                self._add(outcomes.rows, name, {"setup": setup, "layer": layer}, values)
        self._setups[setup] = names
        first = [a for a in arms if a.name == PATCHED and a.layer == arms[0].layer]
        self._centroids += [
            {
                "setup": setup,
                "repeat": arm.split.repeat,
                self._rule: route.rule,
                "answer": route.answer,
                "rows": mean.rows,
                "fallback": mean.fallback,
            }
            for arm in first
            for route, mean in arm.means.items()
        ]

    def _values(
        self, outcomes: Outcomes, layer: int
    ) -> Iterator[tuple[str, list[tuple[Tested, float]]]]:
        """Yield the curves' names, and a value for each test row."""
        rows, patched = outcomes.rows, outcomes.of(PATCHED, layer)
        yield "base_accuracy", [(t, outcomes.base(t)) for t in patched]
        for arm in outcomes.arms():
            yield f"{arm}_accuracy", [(t, t.score) for t in outcomes.of(arm, layer)]
        yield (
            "router_rule_accuracy",
            [(t, float(t.route.rule == rows[t.row].condition[self._rule])) for t in patched],
        )
        yield (
            "router_answer_accuracy",
            [(t, float(t.route.answer == rows[t.row].gold)) for t in patched],
        )
        yield "gain", [(t, t.score - outcomes.base(t)) for t in patched]

    def _add(
        self,
        rows: Sequence[TableRow],
        name: str,
        where: Mapping[str, Level],
        values: Sequence[tuple[Tested, float]],
    ) -> None:
        self._estimates.append(_mean(rows, name, where, values))
        repeats = sorted({t.repeat for t, _ in values})
        means = [float(np.mean([v for t, v in values if t.repeat == r])) for r in repeats]
        sd = float(np.std(means, ddof=1)) if len(means) > 1 else None
        self._spread.append(
            {**where, "name": name, "sd": sd, **dict(zip(map(str, repeats), means, strict=True))}
        )
        if name.startswith("router_rule"):
            return
        for level in sorted({str(rows[t.row].condition[self._rule]) for t, _ in values}):
            own = [(t, v) for t, v in values if str(rows[t.row].condition[self._rule]) == level]
            place = {**where, self._rule: level}
            self._estimates.append(_mean(rows, f"{name}_by_rule", place, own))

    def findings(
        self, study: Study, steer: Steer, states: QueryStates, own: tuple[int, int]
    ) -> Findings:
        """Return everything that was collected.

        Parameters
        ----------
        study, steer, states
            What was steered, and how.
        own
            How many answers were asked with the model's own states written back, and how many of
            them changed.
        """
        chance = study.task.chance
        notes = [_READ_OUT]
        if own[1]:
            notes.append(
                f"{own[1]} of {own[0]} answers changed when the model's own states were written "
                "back: what was captured is not what the model computes now, and no number holds"
            )
        if states.without:
            notes.append(
                f"{states.without} answered trials have no captured states and take no part "
                "(capture.samples)"
            )
        if self._failed:
            notes.append(f"{self._failed} answers failed and do not enter")
        if self._unconverged:
            notes.append(f"{self._unconverged} routers did not converge")
        if "hf" in steer.states and states.after is None:
            notes.append("states after the norm were not captured: no patched_hf_accuracy")
        if any(c["fallback"] for c in self._centroids):
            notes.append(
                "some centroids are of rows that the model answered wrongly, for want of others "
                "(facts, centroids): writing them repeats the mistake"
            )
        return study.findings(
            "steer",
            dataclasses.asdict(steer),
            estimates=tuple(
                dataclasses.replace(e, chance=_chance(e, chance)) for e in self._estimates
            ),
            panels=tuple(self._panels()),
            facts={
                "layers": list(states.layers),
                "donor": study.model if study.base is None else study.base.model,
                "own_states": {"asked": own[0], "changed": own[1]},
                "centroids": self._centroids,
                "repeats": self._spread,
            },
            notes=tuple(notes),
        )

    def _panels(self) -> Iterator[Panel]:
        shown = ("base_", f"{PATCHED}_", "random_", "wrong_label_", "router_answer_")
        for setup, names in self._setups.items():
            drawn = tuple(name for name in names if name.startswith(shown) and name != "gain")
            yield Panel(
                title=f"{setup}: accuracy when the last token is steered at a layer",
                axis="layer", names=drawn, where={"setup": setup},
            )  # fmt: skip
            yield Panel(
                title=f"{setup}: the same by rule", axis="layer",
                names=("base_accuracy_by_rule", "patched_accuracy_by_rule"),
                where={"setup": setup},
            )  # fmt: skip


def _mean(
    rows: Sequence[TableRow],
    name: str,
    where: Mapping[str, Level],
    values: Sequence[tuple[Tested, float]],
) -> Estimate:
    """Return the mean over test rows of all repeats; a row of several repeats is one cluster's."""
    clusters = Clusters.of(rows[t.row].cluster for t, _ in values)
    found = np.array([value for _, value in values], dtype=np.float64)
    if not name.startswith("gain"):
        return clustered_mean(found, clusters).estimate(name, where)
    scores = np.array([t.score for t, _ in values], dtype=np.float64)
    return paired_mean(scores - found, scores, clusters).estimate(name, where, signed=True)


def _chance(estimate: Estimate, chance: float | None) -> float | None:
    return None if estimate.signed or "router_rule" in estimate.name else chance
