"""A study of the real steering task with planted states, and a model that reads what is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_eval.core.capture import Captured
from vlm_eval.core.types import Answer, Request, Response
from vlm_eval.internals.base import Study
from vlm_eval.metrics.table import TableRow
from vlm_eval.models.interventions import Edit
from vlm_eval.tasks.factory import make_task
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, expand

Array = NDArray[np.float32]
BLOCKS, WIDTH = 3, 16
# Before the norm states are ten times as long: what has passed it is too short to say anything.
BEFORE, AFTER = 10.0, 0.1
LABELS = ("0", "1", "2", "3", "norm")


def task(name: str = "vlm-fix-steering", states: int = 20, **data: Any) -> Task:
    document = TaskIndex().load(name).document
    content = {**document.data, "data": {**document.data["data"], "states": states, **data}}
    return make_task(dataclasses.replace(document, data=content))


def says(state: Array, labels: Sequence[str]) -> str:
    """What the model answers, by the sign along the second axis; the first holds the rule."""
    return labels[int(state[1] < 0)]


def labels_of(trial: Trial) -> tuple[str, ...]:
    assert trial.choices is not None
    return trial.choices


class Planted:
    """The states of trials: layer 1 holds noise, layers 2 and 3 the rule and the right answer.

    ``follows`` says of which trials the model itself gives the right answer. Of the others it says
    the wrong one, and what decides that lies on the axis that is read, while the right answer lies
    on an axis that nothing reads.
    """

    def __init__(self, trials: Sequence[Trial], follows: Callable[[Trial], bool]) -> None:
        self.arrays: dict[str, Array] = {}
        self.follows = follows
        for trial in trials:
            draw = np.random.default_rng([int(trial.request.id[:8], 16)])
            states = draw.normal(size=(BLOCKS + 1, WIDTH)).astype(np.float32) * 0.2
            right = 1 if trial.gold == labels_of(trial)[0] else -1
            said = right if follows(trial) else -right
            for layer in (2, 3):
                states[layer, 0] += 6 if trial.condition["rule"] == "inverse" else -6
                states[layer, 1] = 3 * said + 0.1 * draw.normal()
                states[layer, 2] += 6 * right
            before = states * BEFORE
            after = states[-1:] * AFTER
            self.arrays[trial.request.id] = np.concatenate([before, after])

    def of(self, row: TableRow) -> Captured | None:
        found = self.arrays.get(row.request)
        return None if found is None else Captured(row.request, LABELS, {"prompt_last": found}, {})

    def said(self, trial: Trial) -> str:
        return says(self.arrays[trial.request.id][BLOCKS], labels_of(trial))


class Model:
    """Says what the state that it is given at layer 2 or 3 says; layer 1 does not matter."""

    def __init__(self, planted: Planted, trials: Sequence[Trial]) -> None:
        self._planted = planted
        self._trials = {trial.request.messages: trial for trial in trials}
        self.asked: list[str] = []
        self.edits: list[Edit] = []

    def said(self, trial: Trial) -> str:
        return self._planted.said(trial)

    def intervene(self, requests: Sequence[Request], edits: Sequence[Edit]) -> Iterator[Response]:
        by_request = {edit.request: edit for edit in edits}
        assert len(by_request) == len(edits) == len(requests)
        self.edits += edits
        for request in requests:
            self.asked.append(request.id)
            trial, edit = self._trials[request.messages], by_request[request.id]
            state = self._planted.arrays[trial.request.id][edit.layer]
            step = edit.states if edit.how == "add" else edit.states - state
            new = state + edit.alpha * step
            text = says(new, labels_of(trial)) if edit.layer > 1 else self._planted.said(trial)
            yield Response(request.id, Answer(text=text), 0.0)


def study(
    folder: Path,
    made: Task,
    follows: Callable[[Trial], bool] = lambda trial: trial.condition["rule"] == "standard",
    turned: bool = False,
) -> tuple[Study, Model]:
    """Return a study in which the model answers what its planted states say."""
    trials = list(expand(made))
    planted = Planted(trials, follows)
    model = Model(Planted(trials, follows), trials)
    if turned:  # what was captured is not what the model computes
        planted.arrays = {key: -array for key, array in planted.arrays.items()}
    rows = []
    for trial in trials:
        said = model.said(trial)
        right = float(said == trial.gold)
        row = TableRow(
            sample_id=trial.sample_id,
            cluster=trial.cluster,
            condition=trial.condition,
            fields=trial.fields,
            gold=trial.gold,
            answer=said,
            scores={"accuracy": right, "accuracy_literal": right},
            text=said,
            request=trial.request.id,
        )
        rows.append((trial, row))
    table = made.table(tuple(row for _, row in rows), planted)
    folder.mkdir(parents=True, exist_ok=True)

    def track(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        return items

    found = Study(
        task=made,
        table=table,
        model="planted",
        folder=folder,
        trials=lambda: iter(rows),
        load=lambda **_: SimpleNamespace(intervene=model.intervene),  # type: ignore[arg-type, return-value]
        track=track,
        seed=0,
        synthetic=False,
        notice=None,
    )
    return found, model
