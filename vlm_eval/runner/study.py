"""A task of a finished run, opened for an analysis; and the analysis, carried out and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from vlm_eval.core.errors import RunError, TaskError, UsageError, did_you_mean
from vlm_eval.core.options import build
from vlm_eval.internals.base import ANALYSES, Study, Track
from vlm_eval.internals.findings import Findings
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.runner.again import with_data
from vlm_eval.runner.archive import Archive
from vlm_eval.runner.captures import CaptureIndex, RunStates
from vlm_eval.runner.folder import RunFolder, to_json, write_atomic
from vlm_eval.runner.rows import read_trials
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.rendering import FIRST_ANSWER
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, make_trial, samples

T = TypeVar("T")
ANALYSIS, FINDINGS, FIGURE = "analysis", "findings.json", "figure.svg"


def analyze(
    run: str | Path,
    analysis: str,
    *,
    task: str | None = None,
    base: str | Path | None = None,
    data: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    track: Track | None = None,
    **options: Any,
) -> Findings:
    """Analyse a task of a finished run, and write what was found into the run folder.

    What was found is in ``RUN/analysis/NAME-TASK/findings.json``; an analysis that was interrupted
    goes on where it was.

    Parameters
    ----------
    run
        The run folder.
    analysis
        Its name (``vlm_eval ls analyses``).
    task
        The task; may be left out if the run has one, or one that names this analysis.
    base
        A run of the same task by another model, for analyses that compare two.
    data
        Where the task's data lies now, if it is not where it lay.
    device, dtype
        For loading the model; as in the run if None.
    track
        Shows progress; see `vlm_eval.internals.base.Track`.
    options
        The analysis's own options; they go before those of the task file.

    Raises
    ------
    VlmEvalError
        A subclass that says what is wrong: no such run, task, analysis or option, nothing captured,
        or a model that does not allow it.
    """
    folder = RunFolder(run)
    ANALYSES.get(analysis)
    chosen = _choose(folder, analysis, task)
    named = next((n for n in chosen.spec.analyses if n.name == analysis), None)
    given = {} if named is None else named.options()
    made = build(ANALYSES, {**given, "name": analysis, **options}, where=f"analyze {analysis}")
    load = {"device": device, "dtype": dtype}
    study = open_study(folder, chosen, analysis, data=data, load=load, track=track)
    if base is not None:
        below = RunFolder(base)
        other = _choose(below, analysis, chosen.name)
        study = replace(
            study, base=open_study(below, other, None, data=data, load=load, track=track)
        )
    study.folder.mkdir(parents=True, exist_ok=True)
    found = made(study)
    (study.folder / FIGURE).unlink(missing_ok=True)  # of what was found before
    write_atomic(study.folder / FINDINGS, to_json(found.to_json()))
    return found


def findings_of(folder: RunFolder) -> list[Findings]:
    """Return what all analyses of a run found, in the order of their folders.

    Raises
    ------
    RunError
        If a file cannot be read.
    """
    found = []
    for path in sorted((folder.path / ANALYSIS).glob(f"*/{FINDINGS}")):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"cannot be read: {error}", where=str(path)) from error
        found.append(Findings.from_json(value, str(path)))
    return found


def open_study(
    folder: RunFolder,
    task: Task,
    analysis: str | None,
    *,
    data: str | None = None,
    load: Mapping[str, Any] | None = None,
    track: Track | None = None,
) -> Study:
    """Return a task of a run as an analysis sees it; one without a name writes nowhere."""
    manifest = folder.manifest()
    entry = manifest["tasks"][task.name]
    rows = read_trials(task, Archive(folder.records).of_task(task.name)).rows
    captures = CaptureIndex(folder.captures)
    captured = any(not row.failed and row.request in captures for row in rows)
    table = task.table(rows, RunStates(captures) if captured else None)
    where = folder.path / ANALYSIS / f"{analysis}-{task.name}"
    return Study(
        task=task,
        table=table,
        model=manifest["model"]["name"],
        folder=where,
        trials=partial(_trials, task, table, manifest, data),
        load=partial(_load, manifest, dict(load or {})),
        track=track or _untracked,
        seed=manifest["seed"],
        synthetic=entry["data"]["synthetic"],
        notice=entry["data"]["notice"],
    )


def _untracked(items: Iterable[T], total: int, what: str) -> Iterable[T]:  # noqa: ARG001
    return items


def _choose(folder: RunFolder, analysis: str, name: str | None) -> Task:
    tasks = {task.name: task for task in tasks_of(folder)}
    if name is None:
        naming = [t.name for t in tasks.values() if analysis in {n.name for n in t.spec.analyses}]
        name = naming[0] if len(naming) == 1 else next(iter(tasks)) if len(tasks) == 1 else None
        if name is None:
            raise UsageError(
                f"the run has {len(tasks)} tasks: {', '.join(tasks)}",
                hint="say which: --task NAME",
            )
    if name not in tasks:
        hint = did_you_mean(name, tasks)
        raise UsageError(f"the run {folder.path} has no task {name!r}", hint=hint)
    return tasks[name]


def _trials(
    task: Task,
    table: Table,
    manifest: Mapping[str, Any],
    place: str | None,
    wanted: Callable[[TableRow], bool] | None = None,
) -> Iterator[tuple[Trial, TableRow]]:
    found, why = with_data(task, manifest, place)
    if found is None:
        raise TaskError(why, where=task.name, hint="give the data: --data PATH")
    rows: dict[str, list[TableRow]] = {}
    for row in table.rows:
        if not row.failed and (wanted is None or wanted(row)):
            rows.setdefault(row.sample_id, []).append(row)
    for sample in samples(found):
        for row in rows.pop(sample.id, ()):
            trial = make_trial(
                found, sample, row.condition, seed=manifest["seed"],
                decoding=manifest["decoding"], first_answer=row.fields.get(FIRST_ANSWER),
            )  # fmt: skip
            if trial is not None and trial.request.id == row.request:
                yield trial, row
        if not rows:
            return


def _load(
    manifest: Mapping[str, Any], given: Mapping[str, Any], *, inside: bool = True, **more: Any
) -> Any:  # an HfModel, if it must show its inside
    from vlm_eval.models.hf import HfModel
    from vlm_eval.models.registry import load_model

    options = manifest["sessions"][-1]["options"]
    asked = {**options, **{name: value for name, value in given.items() if value is not None}}
    model = load_model(
        asked["model"],
        args={**(options.get("model_args") or {}), **more},
        batch_size=asked.get("batch_size"),
        device=asked.get("device"),
        dtype=asked.get("dtype"),
    )
    if inside and not isinstance(model, HfModel):
        raise UsageError(
            f"{manifest['model']['name']} does not show its inside",
            hint="analyses need an open model of the hf backend, such as tiny",
        )
    return model
