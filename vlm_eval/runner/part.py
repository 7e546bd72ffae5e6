"""What one process does of a run: all of it, or, of several ranks, what it draws.

Rank 0 begins the run: it plans, writes ``run.json`` and publishes the work. The others load their
model meanwhile, check that they would ask the same, and draw. A rank that finds nothing left to
draw waits for the others, in case that one is lost. Who started them (rank 0, or the parent of
local ranks, :mod:`vlm_eval.runner.local`) ends the run with :func:`complete`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import RunError, UsageError
from vlm_eval.data.hub import progress_bars
from vlm_eval.models.base import Expects
from vlm_eval.runner.budget import check_budget, max_bytes
from vlm_eval.runner.captures import CaptureIndex
from vlm_eval.runner.capturing import CaptureWriter
from vlm_eval.runner.desk import Desk
from vlm_eval.runner.execute import Executor, fill
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.heart import Heart, Overview
from vlm_eval.runner.job import Job, described
from vlm_eval.runner.meeting import Launch, meet
from vlm_eval.runner.plan import Plan, Size, make_plans
from vlm_eval.runner.progress import make_progress
from vlm_eval.runner.ranks import said_by_ranks
from vlm_eval.runner.records import RecordIndex, RecordWriter
from vlm_eval.runner.summarise import Closed, Summary, summarise
from vlm_eval.runner.units import CLOSING, POLL_SECONDS, Unit, Watch, Work, drawn

if TYPE_CHECKING:
    from vlm_eval.models.base import Model
    from vlm_eval.runner.results import Results
    from vlm_eval.tasks.task import Task
    from vlm_eval.tasks.trials import SampleRow

FAREWELL_SECONDS = 30.0  # for the others to say how it went, when all work is done


@dataclass(frozen=True)
class _Begun:
    """A run that may be worked on."""

    job: Job
    folder: RunFolder
    plans: Sequence[Plan]
    model: Model


def work_alone(job: Job) -> Results:
    """Do a whole run in this process. Raises as :func:`vlm_eval.evaluate`."""
    with progress_bars(shown=job.progress):
        begun = _begin(job)
    began = time.monotonic()
    _ask_everything(begun)
    seconds = time.monotonic() - began
    begun.folder.end_session({"seconds": seconds, "model": described(begun.model)[1]})
    return summarise(begun.folder, [plan.task for plan in begun.plans])


def _ask_everything(begun: _Begun) -> None:
    """Work through all units here. The index of the records does not outlive it: it is large."""
    job, folder, plans = begun.job, begun.folder, begun.plans
    with (
        RecordWriter(folder.records_of(0)) as writer,
        CaptureWriter(folder.captures_of(0), max_bytes(plans)) as shards,
        make_progress(quiet=not job.progress) as progress,
    ):
        index = RecordIndex(folder.records)
        executor = Executor(
            begun.model, index, writer, progress, captures=CaptureIndex(folder.captures),
            shards=shards, retry_failures=job.retry_failures,
        )  # fmt: skip
        recorded = index.count(answered=job.retry_failures)
        progress.start(_trials(plans), recorded)
        _announce(begun, recorded)
        for plan in plans:
            for block in plan.blocks():
                executor.run(plan.task, plan.trials(block), wish=plan.wish)
                index.forget(plan.size.shared)


def _announce(begun: _Begun, recorded: int) -> None:
    """Tell a model that wants to know how many requests are left to ask, about."""
    if isinstance(begun.model, Expects):
        trials = _trials(begun.plans)
        requests = sum(plan.size.requests for plan in begun.plans)
        begun.model.expect(math.ceil(requests * (trials - recorded) / max(1, trials)))


def take_part(job: Job, launch: Launch, *, supervised: bool = False) -> Results | None:
    """Do this rank's part of a run.

    Parameters
    ----------
    job
        The same in all ranks.
    launch
        Which rank this is.
    supervised
        Whether another process shows the progress and ends the run; rank 0 does otherwise.

    Returns
    -------
    Results
        The results of the whole run from the rank that has ended it, None from the others.

    Raises
    ------
    VlmEvalError
        As :func:`vlm_eval.evaluate`; `RankZeroError` in the others if rank 0 could not begin.
    """
    check_several(job, launch)
    if job.output_path is None:
        raise UsageError("several processes need a common run folder", hint="give --output_path")
    job = placed(job, launch)
    session, meeting = meet(launch)
    if launch.rank > 0:
        with progress_bars(shown=False):
            joined = _join(job, launch, meeting.work)
        if joined is not None:
            _work(*joined, launch.rank, None)
        return None
    try:
        with progress_bars(shown=job.progress):
            begun = _begin(job, launch, session=session)
        work = _publish(begun, session)
    except BaseException:
        meeting.begun(None)
        raise
    meeting.begun(session)
    if supervised:
        _work(begun, work, 0, None)
        return None
    with make_progress(quiet=not job.progress) as progress:
        overview = Overview(progress, work, launch.world_size)
        _work(begun, work, 0, overview)
        _hear_out(work, launch.world_size, job.lease)
        overview.refresh()
    return complete(job, begun.folder, [plan.task for plan in begun.plans], work, launch.world_size)


def check_several(job: Job, launch: Launch) -> None:
    """Find arguments that do not suit several processes.

    Raises
    ------
    UsageError
        If there are any, or others that :meth:`Job.check` finds.
    """
    from vlm_eval.models.args import parse_args

    job.check()
    if not isinstance(job.model, str):
        raise UsageError("a model object works in one process only", hint="give the model's name")
    several_here = max(launch.local_world_size, launch.local_rank + 1) > 1
    if several_here and parse_args(job.model_args).get("device_map") is not None:
        raise UsageError(
            "device_map spreads one process over all GPUs of a machine, and here are several",
            hint="start one process a machine, or leave device_map out",
        )


def placed(job: Job, launch: Launch) -> Job:
    """Return the job with the device of a rank, and let ranks on one machine share its cores.

    With GPUs too: what is prepared for them is prepared on the cores.
    """
    from vlm_eval.models.args import parse_args
    from vlm_eval.models.registry import resolve

    assert isinstance(job.model, str)
    alone = max(launch.local_world_size, launch.local_rank + 1) == 1
    if alone or resolve(job.model).backend == "mock":
        return job
    import torch

    share = (os.cpu_count() or 1) // launch.local_world_size
    torch.set_num_threads(max(1, min(torch.get_num_threads(), share)))
    options = parse_args(job.model_args)
    given = options.get("device", job.device)
    if given not in (None, "auto", "cuda") or not torch.cuda.is_available():
        return job
    options.pop("device", None)
    device = f"cuda:{launch.local_rank % torch.cuda.device_count()}"
    return replace(job, device=device, model_args=options)


def _begin(job: Job, launch: Launch | None = None, **session: Any) -> _Begun:
    """Plan, load the model and write ``run.json``."""
    job.check()
    if job.output_path is not None:
        RunFolder(job.output_path).check_free(resume=job.resume)
    tasks = job.load_tasks()
    if launch is None or launch.desk is None:
        plans = make_plans(tasks, job.settings)
    else:
        plans = Desk(launch.desk).plan(tasks, job.settings, launch.rank, job.lease)
    model = job.load_model()
    folder = job.run_folder(model.name)
    if not folder.holds_run:
        check_budget(model, plans)
    folder.begin(job.manifest(model, plans, **session), resume=job.resume)
    return _Begun(job, folder, plans, model)


def _publish(begun: _Begun, session: str) -> Work:
    work = Work(begun.folder.work, session)
    index = RecordIndex(begun.folder.records)
    work.publish(
        {
            "tasks": {plan.task.name: asdict(plan.size) for plan in begun.plans},
            "trials": _trials(begun.plans),
            "recorded": index.count(answered=begun.job.retry_failures),
        }
    )
    return work


def _join(
    job: Job, launch: Launch, wait: Callable[[RunFolder], Work | None]
) -> tuple[_Begun, Work] | None:
    """Take part in what rank 0 has begun; None if it is done already."""
    tasks = job.load_tasks()
    if launch.desk is not None:
        Desk(launch.desk).help(tasks, job.settings, launch.rank)
    model = job.load_model()
    folder = job.run_folder(model.name)
    work = wait(folder)
    if work is None:
        return None
    plans = published_plans(job, tasks, work)
    folder.check_same(job.manifest(model, plans))
    return _Begun(job, folder, plans, model), work


def published_plans(job: Job, tasks: Sequence[Task], work: Work) -> list[Plan]:
    """Return the plans of tasks as rank 0 has published them.

    Raises
    ------
    RunError
        If it has other tasks.
    """
    sizes = (work.plan() or {}).get("tasks", {})
    if [task.name for task in tasks] != list(sizes):
        raise RunError(
            "the tasks here are not those of rank 0", hint="the same task files on all machines"
        )
    return [Plan(task, job.settings, Size(**sizes[task.name])) for task in tasks]


def units_of(plans: Sequence[Plan]) -> list[Unit]:
    """Return all units of work."""
    return [*_asking(plans), *_closing(plans)]


def _asking(plans: Sequence[Plan]) -> list[Unit]:
    """Return the units that ask, in the order in which they are drawn."""
    return [Unit(plan.task.name, number) for plan in plans for number in range(plan.units)]


def _closing(plans: Sequence[Plan]) -> list[Unit]:
    """Return the units that compute results, the largest first, drawn when all is asked.

    Tasks whose units leave records to each other are closed by :func:`complete`.
    """
    whole = [plan for plan in plans if not plan.entwined]
    whole.sort(key=lambda plan: -plan.size.trials)
    return [Unit(plan.task.name, CLOSING) for plan in whole]


def _work(begun: _Begun, work: Work, rank: int, overview: Overview | None) -> None:
    """Draw and do units until all are done."""
    job, folder = begun.job, begun.folder
    plans = {plan.task.name: _Blocks(plan) for plan in begun.plans}
    heart = Heart(work, rank, overview)
    watch = Watch(work, job.lease)
    executor = None
    _announce(begun, (work.plan() or {}).get("recorded", 0))
    with (
        RecordWriter(folder.records_of(rank)) as writer,
        CaptureWriter(folder.captures_of(rank), max_bytes(begun.plans)) as shards,
    ):
        for unit, by_other in drawn(work, _asking(begun.plans), rank, watch, heart.tick):
            if executor is None or by_other:  # what the other has recorded is not asked again
                index = RecordIndex(folder.records)
                executor = Executor(
                    begun.model, index, writer, heart, captures=CaptureIndex(folder.captures),
                    shards=shards, retry_failures=job.retry_failures,
                )  # fmt: skip
            plan = plans[unit.task].plan
            trials = plan.trials(plans[unit.task].at(unit.number))
            executor.run(plan.task, trials, plan.elsewhere(unit.number), plan.wish)
            index.forget(plan.size.shared)
            writer.sync()
            work.finish(unit)
            heart.beat()
    summary = None
    for unit, _ in drawn(work, _closing(begun.plans), rank, watch, heart.tick):
        summary = summary or Summary(folder)
        work.note(unit, summary.close(plans[unit.task].plan.task).to_json())
        work.finish(unit)
        heart.beat()
    heart.stop(described(begun.model)[1])


class _Blocks:
    """The samples of a plan's units by number; fast if the numbers grow."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._next, self._blocks = 0, plan.blocks()

    def at(self, number: int) -> list[SampleRow]:
        """Return the samples of a unit."""
        if number < self._next:
            self._next, self._blocks = 0, self.plan.blocks()
        for block in self._blocks:
            self._next += 1
            if self._next > number:
                return block
        raise RunError(
            f"task {self.plan.task.name} has fewer samples here than where it was planned",
            hint="the data must not change during a run",
        )


