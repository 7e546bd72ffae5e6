"""Late-layer activation steering: VLM-Fix (arXiv 2604.12119), section 7 and App. D.

For each layer a router reads from the state at the prompt's last token which rule was asked and
what the right answer is; the mean state of training questions with that rule and answer is written
in its place, once, while the prompt is fed; and the model generates. The answer is *read out by a
supervised probe and written back*: in late layers patched accuracy is the router's, and shows that
the layers above obey, not that a rule was edited.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
import pydantic
from numpy.typing import NDArray

from vlm_eval.core.errors import TaskError, UsageError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Answer, Request
from vlm_eval.internals.base import Study
from vlm_eval.internals.centroids import Centroid, Policy, centroids
from vlm_eval.internals.findings import Findings
from vlm_eval.internals.ledger import Ledger
from vlm_eval.internals.router import Route, Router, logistic_regression
from vlm_eval.internals.steer_data import QueryStates, Split, splits
from vlm_eval.internals.steer_results import Curves, Outcomes
from vlm_eval.models.interventions import Edit
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import Trial

if TYPE_CHECKING:
    from vlm_eval.models.hf import HfModel

_Array = NDArray[np.float32]
Said: TypeAlias = str | list[float] | None
"""A generated text, or the log-likelihoods of options; None of a failure."""
How: TypeAlias = Literal["set", "add"]
_CHECKED = 4  # clusters whose own states are written back, which must change nothing


@dataclass(frozen=True, eq=False)
class Arm:
    """What is written into the test rows of a split at one layer.

    Attributes
    ----------
    name
        ``patched``; ``patched_hf`` (the script's own states of the last layer); the controls
        ``random`` and ``wrong_label``.
    split, layer
        Where.
    routes
        Where the router sends each test row.
    edits
        For each test row, what is written and how.
    means
        The centroids by route.
    converged
        Whether the router was fitted well.
    """

    name: str
    split: Split
    layer: int
    routes: Sequence[Route]
    edits: Sequence[tuple[_Array, How]]
    means: Mapping[Route, Centroid]
    converged: bool = True

    @property
    def key(self) -> str:
        """Its name in the ledger."""
        return f"{self.split.repeat}/{self.layer}/{self.name}"


@configurable
class Steer:
    """Write the mean state of the right answer into the last token of held-out questions.

    Attributes
    ----------
    setup
        ``within``: train and test on one group (game) at a time (**confirmed**). ``cross``: train
        on all others; their answers must have the same names (in the script, not in the paper).
    group
        The field that tells the groups.
    rule
        The factor whose levels are the rules.
    layers
        The last so many blocks (12: **confirmed**), or all if the model has fewer.
    alpha
        How far the state is moved towards the centroid (1: **confirmed**).
    repeats
        Seeds of the splits by cluster (1, 2, 3: **code**).
    test_size
        Share of clusters that is tested (0.3: **confirmed**).
    centroid_train_policy
        ``correct_only``: of training rows that the model answered rightly, as far as there are any
        (**code**). ``all_train``: of all.
    states
        ``before``: of the last layer, read the stream before the final norm, where it is written
        (**our default**). ``hf``: also as the script does: it reads ``hidden_states``, whose last
        entry has passed the norm, and adds the difference of two such states to the stream before
        it. The two differ at the last layer alone.
    controls
        ``random``: a random vector as long as the centroid. ``wrong_label``: the centroid of the
        other answer under the same rule. (**Our default**: the paper has none.)
    score
        Which score counts: ``accuracy``, or ``accuracy_literal`` for the paper's own parser, by
        which its numbers are to be compared.
    """

    setup: Literal["within", "cross"] = "within"
    group: str = "game"
    rule: str = "rule"
    layers: Annotated[int, pydantic.Field(ge=1)] = 12
    alpha: float = 1.0
    repeats: Annotated[tuple[int, ...], pydantic.Field(min_length=1)] = (1, 2, 3)
    test_size: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.3
    centroid_train_policy: Policy = "correct_only"
    states: tuple[Literal["before", "hf"], ...] = ("before", "hf")
    controls: tuple[Literal["random", "wrong_label"], ...] = ("random", "wrong_label")
    score: str = "accuracy"

    def __post_init__(self) -> None:
        if len(set(self.repeats)) < len(self.repeats):
            raise ValueError("repeats must be distinct")

    def __call__(self, study: Study) -> Findings:
        """Return accuracies by setup and layer, and what the router reads.

        Raises
        ------
        TaskError
            If no states were captured, rows have no such group, factor or score, or the groups'
            answers have different names where they are crossed.
        UsageError
            If scikit-learn is not installed.
        ModelError
            If the model cannot be edited.
        """
        logistic_regression()
        states = QueryStates.of(study, self.layers)
        self._check(study, states)
        donor = None if study.base is None else _donor(study.base, states, self.layers)
        trials = {row.request: trial for trial, row in study.trials()}
        rows = [i for i, row in enumerate(states.rows) if row.request in trials]
        if len(rows) < len(states.rows):
            raise TaskError("some trials cannot be rendered again", where=study.task.name)
        by_setup: dict[str, list[Split]] = {}
        for split in splits(states.rows, self.setup, self.group, self.repeats, self.test_size):
            by_setup.setdefault(split.setup, []).append(split)
        curves = Curves(rule=self.rule)
        asks = {
            "options": dataclasses.asdict(self),
            "model": study.model,
            "donor": None if study.base is None else study.base.model,
            "answers": [[row.request, row.text, row.logprobs] for row in states.rows],
        }
        with Ledger(study.folder / "ledger.jsonl", asks) as ledger:
            asking = _Asking(study, states, trials, ledger, self.score)
            changed = asking.own()
            for setup, own in by_setup.items():
                arms = [arm for split in own for arm in self._arms(study, states, donor, split)]
                curves.add(setup, self._outcomes(asking, states, arms, setup), arms)
        return curves.findings(study, self, states, changed)

    def _check(self, study: Study, states: QueryStates) -> None:
        where, rows = study.task.name, states.rows
        if any(self.rule not in row.condition for row in rows):
            raise TaskError(f"trials have no factor {self.rule!r}", where=where)
        if any(self.score not in row.scores for row in rows):
            raise TaskError(f"trials have no score {self.score!r}", where=where)
        answers: dict[str, set[str]] = {}
        for row in rows:
            answers.setdefault(str(row.value(self.group)), set()).add(row.gold)
        if self.setup == "cross" and len(set(map(frozenset, answers.values()))) > 1:
            raise TaskError(
                "answers have other names in other groups, so that none steers another",
                where=where,
                hint="take a task that calls them alike, such as vlm-fix-steering-cross",
            )

    def _arms(
        self, study: Study, states: QueryStates, donor: QueryStates | None, split: Split
    ) -> Iterator[Arm]:
        """Yield what is written at each layer, after the protocol."""
        source = donor or states
        train, test, rows = split.train, split.test, states.rows
        rules = [str(rows[i].condition[self.rule]) for i in train]
        golds = [rows[i].gold for i in train]
        right = [source.rows[i].scores[self.score] == 1 for i in train]
        for place, layer in enumerate(states.layers):
            own, given = states.before[:, place], source.before[:, place]
            router = Router.fit(own[train], rules, golds)
            routes = router(own[test])
            means = centroids(given[train], rules, golds, right, self.centroid_train_policy)
            arm = _set("patched", split, layer, routes, means)
            yield dataclasses.replace(arm, converged=router.converged)
            if "random" in self.controls:
                rng = derive_rng(study.seed, split.setup, split.repeat, layer, "random")
                noise = {route: _like(mean, rng) for route, mean in means.items()}
                yield _set("random", split, layer, routes, noise)
            if "wrong_label" in self.controls:
                other = {route: means[_other(route, list(means))] for route in means}
                yield _set("wrong_label", split, layer, routes, other)
        if "hf" in self.states and states.after is not None:
            given = states.after if source.after is None else source.after
            router = Router.fit(states.after[train], rules, golds)
            routes = router(states.after[test])
            means = centroids(given[train], rules, golds, right, self.centroid_train_policy)
            steps: list[tuple[_Array, How]] = [
                (means[route].state - states.after[i], "add")
                for i, route in zip(test, routes, strict=True)
            ]
            layer = states.layers[-1]
            yield Arm("patched_hf", split, layer, routes, steps, means, router.converged)

    def _outcomes(
        self, asking: _Asking, states: QueryStates, arms: Sequence[Arm], setup: str
    ) -> Outcomes:
        """Ask the test rows of all arms, cluster by cluster."""
        by_cluster: dict[str, list[tuple[Arm, int]]] = {}
        for arm in arms:
            for place, row in enumerate(arm.split.test):
                by_cluster.setdefault(states.rows[row].cluster, []).append((arm, place))
        outcomes = Outcomes(states.rows, self.score)
        items = asking.study.track(sorted(by_cluster), len(by_cluster), f"steer {setup}")
        for cluster in items:
            said = asking.of(f"{setup}/{cluster}", by_cluster[cluster], self.alpha)
            for arm, place in by_cluster[cluster]:
                row = int(arm.split.test[place])
                outcomes.add(arm, row, arm.routes[place], asking.scored(row, said[arm.key, row]))
        return outcomes


class _Asking:
    """Asks the model with its states changed, unless the ledger has what it said."""

    def __init__(
        self,
        study: Study,
        states: QueryStates,
        trials: Mapping[str, Trial],
        ledger: Ledger,
        score_name: str,
    ) -> None:
        self.study, self._states, self._trials = study, states, trials
        self._ledger, self._score = ledger, score_name
        self._model: HfModel | None = None

    def of(
        self, key: str, wanted: Sequence[tuple[Arm, int]], alpha: float
    ) -> dict[tuple[str, int], Said]:
        """Return what was said by arm and row."""
        if key not in self._ledger:
            requests, edits = [], []
            for arm, place in wanted:
                row = int(arm.split.test[place])
                name = f"{arm.key} {row}"
                vector, how = arm.edits[place]
                requests.append(self._request(row, name))
                edits.append(Edit(name, arm.layer, "prompt_last", vector, how, alpha))
            self._ledger[key] = self._ask(requests, edits)
        found = self._ledger[key]
        return {
            (arm.key, int(arm.split.test[place])): found[f"{arm.key} {int(arm.split.test[place])}"]
            for arm, place in wanted
        }

    def own(self) -> tuple[int, int]:
        """Write the states of some rows back, which must change nothing.

        Returns
        -------
        tuple of int
            How many answers were asked, and how many of them changed.
        """
        clusters = sorted({row.cluster for row in self._states.rows})[:_CHECKED]
        rows = [i for i, row in enumerate(self._states.rows) if row.cluster in clusters]
        if "own" not in self._ledger:
            requests, edits = [], []
            for row in rows:
                for place, layer in enumerate(self._states.layers):
                    name = f"{layer} {row}"
                    requests.append(self._request(row, name))
                    state = self._states.before[row, place]
                    edits.append(Edit(name, layer, "prompt_last", state))
            self._ledger["own"] = self._ask(requests, edits)
        found = self._ledger["own"]
        changed = sum(
            self.scored(row, found[f"{layer} {row}"]) != self._states.rows[row].scores[self._score]
            for row in rows
            for layer in self._states.layers
        )
        return len(found), changed

    def scored(self, row: int, said: Said) -> float | None:
        """Return the score of what was said, read as the task reads it; None of a failure."""
        if said is None:
            return None
        trial = self._trials[self._states.rows[row].request]
        text, logprobs = (said, None) if isinstance(said, str) else (None, tuple(said))
        scored = score(
            self.study.task,
            condition=trial.condition,
            gold=trial.gold,
            choices=trial.choices,
            outcome=Answer(text=text, logprobs=logprobs),
            fields=trial.fields,
        )
        return scored.scores[self._score]

    def _request(self, row: int, name: str) -> Request:
        return dataclasses.replace(self._trials[self._states.rows[row].request].request, id=name)

    def _ask(self, requests: Sequence[Request], edits: Sequence[Edit]) -> dict[str, Said]:
        if self._model is None:
            self._model = self.study.load()
        said: dict[str, Said] = {}
        for response in self._model.intervene(requests, edits):
            answer = response.outcome
            if not isinstance(answer, Answer):
                said[response.request_id] = None
            elif answer.logprobs is not None:
                said[response.request_id] = list(answer.logprobs)
            else:
                said[response.request_id] = answer.text
        return said


def _set(
    name: str, split: Split, layer: int, routes: Sequence[Route], means: Mapping[Route, Centroid]
) -> Arm:
    """Return an arm that puts each test row where it is sent."""
    edits: list[tuple[_Array, How]] = [(means[route].state, "set") for route in routes]
    return Arm(name, split, layer, routes, edits, means)


def _donor(base: Study, states: QueryStates, last: int) -> QueryStates:
    """Return the states of another model, in the order of the rows that are steered."""
    found = QueryStates.of(base, last)
    place = {row.request: i for i, row in enumerate(found.rows)}
    missing = sum(row.request not in place for row in states.rows)
    if missing:
        raise UsageError(f"the base run lacks {missing} of the questions of this one")
    order = [place[row.request] for row in states.rows]
    if found.before.shape[1:] != states.before.shape[1:]:
        raise UsageError(
            f"the base run's model has states of shape {found.before.shape[1:]} (layers, width), "
            f"this one {states.before.shape[1:]}: they cannot be exchanged"
        )
    after = None if found.after is None else found.after[order]
    return QueryStates(
        tuple(found.rows[i] for i in order), found.layers, found.before[order], after
    )


def _like(mean: Centroid, rng: np.random.Generator) -> Centroid:
    """Return a random vector as long as a centroid."""
    noise = rng.normal(size=mean.state.shape)
    noise *= np.linalg.norm(mean.state) / np.linalg.norm(noise)
    return Centroid(noise.astype(np.float32), 0, "")


def _other(route: Route, routes: Sequence[Route]) -> Route:
    """Return the route of the same rule to the next answer."""
    own = [other for other in routes if other.rule == route.rule]
    return own[(own.index(route) + 1) % len(own)]
