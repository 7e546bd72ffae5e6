"""``vlm_eval.evaluate`` and ``vlm_eval.score``: what users call, and the command line too."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import UsageError, did_you_mean
from vlm_eval.runner.folder import SCHEMA, RunFolder, free_folder
from vlm_eval.runner.plan import Plan, Settings, make_plans
from vlm_eval.runner.results import Results

if TYPE_CHECKING:
    from vlm_eval.models.base import Model
    from vlm_eval.tasks.index import TaskIndex
    from vlm_eval.tasks.task import Task

# What a model may say of itself that does not decide its answers: a run may be continued elsewhere.
MODEL_MAY_CHANGE = (
    "counters", "device", "device_map", "engine", "source", "versions",
)  # fmt: skip


def evaluate(
    model: str | Model,
    tasks: str | Sequence[str],
    *,
    limit: int | None = None,
    output_path: str | Path | None = None,
    resume: bool = False,
    retry_failures: bool = False,
    seed: int = 0,
    output: str | None = None,
    gen_kwargs: Mapping[str, Any] | None = None,
    data: Mapping[str, str | Path] | None = None,
    include_path: str | Path | Sequence[str | Path] = (),
    model_args: str | Mapping[str, Any] | None = None,
    batch_size: int | str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
) -> Results:
    """Evaluate a model on tasks, in a run folder, and return the results.

    >>> import vlm_eval
    >>> results = vlm_eval.evaluate(model="tiny", tasks=["vlm-fix-inverse"])  # doctest: +SKIP
    >>> results.to_frame()  # doctest: +SKIP

    Parameters
    ----------
    model
        What ``--model`` takes (a preset, hub id, folder or ``backend:name``), or a model object:
        anything that has the methods of :class:`vlm_eval.models.base.Model`.
    tasks
        Names of tasks or groups, globs or ``tag:NAME``; a list, or text with commas.
    limit
        Samples a task, each still under every condition; None for all.
    output_path
        The run folder; ``runs/`` and the model's name if None, numbered when taken.
    resume
        Continue the run in that folder if there is one. Nothing recorded is asked again.
    retry_failures
        With ``resume``: ask again where a failure is recorded.
    seed
        Master seed of random image transforms.
    output
        ``choice`` (score the options) or ``generate`` instead of each task's own.
    gen_kwargs
        Fields of :class:`~vlm_eval.core.types.Decoding` to change, such as ``max_new_tokens``.
    data
        Task (or group) name to where its data lies: a folder or file, ``hub:ID``, ``hub`` for the
        task's own hub data set, or ``embedded`` for the synthetic stand-in.
    include_path
        A folder, or several, with more task files.
    model_args, batch_size, device, dtype
        For loading the model; see ``vlm_eval.models.registry.load_model``. Not with a model object.
    progress
        Whether to show how far the run is, on standard error.
    command
        The command line to put into ``run.json``.

    Returns
    -------
    Results
        Typed results; :meth:`Results.to_frame` is a pandas table.

    Raises
    ------
    VlmEvalError
        A subclass that says what is wrong and what to do. Faults of arguments, task files and data
        are raised before anything is written.
    """
    places = {name: str(place) for name, place in (data or {}).items()}
    folders = [include_path] if isinstance(include_path, (str, Path)) else list(include_path)
    settings = Settings(seed=seed, limit=limit, output=output, decoding=dict(gen_kwargs or {}))
    loading = _Loading(model, model_args, batch_size, device, dtype)
    loading.check()
    if retry_failures and not resume:
        raise UsageError("retry_failures needs resume", hint="add --resume")
    if resume and output_path is None:
        raise UsageError("resume needs the run folder", hint="give --output_path")
    folder = RunFolder(output_path) if output_path is not None else None
    if folder is not None:
        folder.check_free(resume=resume)
    plans = make_plans(load_tasks(tasks, folders, places, output), settings)
    loaded = loading.load()
    if folder is None:
        folder = RunFolder(free_folder(Path("runs"), loaded.name))
    options = {
        "model": loading.spec,
        "batch_size": batch_size,
        "device": device,
        "dtype": dtype,
        "data": places,
        "include_path": list(map(str, folders)),
    }
    folder.begin(_manifest(loaded, plans, settings, command, options), resume=resume)
    began = time.monotonic()
    _execute(loaded, plans, folder, show=progress, retry_failures=retry_failures)
    folder.end_session({"seconds": time.monotonic() - began, "model": _described(loaded)[1]})
    return _summarise(folder, [plan.task for plan in plans])


def score(
    folder: str | Path, *, current_tasks: bool = False, include_path: Sequence[str | Path] = ()
) -> Results:
    """Parse and score the records of a run again, without a model, and replace ``results.json``.

    Parameters
    ----------
    folder
        The run folder.
    current_tasks
        Use the task files as they are now; otherwise the tasks as they were asked.
    include_path
        Folders with more task files, for ``current_tasks``.

    Raises
    ------
    RunError
        If this is no run folder, or it cannot be read or written.
    UsageError, TaskError
        If a task cannot be found or loaded.
    """
    from vlm_eval.runner.summarise import tasks_of

    run = RunFolder(folder)
    if not current_tasks:
        return _summarise(run, tasks_of(run))
    manifest = run.manifest()
    output = manifest["output"]
    return _summarise(run, load_tasks(list(manifest["tasks"]), include_path, None, output))


def load_tasks(
    names: str | Sequence[str],
    include_path: Sequence[str | Path],
    data: Mapping[str, str] | None,
    output: str | None,
) -> list[Task]:
    """Return the tasks that names stand for, ready to be asked.

    Raises
    ------
    UsageError
        If a name is unknown, or data is given for a task that is not asked.
    TaskError
        If a task file is at fault.
    """
    from vlm_eval.tasks.index import TaskIndex

    index = TaskIndex(include_path)
    chosen = index.choose(names)
    places = {**chosen, **_data_places(index, chosen, data or {})}
    return [index.load(name, data=places[name], output=output) for name in chosen]


def _data_places(
    index: TaskIndex, chosen: Collection[str], data: Mapping[str, str]
) -> dict[str, str]:
    places: dict[str, str] = {}
    for word, place in data.items():
        found = [name for name in index.resolve(word) if name in chosen]
        if not found:
            raise UsageError(
                f"data is given for {word!r}, which is not among the tasks",
                hint=did_you_mean(word, chosen),
            )
        places |= dict.fromkeys(found, place)
    return places


@dataclass(frozen=True)
class _Loading:
    """How to get the model."""

    model: str | Model
    args: str | Mapping[str, Any] | None
    batch_size: int | str | None
    device: str | None
    dtype: str | None

    @property
    def spec(self) -> str:
        return self.model if isinstance(self.model, str) else type(self.model).__name__

    def check(self) -> None:
        """Find a wrong name before any other work."""
        if isinstance(self.model, str):
            from vlm_eval.models.registry import resolve

            resolve(self.model)
            return
        methods = ("name", "capabilities", "describe", "generate", "loglikelihood")
        missing = [method for method in methods if not hasattr(self.model, method)]
        if missing:
            raise UsageError(
                f"a {self.spec} is no model: it has no {', '.join(missing)}",
                hint="give a name, or an object with the methods of vlm_eval.models.base.Model",
            )
        if any(v is not None for v in (self.args, self.batch_size, self.device, self.dtype)):
            raise UsageError(
                "model_args, batch_size, device and dtype are for loading a model by name",
                hint="set them on the model object",
            )

    def load(self) -> Model:
        if not isinstance(self.model, str):
            return self.model
        from vlm_eval.models.registry import load_model

        return load_model(
            self.model,
            args=self.args,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )


def _manifest(
    model: Model,
    plans: Sequence[Plan],
    settings: Settings,
    command: Sequence[str] | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return ``run.json``: what is asked and of whom, and in ``sessions`` how."""
    from vlm_eval.runner.provenance import session

    described, changing = _described(model)
    return {
        "schema": SCHEMA,
        "model": {"name": model.name, **described, "capabilities": asdict(model.capabilities)},
        **asdict(settings),
        "tasks": {plan.task.name: plan.describe() for plan in plans},
        "sessions": [{**session(command, options), "model": changing}],
    }


def _described(model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a model says of itself: what decides its answers, and the rest."""
    said = dict(model.describe())
    return said, {key: said.pop(key) for key in MODEL_MAY_CHANGE if key in said}


def _execute(
    model: Model, plans: Sequence[Plan], folder: RunFolder, *, show: bool, retry_failures: bool
) -> None:
    from vlm_eval.runner.execute import Executor
    from vlm_eval.runner.progress import make_progress
    from vlm_eval.runner.records import RecordIndex, RecordWriter

    path = folder.records / "rank-000.jsonl"
    with RecordWriter(path) as writer, make_progress(quiet=not show) as progress:
        index = RecordIndex(folder.records)
        total = sum(plan.trials for plan in plans)
        executor = Executor(model, index, writer, progress, retry_failures=retry_failures)
        progress.start(total, index.count(answered=retry_failures))
        for plan in plans:
            for unit in plan.units():
                executor.run(plan.task, unit)


def _summarise(folder: RunFolder, tasks: Sequence[Task]) -> Results:
    from vlm_eval.runner.summarise import summarise

    return summarise(folder, tasks)
