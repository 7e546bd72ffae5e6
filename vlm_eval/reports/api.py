"""``vlm_eval.report``: what users call, and the command line too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from vlm_eval.core.errors import RunError, UsageError, did_you_mean
from vlm_eval.reports.browser import flipped, write_browser
from vlm_eval.reports.inside import insides
from vlm_eval.reports.outcomes import Sample, baselines, samples_of
from vlm_eval.reports.pages import write_run, write_task
from vlm_eval.reports.pictures import NONE, Gallery, chosen, draw
from vlm_eval.reports.site import Site, check_replaceable, replaced
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.records import RecordIndex
from vlm_eval.runner.results import Results
from vlm_eval.runner.study import findings_of
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.task import Task

SAMPLES = 100
"""Samples a task that get pictures, if nothing else is asked for."""


def report(
    run: str | Path,
    *,
    out: str | Path | None = None,
    samples: int | Literal["all"] = SAMPLES,
    images: bool = True,
    data: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write the report of a run: a folder of static HTML that opens by double click.

    Equal input gives equal bytes.

    Parameters
    ----------
    run
        The run folder.
    out
        Where to; the run folder's ``report`` if None. An earlier report is replaced when the new
        one is complete.
    samples
        For how many samples a task the pictures are made again, those whose correctness flips
        first; ``"all"`` for every one. All samples have a card.
    images
        Whether to make pictures at all.
    data
        Where the data of a task lies now, if it is not where it lay, as ``--data`` of a run.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    RunError
        If the run is not finished or cannot be read, or the report cannot be written.
    UsageError
        If an argument is wrong.
    """
    if samples != "all" and (type(samples) is not int or samples < 0):
        raise UsageError(f"samples is {samples!r}", hint="give a number from 0, or 'all'")
    folder = RunFolder(run)
    results = Results.from_json(folder.results(), folder.path)
    tasks = {task.name: task for task in tasks_of(folder)}
    places = _places(data or {}, tasks)
    target = folder.path / "report" if out is None else Path(out)
    if target.resolve() == folder.path.resolve():
        hint = "choose another --out"
        raise RunError("is the run folder itself", where=str(target), hint=hint)
    check_replaceable(target)
    limit = None if samples == "all" else samples
    analysed = findings_of(folder)
    with replaced(target) as beside:
        site = Site(beside)
        index = RecordIndex(folder.records)
        known = [tasks[result.task] for result in results.tasks]
        for result, task in zip(results.tasks, known, strict=True):
            found = samples_of(task, index.of_task(task.name))
            browse = None
            compared = baselines(task.factors, result.comparisons)
            if found:
                gallery, notes = NONE, []
                if images and limit != 0:
                    wanted = chosen(found, limit, flipped(found, compared))
                    gallery = draw(task, results.run, wanted, site, places.get(task.name))
                    notes = _cap(found, gallery)
                browse = write_browser(
                    site, task, found, gallery, compared,
                    model=results.model, seed=results.run["seed"], notes=notes,
                )  # fmt: skip
            inside = insides(analysed, task.name)
            write_task(site, results, result, task, found, browse, compared, inside)
        write_run(site, results, known, ())
    return target / "index.html"


def _places(data: Mapping[str, str | Path], tasks: Mapping[str, Task]) -> dict[str, str]:
    for name in data:
        if name not in tasks:
            what = f"data is given for {name!r}, which is not among the run's tasks"
            raise UsageError(what, hint=did_you_mean(name, tasks))
    return {name: str(place) for name, place in data.items()}


def _cap(found: list[Sample], gallery: Gallery) -> list[str]:
    if not gallery.pictures or gallery.samples >= len(found):
        return []
    return [
        f"Pictures are made for {gallery.samples:,} of {len(found):,} samples, those whose "
        "correctness flips first; --samples N or --samples all makes more."
    ]
