"""The page of a run and the page of a task: what their templates are given."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlm_eval.core.types import Level
from vlm_eval.reports import views
from vlm_eval.reports.browser import fields_of
from vlm_eval.reports.inside import Inside
from vlm_eval.reports.outcomes import Baselines, Matrix, Sample, crosses, matrices
from vlm_eval.reports.site import Site
from vlm_eval.reports.text import address, slug
from vlm_eval.runner.results import Results, TaskResult
from vlm_eval.stats.results import Comparison, Estimate
from vlm_eval.tasks.task import Task

CHANGES = 3  # named on the overview and at the head of a task
OPEN_PAIRS, OPEN_MATRICES = 2, 6  # what is not folded away
HEADLINE_DROPPED = 0.05  # share of dropped pairs over which a comparison is no headline
MESSAGES = 12  # failure messages, at most
Banner = tuple[str, str, str]


@dataclass(frozen=True)
class Summary:
    """A task's row on the page of the run."""

    result: TaskResult
    page: str
    headline: Estimate | None
    chance: float | None
    changes: Sequence[Comparison]
    more: int
    tags: Sequence[str]


def write_run(site: Site, results: Results, tasks: Sequence[Task], notes: Sequence[str]) -> None:
    """Write ``index.html``."""
    run = results.run
    totals = {
        name: sum(getattr(task.counts, name) for task in results.tasks)
        for name in ("trials", "asked", "failed", "unparsed")
    }
    site.page(
        "index.html",
        "run.html.j2",
        model=results.model,
        finished=results.finished,
        totals=totals,
        banners=[*_run_banners(results), *(("", "Note", note) for note in notes)],
        tasks=[
            _summary(result, task, run) for result, task in zip(results.tasks, tasks, strict=True)
        ],
        groups=[(group, views.measured(group)) for group in results.groups],
        command=command(run),
        software=_software(run),
        provenance=_provenance(run),
        records=results.records,
        torn=results.torn,
    )


def _summary(result: TaskResult, task: Task, run: Mapping[str, Any]) -> Summary:
    changes = headline_changes(result)
    tags = ["synthetic"] if result.synthetic else []
    tags += ["limited"] if run.get("limit") is not None else []
    return Summary(
        result=result,
        page=f"tasks/{slug(result.task)}.html",
        headline=views.headline(result, task.factors),
        chance=task.chance,
        changes=changes[:CHANGES],
        more=max(0, len(changes) - CHANGES),
        tags=tags,
    )


def headline_changes(result: TaskResult) -> list[Comparison]:
    """Return the comparisons of the first score over all samples, furthest from zero first.

    Left out are controls, and comparisons that dropped more than 5 % of their pairs.
    """
    groups = [one for one in views.paired(result) if one.claims]
    first = groups[0].name if groups else None
    claims = [c for one in groups if one.name == first for c in one.claims]
    fit = [
        c for c in claims if c.difference is not None and (c.dropped_share or 0) <= HEADLINE_DROPPED
    ]
    return sorted(fit, key=lambda c: -abs(c.difference or 0.0))


def _run_banners(results: Results) -> list[Banner]:
    found: list[Banner] = []
    if any(task.synthetic for task in results.tasks):
        names = ", ".join(task.task for task in results.tasks if task.synthetic)
        found.append(("warn", "Synthetic data, not a benchmark result:", names))
    if results.run.get("limit") is not None:
        found.append(_limited(results.run))
    if not results.complete:
        missing = sum(task.counts.missing for task in results.tasks)
        found.append(("bad", "Unfinished:", f"{missing:,} trials are missing"))
    return found


def _limited(run: Mapping[str, Any]) -> Banner:
    limit = run["limit"]
    return ("warn", f"Limited to {limit:,} samples a task:", "no number here is a full result")


def write_task(
    site: Site,
    results: Results,
    result: TaskResult,
    task: Task,
    found: Sequence[Sample],
    browse: str | None,
    compared: Baselines,
    inside: Sequence[Inside] = (),
) -> None:
    """Write the page of one task.

    Parameters
    ----------
    site
        Where to.
    results, result
        The run's results, and the task's among them.
    task
        The task as it was asked.
    found
        Its samples.
    browse
        Path of the sample browser, None if there is none.
    compared
        What each level is compared with in the sample browser.
    inside
        What analyses of the task found.
    """
    paired = views.paired(result)
    first = next((one for one in paired if one.whole), None)
    site.page(
        f"tasks/{slug(result.task)}.html",
        "task.html.j2",
        model=results.model,
        result=result,
        browse=browse,
        seen=_seen(task, found, browse, compared),
        banners=_task_banners(results, result),
        headline=views.headline(result, task.factors),
        chance=task.chance,
        changes=headline_changes(result)[:CHANGES],
        paired=paired,
        open_pairs=OPEN_PAIRS,
        methods=views.methods,
        curves=views.curves(result, task.factors),
        inside=inside,
        crosses=crosses(found, task.factors),
        matrices=_matrices(found, paired) if first else [],
        open_matrices=OPEN_MATRICES,
        failures=_failures(found),
        bounds=_bounds(result),
        measured=views.measured(result),
        description=task.spec.description,
        about=_about(task, results.run["tasks"][result.task]),
    )


