"""``vlm_eval.evaluate`` and ``vlm_eval.score``: what users call, and the command line too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import UsageError
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.job import Job, load_tasks
from vlm_eval.runner.results import Results

if TYPE_CHECKING:
    from vlm_eval.models.base import Model

__all__ = ["evaluate", "load_tasks", "score"]


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
    num_processes: int = 1,
    lease: float = 600.0,
    capture: bool = True,
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
    num_processes
        Processes on this machine that share the work; with several GPUs each has its own
        (``docs/parallel.md``). Not with a model object.
    lease
        With several processes: seconds without a sign of life, above 0, after which the work of
        one is given to the others. Longer than a batch can take.
    capture
        Whether hidden states are kept where a task's ``capture`` section asks for it and the model
        shows them (``docs/internals/capture.md``).
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
    folders = [include_path] if isinstance(include_path, (str, Path)) else include_path
    job = Job(
        model=model,
        tasks=tasks,
        limit=limit,
        output_path=None if output_path is None else str(output_path),
        resume=resume,
        retry_failures=retry_failures,
        seed=seed,
        output=output,
        gen_kwargs=dict(gen_kwargs or {}),
        data={name: str(place) for name, place in (data or {}).items()},
        include_path=list(map(str, folders)),
        model_args=model_args,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        lease=lease,
        capture=capture,
        progress=progress,
        command=command,
    )
    if num_processes < 1:
        raise UsageError(f"--num_processes {num_processes} must be 1 or more")
    if num_processes > 1:
        from vlm_eval.runner.local import run_local

        return run_local(job, num_processes)
    from vlm_eval.runner.part import work_alone

    return work_alone(job)


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
    from vlm_eval.runner.summarise import summarise, tasks_of

    run = RunFolder(folder)
    if not current_tasks:
        return summarise(run, tasks_of(run))
    from vlm_eval.tasks.averages import averages
    from vlm_eval.tasks.index import TaskIndex

    manifest = run.manifest()
    names, index = list(manifest["tasks"]), TaskIndex(include_path)
    tasks = [index.load(name, output=manifest["output"]) for name in names]
    return summarise(run, tasks, averages(index, names))
