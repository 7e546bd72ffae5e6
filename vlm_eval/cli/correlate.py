"""``vlm_eval correlate``: segmentation quality against a run's error rates, over conditions."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_eval.core.errors import RunError, UsageError, did_you_mean

if TYPE_CHECKING:
    from vlm_eval.runner.results import Results, TaskResult
    from vlm_eval.segmentation.quality import Quality
    from vlm_eval.segmentation.relation import Relation

SUMMARY = (
    "Correlate segmentation quality Q (mIoU) with a run's error rates L over the conditions of a "
    "degradation: Pearson and Spearman with n, p and interval, of Q with L and of what is lost "
    "with what is added."
)
HEADLINE = ("HR", "COR", "SMR")
"""The error rates shown unless others are asked for, as far as the run has them."""
_COLUMNS = 4  # error rates side by side in 100 columns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the run folder")
    parser.add_argument(
        "--segmentation", type=Path, action="append", required=True, metavar="FILE",
        help="what `vlm_eval segment` wrote, or a CSV with condition,miou (repeatable)",
    )  # fmt: skip
    parser.add_argument("--task", metavar="T", help="of the run (default: the one that fits)")
    parser.add_argument(
        "--factor", default="degradation", metavar="F",
        help="the task's factor whose levels are the conditions (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", metavar="A,B",
        help=f"error rates, or all (default: of {', '.join(HEADLINE)} what the run has)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the coefficients here too")
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def run(args: argparse.Namespace) -> int:
    """Correlate, print, and write the CSV if asked."""
    from vlm_eval.segmentation.relation import relate
    from vlm_eval.segmentation.store import read_quality

    results = _results(args.run_folder)
    task = _task(results, args.task, args.factor)
    errors = _errors(task, args.factor, args.metrics)
    levels = [str(level) for level in results.run["tasks"][task.task]["factors"][args.factor]]
    qualities = [quality for file in args.segmentation for quality in read_quality(file)]
    relations = [
        relation
        for quality in qualities
        for metric, error in errors.items()
        for relation in relate(
            quality.segmenter, quality.values(), metric, error, baseline=levels[0], seed=args.seed
        )
    ]
    if args.csv is not None:
        from vlm_eval.runner.folder import write_atomic

        write_atomic(args.csv, to_csv(relations))
    if not args.quiet:
        for quality in qualities:
            of_it = [r for r in relations if r.segmenter == quality.segmenter]
            warnings = _mismatches(quality, results, task, levels)
            _print(results.model, task, quality, levels, errors, of_it, warnings)
    return 0


def _results(folder: str) -> Results:
    from vlm_eval.runner.folder import RunFolder
    from vlm_eval.runner.results import Results

    return Results.from_json(RunFolder(folder).results(), Path(folder))


def _task(results: Results, name: str | None, factor: str) -> TaskResult:
    """Return the task asked for, or else the only one with the factor."""
    names = [task.task for task in results.tasks]
    if name is not None and name not in names:
        raise UsageError(f"the run has no task {name!r}", hint=did_you_mean(name, names))
    fitting = [
        task
        for task in results.tasks
        if factor in results.run["tasks"][task.task]["factors"] and name in (None, task.task)
    ]
    if not fitting:
        raise UsageError(f"no task of the run has the factor {factor!r}", hint="give --factor")
    if len(fitting) > 1:
        several = ", ".join(task.task for task in fitting)
        raise UsageError(f"several tasks have the factor {factor!r}", hint=f"--task: {several}")
    return fitting[0]


def _errors(task: TaskResult, factor: str, asked: str | None) -> dict[str, dict[str, float | None]]:
    """Return error rates by level: estimates that are broken down by the factor alone."""
    known: dict[str, dict[str, float | None]] = {}
    for estimate in task.estimates:
        if set(estimate.where) == {factor} and estimate.lower_is_better:
            known.setdefault(estimate.name, {})[str(estimate.where[factor])] = estimate.value
    names = [word.strip() for word in (asked or ",".join(HEADLINE)).split(",") if word.strip()]
    if names == ["all"]:
        names = list(known)
    if asked is None:
        names = [name for name in names if name in known]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"{task.task} has no error rate {name!r} by {factor}", hint=hint)
    if not names:
        hint = "--metrics all" if known else "is it a run of cityscapes-degraded?"
        raise RunError(f"{task.task} has none of {', '.join(HEADLINE)} by {factor}", hint=hint)
    return {name: known[name] for name in names}


def _mismatches(
    quality: Quality, results: Results, task: TaskResult, levels: Sequence[str]
) -> list[str]:
    """Return what does not fit between the two sides."""
    from vlm_eval.segmentation.relation import fold

    warnings = []
    known = {fold(level) for level in levels}
    there = {fold(level) for level, value in quality.values().items() if value is not None}
    if there - known:
        warnings.append(f"not among the run's conditions: {', '.join(sorted(there - known))}")
    if known - there:
        absent = [level for level in levels if fold(level) not in there]
        warnings.append(f"no mIoU under {', '.join(absent)}")
    own, said = results.run["tasks"][task.task], quality.provenance
    pairs = [
        ("data", own["data"]["digest"], said.get("data", {}).get("digest")),
        ("task version", own["version"], said.get("version")),
        ("seed", results.run.get("seed"), said.get("seed")),
        ("limit", results.run.get("limit"), said.get("limit")),
    ]
    if "data" in said:
        what = [name for name, one, other in pairs if one != other]
        if what:
            warnings.append(f"the run and the segmentation differ in {', '.join(what)}")
    return [f"WARNING: {line}" for line in warnings]


def _print(
    model: str,
    task: TaskResult,
    quality: Quality,
    levels: Sequence[str],
    errors: Mapping[str, Mapping[str, float | None]],
    relations: Sequence[Relation],
    warnings: Sequence[str],
) -> None:
    from vlm_eval.cli.text import print_table
    from vlm_eval.segmentation.relation import cautions

    print(f"\n{model} on {task.task}, segmentation by {quality.segmenter}")
    names = list(errors)
    for start in range(0, len(names), _COLUMNS):
        some = {name: errors[name] for name in names[start : start + _COLUMNS]}
        print_table(condition_rows(quality.values(), some, levels))
        print()
    notes = ["", *warnings, *cautions(relations)]
    synthetic = task.synthetic or quality.provenance.get("data", {}).get("synthetic")
    if synthetic:
        notes.insert(1, "SYNTHETIC DATA: not a benchmark result")
    print_table([row for relation in relations for row in coefficient_rows(relation)], notes)


def condition_rows(
    quality: Mapping[str, float | None],
    errors: Mapping[str, Mapping[str, float | None]],
    levels: Sequence[str],
) -> list[dict[str, str]]:
    """Return a row a condition: Q and what is lost, each error rate and what is added, in %."""
    from vlm_eval.segmentation.relation import fold

    folded = {fold(level): value for level, value in quality.items()}
    clean = levels[0]
    rows = []
    for level in levels:
        row = {"condition": level}
        row |= _pair("Q", folded.get(fold(level)), folded.get(fold(clean)), lost=True)
        for name, series in errors.items():
            row |= _pair(name, series.get(level), series.get(clean), lost=False)
        rows.append(row)
    return rows


def _pair(name: str, value: float | None, clean: float | None, *, lost: bool) -> dict[str, str]:
    from vlm_eval.cli.segment import percent

    change = None if value is None or clean is None else value - clean
    if change is not None and lost:
        change = -change
    return {f"{name} %": percent(value), f"d{name}": percent(change, signed=True)}


def coefficient_rows(relation: Relation) -> list[dict[str, str]]:
    """Return a row for Pearson's and one for Spearman's coefficient."""
    form = {"level": "Q, L", "change": "dQ, dL"}[relation.form]
    return [
        {
            "L": relation.metric,
            "of": form,
            "coefficient": one.method,
            "r": _signed(one.r),
            "95 % interval": "-"
            if one.low is None
            else f"[{_signed(one.low)}, {_signed(one.high)}]",
            "n": str(one.n),
            "p": "-" if one.p is None else f"{one.p:.4f}" if one.p >= 1e-4 else "<0.0001",
            "|r| for p < .05": "-" if one.critical is None else f"{one.critical:.3f}",
        }
        for one in relation.both
    ]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def to_csv(relations: Sequence[Relation]) -> str:
    """Return the coefficients as CSV, one a line; unknown is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["segmenter", "metric", "form", "method", "n", "r", "low", "high", "interval",
         "p", "p_method", "critical_r"]
    )  # fmt: skip
    for relation in relations:
        for one in relation.both:
            numbers: list[Any] = [one.n, one.r, one.low, one.high, one.interval, one.p]
            writer.writerow(
                [relation.segmenter, relation.metric, relation.form, one.method, *numbers,
                 one.p_method, one.critical]
            )  # fmt: skip
    return file.getvalue()
