"""From a merged task file to a task.

Constructs what the file names and checks all that can be checked before any data is read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vlm_eval.core.errors import TaskError, UsageError, did_you_mean
from vlm_eval.core.options import build
from vlm_eval.core.registry import Registry
from vlm_eval.core.types import condition_key
from vlm_eval.data.base import SOURCES
from vlm_eval.metrics.table import METRICS
from vlm_eval.parsers.base import PARSERS
from vlm_eval.prompts import templates
from vlm_eval.scorers.base import SCORERS
from vlm_eval.tasks.loader import spec_faults, task_spec
from vlm_eval.tasks.question import Kind, Output
from vlm_eval.tasks.spec import Case, Data, Named, TaskSpec
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.yaml import Document, PathInFile
from vlm_eval.transforms.base import TRANSFORMS

T = TypeVar("T")
PLACES = ("path", "hub", "embedded")
"""Options of a source that say where the data lies; each excludes the others."""
_BESIDE = frozenset({"path", "stand_in"})  # paths in a task file start at the file's own folder


def make_task(document: Document, *, data: str | None = None, output: str | None = None) -> Task:
    """Construct a task.

    Parameters
    ----------
    document
        The merged task file.
    data
        Where the data lies instead: a path, ``hub:`` and the id of a data set, ``hub`` for the
        task's own, or ``embedded`` for the synthetic stand-in; then options of the source, as in
        ``pairs/,columns=winoground``.
    output
        ``choice`` or ``generate`` instead of the file's own output kind.

    Raises
    ------
    TaskError
        At the first fault of the file.
    UsageError
        If the source takes no such data, or the task cannot be asked for that output.
    """
    task, faults = _construct(document, data, output)
    if task is None or faults:
        raise faults[0]
    return task


def find_faults(document: Document) -> tuple[Task | None, list[TaskError]]:
    """Return every fault that can be found before any data is read, and the task if there is none.

    Faults of the keys hide faults of the values: the second are looked for once the first are
    mended.
    """
    faults = spec_faults(document)
    if faults:
        return None, faults
    task, faults = _construct(document, None, None)
    return (None if faults else task), faults


def _construct(
    document: Document, data: str | None, output: str | None
) -> tuple[Task | None, list[TaskError]]:
    spec = task_spec(document)
    if output is not None:
        spec = _with_output(spec, output)
    faults: list[TaskError] = []

    def make(
        registry: Registry[type[T]], options: Mapping[str, Any], path: PathInFile, key: str = "name"
    ) -> T | None:
        try:
            return build(registry, options, where=None)
        except TaskError as error:
            if not _is_template(error, options):  # else it is checked with the row
                faults.append(_located(error, document, path, key))
            return None

    folder = Path(document.place(())).parent
    source = make(SOURCES, _data_options(spec.data, data, folder), ("data",), "source")
    metrics = [
        make(METRICS, _metric_options(m, spec), ("metrics", i)) for i, m in enumerate(spec.metrics)
    ]
    for registry, named, path in named_parts(spec):
        make(registry, named.options(), path)
    if source is None:
        if data is not None:
            raise _data_fault(spec, data, faults[0])
        return None, faults
    task = Task(spec, document, source, tuple(m for m in metrics if m is not None), data)
    faults += _factor_faults(task)
    if not faults:
        faults += [*_condition_faults(task), *_metric_faults(task)]
    return task, faults


def named_parts(spec: TaskSpec) -> Iterator[tuple[Registry[type[Any]], Named, PathInFile]]:
    """Yield the parsers and scorers of the task and of its cases, and where they stand."""
    holders: list[tuple[PathInFile, TaskSpec | Case]] = [((), spec)]
    holders += [(("cases", i), case) for i, case in enumerate(spec.cases)]
    for prefix, holder in holders:
        if holder.scorer is not None:
            yield SCORERS, holder.scorer, (*prefix, "scorer")
        if holder.parser is not None:
            yield PARSERS, holder.parser, (*prefix, "parser")
            if holder.parser.literal is not None:
                yield PARSERS, holder.parser.literal, (*prefix, "parser", "literal")
            for i, named in enumerate(holder.parser.also):
                yield PARSERS, named, (*prefix, "parser", "also", i)


def _is_template(error: TaskError, options: Mapping[str, Any]) -> bool:
    """Whether an error is about the value of an option that is only known with the row."""
    named = re.search(r"option '([^'.]+)[^']*':", error.what)
    return named is not None and "{{" in str(options.get(named[1]))


def _located(
    error: TaskError, document: Document, path: PathInFile, name_key: str = "name"
) -> TaskError:
    """Place an error of `core.options.build` at the option, or else the name, that it is about."""
    named = re.search(r"option '([^'.]+)", error.what)
    below = (*path, named[1] if named else name_key)
    if below in document.places:
        path = below
    return TaskError(error.what, where=document.key(path), hint=error.hint)


def _data_options(data: Data, override: str | None, folder: Path) -> dict[str, Any]:
    options = data.options()
    for key in _BESIDE & options.keys():
        if isinstance(options[key], str):
            options[key] = str(folder / options[key])
    if override is None:
        return options
    # "PLACE,columns=winoground": a comma in a path is one only where an option follows it.
    place, *more = re.split(r",(?=\w+=)", override)
    own_hub = options.get("hub") or _own_hub(data.source)
    options = {key: item for key, item in options.items() if key not in PLACES}
    options |= dict(item.split("=", 1) for item in more)
    if place == "embedded":
        return {**options, "embedded": True}
    if place != "hub" and not place.startswith("hub:"):
        return {**options, "path": place}
    hub = own_hub if place == "hub" else place.removeprefix("hub:").strip()
    if not hub:
        whose = "the task names no hub data set of its own" if place == "hub" else "names none"
        raise UsageError(f"--data {override!r}: {whose}", hint="write hub:OWNER/NAME")
    return {**options, "hub": hub}


def _own_hub(source: str) -> str | None:
    """Return the hub data set of a source whose tasks do not read it unless asked to."""
    return getattr(SOURCES.get(source), "own_hub", None) if source in SOURCES else None


def _data_fault(spec: TaskSpec, data: str, fault: TaskError) -> UsageError:
    where = f"--data {spec.task}={data}"
    for place in PLACES:
        if f"no option {place!r}" in fault.what:
            what = {"path": "no path", "hub": "no hub id", "embedded": "no stand-in to draw"}[place]
            return UsageError(f"{where}: the data source {spec.data.source} has {what}")
    return UsageError(f"{where}: {fault.what}", hint=fault.hint)


def _metric_options(metric: Named, spec: TaskSpec) -> dict[str, Any]:
    """Return a metric's options; where it can break results down, the task's slices are its own."""
    options = metric.options()
    if metric.name not in METRICS or "by" in options or not spec.slices:
        return options
    cls: Any = METRICS.get(metric.name)
    takes_by = any(field.name == "by" for field in dataclasses.fields(cls))
    return {**options, "by": spec.slices} if takes_by else options


def _with_output(spec: TaskSpec, kind: str) -> TaskSpec:
    kinds: tuple[Kind, ...] = ("choice", "generate")
    if kind not in kinds:
        raise UsageError(f"unknown output {kind!r}", hint=did_you_mean(kind, kinds))

    def changed(output: Output) -> Output:
        if kind == "choice" and output.choices is None:
            raise UsageError(f"task {spec.task} has no choices to score", hint="use generate")
        return output.model_copy(update={"kind": kind})

    cases = tuple(
        case if case.output is None else case.model_copy(update={"output": changed(case.output)})
        for case in spec.cases
    )
    return spec.model_copy(update={"output": changed(spec.output), "cases": cases})


def _factor_faults(task: Task) -> Iterator[TaskError]:
    for name, levels in task.factors.items():
        # 1 == True in Python, so that both in one factor would be one level.
        if len(set(levels)) < len(levels):
            yield TaskError("levels must be distinct", where=task.where(("factors", name)))
    for name, controls in task.spec.controls.items():
        where = task.where(("controls", name))
        if name not in task.factors:
            hint = did_you_mean(name, task.factors)
            yield TaskError(f"{name!r} is no factor", where=where, hint=hint)
            continue
        for level in controls:
            if level not in task.factors[name]:
                hint = did_you_mean(str(level), map(str, task.factors[name]))
                yield TaskError(f"{level!r} is no level of {name}", where=where, hint=hint)


def _condition_faults(task: Task) -> list[TaskError]:
    found: dict[str, TaskError] = {}

    def attempt(check: Callable[[], object]) -> None:
        try:
            check()
        except TaskError as error:
            found.setdefault(str(error), error)

    attempt(task.conditions)
    for condition in [] if found else task.conditions():
        attempt(lambda c=condition: _check_ask(task, c))  # type: ignore[misc]
    if not found:
        attempt(lambda: _check_follows(task))
        attempt(lambda: _check_capture(task))
    return list(found.values())


def _check_follows(task: Task) -> None:
    """Check that what is asked first exists, and follows nothing itself."""
    conditions = task.conditions()
    where = task.where(("follows", "condition"))
    followed = 0
    for condition in conditions:
        first = task.first(condition)
        if first is None:
            continue
        followed += 1
        if first not in conditions:
            missing = condition_key(first)
            raise TaskError(f"there is no condition {missing} to be asked first", where=where)
        if task.first(first) is not None:
            what = f"the condition {condition_key(first)}, to be asked first, follows one itself"
            raise TaskError(what, where=where)
    if task.spec.follows is not None and not followed:
        raise TaskError("holds under no condition", where=task.where(("follows", "when")))


def _check_capture(task: Task) -> None:
    holds = [task.captures(condition) for condition in task.conditions()]
    if task.spec.capture is not None and not any(holds):
        raise TaskError("holds under no condition", where=task.where(("capture", "when")))


def _metric_faults(task: Task) -> Iterator[TaskError]:
    """Ask every metric for an empty table: it says which factor or level it does not find."""
    empty = task.table(())
    for i, metric in enumerate(task.metrics):
        try:
            metric(empty)
        except TaskError as error:
            yield TaskError(error.what, where=task.where(("metrics", i)), hint=error.hint)


def _check_ask(task: Task, condition: Mapping[str, Any]) -> None:
    ask = task.ask(condition)
    if ask.output.kind == "generate" and ask.parser is None:
        where = task.where(ask.origin["output"])
        raise TaskError(
            "generated text needs a parser", where=where, hint="add parser: {name: ...}"
        )
    for i, transform in enumerate(ask.image.transform):
        path = (*ask.origin["image"], "transform", i)
        try:
            if not templates.holds(transform.when, condition, where=""):
                continue
            options = templates.value(transform.options(), condition, where="")
        except TaskError:
            continue  # it uses a field of the row, and is checked with the row
        try:
            build(TRANSFORMS, options, where=None)
        except TaskError as error:
            raise _located(error, task.document, path) from error