def _hear_out(work: Work, world_size: int, lease: float) -> None:
    """Wait until the others have said how it went, or are lost."""
    watch, end = Watch(work, min(lease, FAREWELL_SECONDS)), time.monotonic() + FAREWELL_SECONDS
    waiting = set(range(1, world_size))
    while waiting and time.monotonic() < end:
        waiting = {
            rank
            for rank in waiting
            if work.last_beat(rank).count > 0
            and work.last_beat(rank).state == "working"
            and not watch.lost(rank)
        }
        time.sleep(POLL_SECONDS if waiting else 0)


def complete(
    job: Job, folder: RunFolder, tasks: Sequence[Task], work: Work, world_size: int
) -> Results:
    """End a run of several ranks: record what they have left to each other, and summarise.

    Raises
    ------
    RunError
        If something cannot be read or written.
    """
    plans = published_plans(job, tasks, work)
    entwined = [plan for plan in plans if plan.entwined]
    if entwined:
        index = RecordIndex(folder.records)
        with RecordWriter(folder.records_of(0)) as writer:
            for plan in entwined:
                for trials in map(plan.trials, plan.blocks()):
                    fill(plan.task, trials, index, writer, retry_failures=job.retry_failures)
    folder.end_session(said_by_ranks(work, world_size))
    results = summarise(folder, tasks, closed=_closed(plans, work))
    work.remove()
    return results


def _closed(plans: Sequence[Plan], work: Work) -> dict[str, Closed]:
    """Return the results that ranks have computed, but for those who did not see every record."""
    noted = {unit.task: work.noted(unit) for unit in _closing(plans)}
    closed = {task: Closed.from_json(value) for task, value in noted.items() if value is not None}
    return {task: one for task, one in closed.items() if not one.result.counts.missing}


def _trials(plans: Sequence[Plan]) -> int:
    return sum(plan.size.trials for plan in plans)
