"""``vlm_eval validate``: every fault of a task file, explained for whoever wrote it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_eval.cli.options import add_include_path
from vlm_eval.cli.text import WIDTH, printable, printable_lines
from vlm_eval.cli.validate_markdown import markdown
from vlm_eval.core.errors import (
    DataError,
    MissingData,
    RunError,
    TaskError,
    UsageError,
    VlmEvalError,
)
from vlm_eval.core.types import Answer, condition_key
from vlm_eval.runner.rehearsal import Cast
from vlm_eval.tasks.averages import average_of
from vlm_eval.tasks.factory import find_faults, make_task
from vlm_eval.tasks.index import TaskIndex, task_files
from vlm_eval.tasks.loader import group_spec, load, spec_faults
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial, samples, trial_faults
from vlm_eval.tasks.yaml import Document, shown

SUMMARY = "check task files and explain every fault"
SAMPLES = 3


@dataclass(frozen=True)
class Report:
    """What was found about one file.

    Attributes
    ----------
    title
        The task or group and its version, or the file's name.
    facts
        Lines about what the file holds.
    faults
        What is wrong; empty if nothing is.
    example
        A rendered prompt, or None.
    """

    title: str
    facts: Sequence[str]
    faults: Sequence[VlmEvalError]
    example: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE|NAME", help="task files, folders of them, or task names"
    )
    parser.add_argument(
        "--format",
        choices=["text", "markdown"],
        default="text",
        help="markdown: to be pasted into a pull request (default: text)",
    )
    add_include_path(parser)


def run(args: argparse.Namespace) -> int:
    """Print a report on each file; after the last, raise the first fault if there is any."""
    named_files = [path for word in args.files if _is_path(word) for path in task_files(Path(word))]
    names = [word for word in args.files if not _is_path(word)]
    index = TaskIndex([*args.include_path, *(path for path in named_files if path.exists())])
    named = [index.entry(name).file for name in index.resolve(names)] if names else []
    files = list(dict.fromkeys(path.resolve() for path in [*named_files, *named]))
    reports = []
    for file in files:
        reports.append(check_file(file, index))
        if args.format == "text":
            _print(reports[-1])
    faults = [fault for report in reports for fault in report.faults]
    if not files:
        raise UsageError(f"no task file in {', '.join(args.files)}", hint="give a .yaml file")
    if args.format == "markdown":
        print(markdown(reports))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        faulty = sum(bool(report.faults) for report in reports)
        total = f"the first of {len(faults)} faults in {faulty} of {len(files)} file(s)"
        raise TaskError(f"{faults[0].what} ({total})", where=faults[0].where, hint=faults[0].hint)
    return 0


def check_file(path: Path, index: TaskIndex) -> Report:
    """Return the report on a task or group file; ``index`` knows it and what it names."""
    try:
        document = load(path)
    except TaskError as error:
        return Report(shown(path), (), [error])
    if "group" in document.data:
        return _check_group(path, document, index)
    if "task" not in document.data and path.name.startswith("_"):
        return Report(shown(path), ["a shared part: validate the tasks that include it"], ())
    task, faults_of_file = find_faults(document)
    if task is None:
        return Report(shown(path), (), faults_of_file)
    task, notes = _with_data(task, document)
    trials, faults = _render(task)
    faults += _subtask_faults(task, index)
    example = None
    if trials:
        title = f"{trials[0].sample_id} under {condition_key(trials[0].condition) or 'no factor'}"
        example = f"{title}:\n{trials[0].prompt}"
    facts = [*_facts(task, path, trials), *notes]
    return Report(f"{task.name} {task.version}", facts, faults, example)


def _with_data(task: Task, document: Document) -> tuple[Task, list[str]]:
    """Return the task, on its synthetic stand-in if its data is not at hand, and a note on that."""
    try:
        next(task.rows(), None)
    except MissingData as error:
        try:
            return make_task(document, data="embedded"), [f"checked on embedded data: {error.what}"]
        except UsageError:
            return task, []
    except DataError:
        return task, []
    return task, []


def _check_group(path: Path, document: Document, index: TaskIndex) -> Report:
    faults = spec_faults(document)
    if faults:
        return Report(shown(path), (), faults)
    name = group_spec(document).group
    try:
        members = index.resolve(name)
        average = average_of(index.group(name), members)
    except VlmEvalError as error:
        return Report(name, (), [error])
    facts = [f"file {shown(path)}", f"a group of {', '.join(members)}"]
    if average is not None:
        facts.append(f"means of {', '.join(average.scores)} over {len(average.tasks)} tasks")
    return Report(name, facts, ())


def _render(task: Task) -> tuple[list[Trial], list[VlmEvalError]]:
    """Render three samples under every condition and decode their images."""
    trials: list[Trial] = []
    faults: list[VlmEvalError] = []
    try:
        for sample in samples(task, limit=SAMPLES):
            for condition in task.conditions():
                made, found = trial_faults(task, sample, condition)
                faults += found
                trials += made
    except (TaskError, DataError) as error:
        faults.append(error)
    if not trials and not faults:
        faults.append(TaskError("the data source has no rows", where=task.where(("data",))))
    if trials and not faults:
        try:
            cast = Cast(task)
            for trial in trials:
                cast.see(trial)
            cast.rehearse()
        except (TaskError, RunError) as error:
            faults.append(error)
    faults += [*_image_faults(trials), *_parser_faults(task, trials)]
    return trials, list(_gathered(faults))


def _image_faults(trials: Iterable[Trial]) -> Iterator[VlmEvalError]:
    images = {image.key: (image, trial) for trial in trials for image in trial.request.images}
    for image, trial in images.values():
        try:
            image.load()
        except DataError as error:
            yield DataError(
                error.what,
                where=f"{error.where or image.label}, sample {trial.sample_id!r}",
                hint=error.hint,
            )


def _parser_faults(task: Task, trials: Iterable[Trial]) -> list[VlmEvalError]:
    """Check that each right answer is found, and scored as right, where it is all that is said."""
    faults: dict[str, VlmEvalError] = {}
    for trial in trials:
        ask = task.ask(trial.condition)
        if ask.parser is None:
            continue
        try:
            found = score(
                task,
                condition=trial.condition,
                gold=trial.gold,
                choices=trial.choices,
                outcome=Answer(text=trial.gold),
                fields=trial.fields,
            )
        except (TaskError, RunError) as error:
            faults.setdefault(error.what, error)
            continue
        if found.answer is None or not found.scores["accuracy"]:
            what = f"the parser makes {found.answer!r} of the right answer {trial.gold!r}"
            faults.setdefault(what, TaskError(what, where=task.where(ask.origin["parser"])))
    return list(faults.values())


def _gathered(faults: Iterable[VlmEvalError]) -> Iterator[VlmEvalError]:
    """Yield one of the faults that differ only in the sample and condition that showed them."""
    groups: dict[tuple[str, str], list[VlmEvalError]] = {}
    for fault in faults:
        place = (fault.where or "").partition(", sample ")[0]
        groups.setdefault((place, fault.what), []).append(fault)
    for first, *others in groups.values():
        more = f" (and {len(others)} more trials)" if others else ""
        yield type(first)(first.what, where=f"{first.where or ''}{more}", hint=first.hint)


def _subtask_faults(task: Task, index: TaskIndex) -> Iterator[VlmEvalError]:
    for entry in index.tasks:
        if entry.parent == task.name:
            try:
                index.load(entry.name)
            except VlmEvalError as error:
                yield TaskError(
                    f"subtask {entry.name}: {error.what}", where=error.where, hint=error.hint
                )


def _facts(task: Task, path: Path, trials: Sequence[Trial]) -> Iterator[str]:
    spec = task.spec
    yield f"file {shown(path)}, digest {task.digest[:12]}"
    varied = [f"{name} ({', '.join(map(str, levels))})" for name, levels in task.factors.items()]
    yield f"{len(task.conditions())} conditions: {', '.join(varied) or 'no factor'}"
    ids = list(dict.fromkeys(trial.sample_id for trial in trials))
    images = {image.key for trial in trials for image in trial.request.images}
    named = f": {', '.join(ids)}" if ids else ""
    yield (
        f"{len(ids)} samples rendered under each{named}; "
        f"{len(trials)} trials, {len(images)} distinct images decoded"
    )
    parser = "no parser" if spec.parser is None else f"parser {spec.parser.name}"
    yield f"output {spec.output.kind}, {parser}, metrics {', '.join(m.name for m in spec.metrics)}"
    if spec.capture is not None:
        conditions = task.conditions()
        samples = "all" if spec.capture.samples is None else spec.capture.samples
        yield (
            f"captures {', '.join(spec.capture.sites)} of {samples} samples under "
            f"{sum(map(task.captures, conditions))} of {len(conditions)} conditions"
        )
    if spec.subtasks is not None:
        yield f"{len(spec.subtasks.values)} subtasks: {', '.join(spec.subtasks.values)}"
    notice = task.data_info().notice if trials else None
    if notice:
        yield notice


def _print(report: Report) -> None:
    verdict = f"{len(report.faults)} fault(s)" if report.faults else "ok"
    print(printable(f"### {report.title}: {verdict}"))
    for fault in report.faults:  # a line each, however long, to search and to copy
        print(printable(f"- {fault}"))
    for fact in report.facts:
        print(textwrap.fill(printable(f"- {fact}"), WIDTH, subsequent_indent="  "))
    if report.example is not None:
        print(f"\n```text\n{printable_lines(report.example)}\n```")
    print()


def _is_path(word: str) -> bool:
    return Path(word).suffix in {".yaml", ".yml"} or "/" in word or Path(word).is_dir()
