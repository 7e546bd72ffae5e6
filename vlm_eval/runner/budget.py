"""How much disk the captured states of a run will take, found out before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import cast

from vlm_eval.core.errors import UsageError
from vlm_eval.core.types import Answer, Request
from vlm_eval.models.base import Captures, Model
from vlm_eval.runner.capturing import GIB, LOWER, Reduction, Wish, size_of
from vlm_eval.runner.execute import unsupported
from vlm_eval.runner.plan import Plan

PROBES = 4  # where the size differs from request to request


def check_budget(model: Model, plans: Sequence[Plan]) -> None:
    """Ask one question of each task that captures, or a few, and see how large its states are.

    Raises
    ------
    UsageError
        If all of a task's states would take more than its ``max_gib``, or the model does not have
        a layer that is asked for.
    ModelError
        If the model's layers cannot be found.
    """
    for plan in plans:
        wish = plan.wish
        if wish is None or not model.capabilities.capture:
            continue
        capture, reduce = wish.capture, Reduction()
        requests = list(islice(_requests(plan, wish, model), PROBES))
        if capture.grid == "energy" and capture.answers == "best":
            requests = requests[:1]
        found = cast("Captures", model).capture(requests, capture.to_spec())
        sizes = [
            size_of(reduce(captured, capture))
            for response, captured in found
            if captured is not None and isinstance(response.outcome, Answer)
        ]
        most = max(sizes, default=0)
        if most * plan.size.captured > capture.max_gib * GIB:
            raise UsageError(
                f"the states of task {plan.task.name} would take about "
                f"{most * plan.size.captured / GIB:.3g} GiB ({plan.size.captured:,} requests of "
                f"{most:,} bytes), and max_gib is {capture.max_gib:g}",
                where=plan.task.where(("capture",)),
                hint=f"give {LOWER}, or --no_capture",
            )


def max_bytes(plans: Sequence[Plan]) -> float:
    """Return what the states of all tasks of a run may take on disk."""
    return sum(plan.wish.capture.max_gib * GIB for plan in plans if plan.wish is not None)


def _requests(plan: Plan, wish: Wish, model: Model) -> Iterator[Request]:
    """Yield a request of each of the samples that are captured."""
    for block in plan.blocks():
        for sample in block:
            for trial in plan.trials([sample]) if wish.draws(sample.id) else ():
                if wish.own(trial) and unsupported(trial.request, model.capabilities) is None:
                    yield trial.request
                    break
