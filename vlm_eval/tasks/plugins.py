"""Which other packages a task comes from and takes parts from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vlm_eval.core.registry import BUILT_IN, Registry
from vlm_eval.data.base import SOURCES
from vlm_eval.metrics.table import METRICS
from vlm_eval.tasks.factory import named_parts
from vlm_eval.tasks.index import ENTRY_POINTS, shipped_tasks
from vlm_eval.tasks.spec import Case, TaskSpec
from vlm_eval.tasks.task import Task
from vlm_eval.transforms.base import TRANSFORMS


def distribution_of(file: Path) -> str | None:
    """Return the name and version of the distribution that a task file belongs to.

    :data:`~vlm_eval.core.registry.BUILT_IN` for a shipped file; None for one that is in none.
    """
    file = file.resolve()
    if file.is_relative_to(shipped_tasks().resolve()):
        return BUILT_IN
    for point in entry_points(group=ENTRY_POINTS):
        try:
            package = find_spec(point.module.partition(".")[0])
        except ValueError:
            continue
        places = (package and package.submodule_search_locations) or ()
        if point.dist and any(file.is_relative_to(Path(place).resolve()) for place in places):
            return f"{point.dist.name} {point.dist.version}"
    return None


def plugins(task: Task) -> dict[str, str]:
    """Return the other packages that a task needs, with their versions, by what they give.

    >>> plugins(task)  # doctest: +SKIP
    {'parser side': 'vlm-eval-plugin-example 0.1.0'}
    """
    found = {
        f"{registry.kind} {name}": registry.origin(name)
        for registry, name in _parts(task)
        if name in registry
    }
    found[f"task {task.name}"] = distribution_of(Path(task.document.place(()))) or BUILT_IN
    return {what: origin for what, origin in sorted(found.items()) if origin != BUILT_IN}


def _parts(task: Task) -> Iterator[tuple[Registry[type[Any]], str]]:
    spec = task.spec
    yield SOURCES, spec.data.source
    for metric in spec.metrics:
        yield METRICS, metric.name
    for registry, named, _ in named_parts(spec):
        yield registry, named.name
    holders: list[TaskSpec | Case] = [spec, *spec.cases]
    for holder in holders:
        for transform in holder.image.transform if holder.image else ():
            yield TRANSFORMS, transform.name