def _seen(
    task: Task, found: Sequence[Sample], browse: str | None, compared: Baselines
) -> Callable[[Comparison, str], str]:
    """Return what gives the address of a comparison's flips, empty if the filters cannot tell."""
    fields = fields_of(task, found) if browse else {}

    def seen(c: Comparison, show: str) -> str:
        same = compared.get(c.factor, {}).get(c.level) == c.baseline
        if not (browse and same and c.name == views.ACCURACY and len(c.where) <= 1):
            return ""
        field, value = next(iter(c.where.items()), ("", ""))
        if field and str(value) not in fields.get(field, ()):
            return ""
        state = {"show": show, "factor": c.factor, "level": c.level}
        return address(f"../{browse}", **state, field=field, value=str(value))

    return seen


def _task_banners(results: Results, result: TaskResult) -> list[Banner]:
    counts, found = result.counts, []
    if result.synthetic:
        found.append(("warn", "Synthetic data, not a benchmark result.", result.notice or ""))
    elif result.notice:
        found.append(("", "Note:", result.notice))
    if results.run.get("limit") is not None:
        found.append(_limited(results.run))
    if counts.missing:
        what = f"{counts.missing:,} of {counts.trials:,} trials are missing"
        found.append(("bad", "Unfinished:", what))
    if counts.failed:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in counts.failures.items())
        found.append(("bad", "Failed trials, not scored, their pairs dropped:", kinds))
    return found


def _matrices(found: Sequence[Sample], paired: Sequence[views.Paired]) -> list[Matrix]:
    """Return the matrices of every level that is compared, each once."""
    levels: dict[tuple[str, Level, Level], None] = {}
    for one in paired:
        for c in one.whole:
            levels.setdefault((c.factor, c.baseline, c.level))
    return [matrix for key in levels for matrix in matrices(found, *key)]


def _failures(found: Sequence[Sample]) -> list[tuple[str, str, int]]:
    tally = Counter(
        (str(said.record.failure["kind"]), str(said.record.failure["message"]))
        for sample in found
        for said in sample.trials
        if said.record.failure is not None
    )
    ordered = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
    return [(kind, message, n) for (kind, message), n in ordered[:MESSAGES]]


def _bounds(result: TaskResult) -> list[Comparison]:
    return [
        c
        for c in result.comparisons
        if not c.where and (c.parse_failures_baseline or c.parse_failures_level)
    ]


def _about(task: Task, entry: Mapping[str, Any]) -> dict[str, Any]:
    spec, data = task.spec, entry["data"]
    paper = entry.get("paper") or {}
    cite = ", ".join(
        str(part)
        for part in (paper.get("title"), paper.get("arxiv") and f"arXiv {paper['arxiv']}",
                     paper.get("venue"))
        if part
    )  # fmt: skip
    factors = {name: ", ".join(map(str, levels)) for name, levels in task.factors.items()}
    return {
        "task": f"{task.name} {task.version}",
        "paper": cite or "-",
        "task digest": entry["digest"],
        "conditions": entry["conditions"],
        **{f"factor {name}": text for name, text in factors.items()},
        "data source": data["source"],
        "data digest": data["digest"],
        "data notice": data["notice"] or "-",
        "output": spec.output.kind if spec.output else "-",
        "parser": spec.parser.name if spec.parser else "-",
        "metrics": ", ".join(dict.fromkeys(metric.name for metric in spec.metrics)),
    }


def command(run: Mapping[str, Any]) -> str:
    """Return the command line that asks the same again, as a shell takes it.

    Of a run that was started from Python it is the call.
    """
    session = run["sessions"][0]
    if session.get("command"):
        return shlex.join(map(str, session["command"]))
    options = session.get("options", {})
    given = {
        "model": options.get("model") or run["model"]["name"],
        "tasks": list(run["tasks"]),
        "limit": run.get("limit"),
        "seed": run.get("seed") or None,
        "output": run.get("output"),
        "gen_kwargs": run.get("decoding") or None,
        **{name: options.get(name) or None for name in ("data", "include_path", "batch_size")},
    }
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    return f"vlm_eval.evaluate({arguments})"


def _software(run: Mapping[str, Any]) -> str:
    software = run["sessions"][0].get("vlm_eval", {})
    parts = [f"vlm_eval {software.get('version') or '(not installed)'}"]
    if software.get("commit"):
        parts.append(f"commit {software['commit']}")
    return ", ".join(parts)


def _provenance(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return everything that ``run.json`` says of the run, flat, by theme."""
    session = run["sessions"][-1]
    asked = {name: run.get(name) for name in ("seed", "limit", "output", "decoding")}
    sessions = {
        f"session {i}": f"{one.get('started')}, {one.get('seconds', 0):,.0f} s"
        for i, one in enumerate(run["sessions"], start=1)
    }
    return {
        "Model": flat(run["model"]),
        "Backend": flat(session.get("model", {})),
        "Run": {**flat(asked), **sessions, "vlm_eval": _software(run)},
        "Machine": flat(session.get("hardware", {})),
        "Versions": flat(session.get("versions", {})),
    }


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as one level of dotted names; unknown and empty print as "-"."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        key = f"{prefix}{name}"
        if isinstance(item, Mapping) and item:
            found |= flat(item, f"{key}.")
        elif isinstance(item, (list, tuple)):
            found[key] = ", ".join(map(str, item)) or "-"
        else:
            found[key] = "-" if item is None or item == {} else str(item)
    return found
