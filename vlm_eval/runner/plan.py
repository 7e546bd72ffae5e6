"""What a run will ask, found out before anything is asked.

Planning renders every trial of every task once. Any fault of a task file or of the data therefore
shows before the model is loaded and before anything is written, and not after an hour.

A task is cut into units of work: blocks of consecutive samples, each with all its trials. Where the
cuts lie depends on the task alone, not on how many processes work; so does which unit asks a
question that trials of several units have in common.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from vlm_eval.core.errors import DataError
from vlm_eval.runner.capturing import Wish, lot
from vlm_eval.runner.rehearsal import Cast
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import SampleRow, Trial, expand, samples

UNIT = 512  # trials at most: enough for a backend to group and sort, few enough to hold in memory
SMALL_UNIT, UNITS = 128, 32  # so that several processes share a small task too


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides, beside tasks and model, what is asked. A run is continued only if it is equal.

    Attributes
    ----------
    seed
        Master seed of random image transforms.
    limit
        Samples a task, None for all.
    output
        ``choice`` or ``generate`` instead of each task's own; None for its own.
    decoding
        Changed fields of :class:`~vlm_eval.core.types.Decoding`.
    capture
        Whether hidden states are captured where a task asks for it.
    """

    seed: int = 0
    limit: int | None = None
    output: str | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    capture: bool = True


@dataclass(frozen=True, kw_only=True)
class Size:
    """What planning found out about a task; JSON-able, so that one process plans for all.

    Attributes
    ----------
    samples, trials
        How many it has.
    requests
        How many distinct requests those are, trials that follow another counted as if that had been
        answered rightly.
    shared
        Requests of several units, each with the first of them.
    captured
        How many of the requests are to be captured, if the model can.
    captured_shared
        Those of them that several units have in common.
    highest_lot
        The largest lot of a sample that is captured, see `capturing.lot`; None if all samples are.
    """

    samples: int
    trials: int
    requests: int
    shared: Mapping[str, int] = field(default_factory=dict)
    captured: int = 0
    captured_shared: Sequence[str] = ()
    highest_lot: int | None = None


@dataclass(frozen=True)
class Plan:
    """One task of a run.

    Attributes
    ----------
    task
        The task.
    settings
        The run's settings.
    size
        What planning found out.
    """

    task: Task
    settings: Settings
    size: Size

    @property
    def units(self) -> int:
        """How many units of work there are."""
        return -(-self.size.samples // block_size(self.task, self.size.samples))

    def blocks(self) -> Iterator[list[SampleRow]]:
        """Yield the samples of each unit. They are cheap: nothing is rendered."""
        size = block_size(self.task, self.size.samples)
        left = samples(self.task, limit=self.settings.limit)
        while block := list(islice(left, size)):
            yield block

    def trials(self, block: Sequence[SampleRow]) -> Iterator[Trial]:
        """Yield the trials of a unit."""
        settings = self.settings
        return expand(
            self.task, limit=settings.limit, seed=settings.seed, decoding=settings.decoding,
            rows=block,
        )  # fmt: skip

    @property
    def entwined(self) -> bool:
        """Whether units leave the requests that they share to the first of them.

        They do not where trials follow others, because such a unit must not wait for answers.
        """
        return bool(self.size.shared) and self.task.spec.follows is None

    def elsewhere(self, unit: int) -> frozenset[str]:
        """Return the requests of a unit, and maybe others, that an earlier unit asks."""
        if not self.entwined:
            return frozenset()
        return frozenset(request for request, owner in self.size.shared.items() if owner < unit)

    @property
    def wish(self) -> Wish | None:
        """Which trials are to be captured, None if none is."""
        if self.task.spec.capture is None or not self.settings.capture:
            return None
        shared = frozenset(self.size.captured_shared)
        return Wish(self.task, self.settings.seed, self.size.highest_lot, shared)

    def describe(self) -> dict[str, Any]:
        """Return what ``run.json`` says about the task, with its whole specification."""
        return {
            **self.task.info(),
            "trials": self.size.trials,
            "requests": self.size.requests,
            "spec": self.task.spec.model_dump(mode="json"),
        }


def make_plans(tasks: Sequence[Task], settings: Settings) -> list[Plan]:
    """Plan tasks.

    Raises
    ------
    TaskError, DataError, UsageError
        As :func:`measure`.
    """
    return [Plan(task, settings, measure(task, settings)) for task in tasks]


def block_size(task: Task, count: int) -> int:
    """Return how many of a task's samples make a unit, if there are so many in all."""
    conditions = len(task.conditions())
    trials = min(UNIT, max(SMALL_UNIT, count * conditions // UNITS))
    return max(1, trials // conditions)


def measure(task: Task, settings: Settings) -> Size:
    """Render every trial of a task and return how much there is.

    Raises
    ------
    TaskError, DataError, UsageError
        As :func:`vlm_eval.tasks.trials.expand`, :meth:`~vlm_eval.runner.rehearsal.Cast.rehearse`;
        or if there are no samples.
    """
    ids = [sample.id for sample in samples(task, limit=settings.limit)]
    drawn = Size(samples=len(ids), trials=0, requests=0, highest_lot=_highest(task, settings, ids))
    unmeasured = Plan(task, settings, drawn)
    asked, cast, wish = _Asked(), Cast(task), unmeasured.wish
    for unit, block in enumerate(unmeasured.blocks()):
        for trial in unmeasured.trials(block):
            asked.add(trial.request.id, unit, captured=wish is not None and wish.own(trial))
            cast.see(trial)
    if not asked.units:
        raise DataError("the data source has no rows", where=task.where(("data",)))
    cast.rehearse()
    measured = asked.into(drawn)
    entwined = Plan(task, settings, measured).entwined
    return measured if entwined else replace(measured, captured_shared=())


class _Asked:
    """The request of each trial of a task, some 40 bytes each."""

    def __init__(self) -> None:
        self.ids, self.units, self.captured = bytearray(), array("I"), bytearray()

    def add(self, request: str, unit: int, *, captured: bool) -> None:
        """Note a trial's request, which is a SHA-256, in the order of units."""
        self.ids += bytes.fromhex(request)
        self.units.append(unit)
        self.captured.append(captured)

    def into(self, size: Size) -> Size:
        """Return a size with what is known of the requests."""
        ids = np.frombuffer(self.ids, "V32")
        ids, request = np.unique(ids, return_inverse=True)
        units, captured = np.asarray(self.units), np.zeros(len(ids), bool)
        first, last = np.full(len(ids), units.max()), np.zeros(len(ids), units.dtype)
        np.minimum.at(first, request, units)
        np.maximum.at(last, request, units)
        captured[request[np.frombuffer(self.captured, bool)]] = True
        shared = {ids[i].tobytes().hex(): i for i in np.flatnonzero(first < last)}
        return replace(
            size,
            trials=len(units),
            requests=len(ids),
            shared={name: int(first[i]) for name, i in shared.items()},
            captured=int(captured.sum()),
            captured_shared=tuple(name for name, i in shared.items() if captured[i]),
        )


def _highest(task: Task, settings: Settings, ids: Sequence[str]) -> int | None:
    """Return the largest lot of the samples that are drawn for capturing, None if all are."""
    capture = task.spec.capture
    if capture is None or capture.samples == "all" or capture.samples >= len(ids):
        return None
    lots = (lot(settings.seed, task.name, sample_id) for sample_id in ids)
    return heapq.nsmallest(capture.samples, lots)[-1]
