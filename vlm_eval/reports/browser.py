"""The sample browser of a task: static pages of cards, and the same cards as shards for filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_eval.core.types import Level
from vlm_eval.reports.cards import card
from vlm_eval.reports.outcomes import Baselines, Sample, flips
from vlm_eval.reports.pictures import Gallery
from vlm_eval.reports.site import Site
from vlm_eval.reports.text import slug
from vlm_eval.tasks.task import Task

PAGE_TRIALS, PAGE_SAMPLES = 120, 12  # of one page and shard, at most (but one sample at least)
FIELD_VALUES, FIELDS = 60, 8  # a field is a filter if it has at most so many values
CODES = {"right": "r", "wrong": "w", "partial": "p", "unparsed": "u", "failed": "f"}
NO_TRIAL = "-"


def write_browser(
    site: Site,
    task: Task,
    found: Sequence[Sample],
    gallery: Gallery,
    compared: Baselines,
    *,
    model: str,
    seed: int,
    notes: Sequence[str],
) -> str:
    """Write the pages, shards and index of a task's samples; return the path of the first page.

    Parameters
    ----------
    site
        Where to.
    task
        The task.
    found
        Its samples, at least one.
    gallery
        What pictures there are.
    compared
        What each level is compared with.
    model
        The model's name.
    seed
        The run's seed of image transforms.
    notes
        What the reader must know.
    """
    name = slug(task.name)
    folder, data = f"samples/{name}", f"data/{name}"
    parts = paged(found)
    conditions = _conditions(task, found)
    numbers = {frozenset(c.items()): i for i, c in enumerate(conditions)}
    home = f"{folder}/index.html"
    for number, part in enumerate(parts, start=1):
        cards = {
            sample.id: site.render(
                "_card.html.j2",
                card=card(
                    sample, task.factors, task.spec.slices, numbers, gallery.pictures, compared
                ),
                root="../../",
                home=home,
            )
            for sample in part
        }
        site.script(f"{data}/{number:04d}.js", "vlmEval.shard", [number, list(cards.items())])
        site.page(
            f"{folder}/{_page_name(number)}",
            "samples.html.j2",
            model=model,
            task=task.name,
            task_page=f"tasks/{name}.html",
            total=len(found),
            trials=sum(len(sample.trials) for sample in found),
            seeds=f"Random image transforms are seeded by the run's seed, {seed}, and the image.",
            notes=[*notes, *gallery.notes],
            first=number == 1,
            number=number,
            pages=len(parts),
            page_name=_page_name,
            cards=list(cards.values()),
            data=data,
        )
    index = index_of(task, found, parts, conditions, compared)
    site.script(f"{data}/index.js", "vlmEval.index", {**index, "folder": f"../../{data}"})
    return home


def _page_name(number: int) -> str:
    return "index.html" if number == 1 else f"{number}.html"


def paged(found: Sequence[Sample]) -> list[list[Sample]]:
    """Return the samples in parts, each small enough for a page."""
    parts: list[list[Sample]] = [[]]
    trials = 0
    for sample in found:
        full = len(parts[-1]) >= PAGE_SAMPLES or trials + len(sample.trials) > PAGE_TRIALS
        if parts[-1] and full:
            parts.append([])
            trials = 0
        parts[-1].append(sample)
        trials += len(sample.trials)
    return parts


def index_of(
    task: Task,
    found: Sequence[Sample],
    parts: Sequence[Sequence[Sample]],
    conditions: Sequence[Mapping[str, Level]],
    compared: Baselines,
) -> dict[str, Any]:
    """Return what the filters need: for each sample its id, outcomes, shard and fields.

    Outcomes are one letter a condition, fields are places in the lists of their values. ``bases``
    has, by factor, the place of the condition that each one is compared with, -1 where there is
    none.
    """
    numbers = {frozenset(c.items()): i for i, c in enumerate(conditions)}
    fields = fields_of(task, found)
    places: dict[str, dict[str | None, int]] = {
        name: {value: i for i, value in enumerate(fields[name])} for name in fields
    }
    shards = {sample.id: n for n, part in enumerate(parts, start=1) for sample in part}
    return {
        "factors": {name: list(levels) for name, levels in task.factors.items() if len(levels) > 1},
        "conditions": [dict(condition) for condition in conditions],
        "bases": {
            name: [_base(condition, name, levels, numbers) for condition in conditions]
            for name, levels in compared.items()
            if len(task.factors[name]) > 1
        },
        "fields": fields,
        "samples": [
            [
                sample.id,
                _codes(sample, conditions),
                shards[sample.id],
                *(places[n].get(_field(sample, n), -1) for n in fields),
            ]
            for sample in found
        ],
    }


def _base(
    condition: Mapping[str, Level],
    factor: str,
    levels: Mapping[Level, Level],
    numbers: Mapping[frozenset[tuple[str, Level]], int],
) -> int:
    if condition.get(factor) not in levels:
        return -1
    return numbers.get(frozenset({**condition, factor: levels[condition[factor]]}.items()), -1)


def _conditions(task: Task, found: Sequence[Sample]) -> list[Mapping[str, Level]]:
    """Return the task's conditions, and any that only the records have."""
    known: dict[frozenset[tuple[str, Level]], Mapping[str, Level]] = {
        frozenset(c.items()): c for c in task.conditions()
    }
    for sample in found:
        for said in sample.trials:
            condition = said.record.condition
            known.setdefault(frozenset(condition.items()), condition)
    return list(known.values())


def _codes(sample: Sample, conditions: Sequence[Mapping[str, Level]]) -> str:
    said = (sample.at(condition) for condition in conditions)
    return "".join(NO_TRIAL if one is None else CODES[one.outcome] for one in said)


def fields_of(task: Task, found: Sequence[Sample]) -> dict[str, list[str]]:
    """Return the values of the fields that one can filter by, slices of the task first."""
    names = [name for name in found[0].trials[0].record.fields if name not in task.factors]
    kept: dict[str, list[str]] = {}
    for name in dict.fromkeys((*task.spec.slices, *names)):
        values = {_field(sample, name) for sample in found} - {None}
        if 1 < len(values) <= min(FIELD_VALUES, max(2, len(found) - 1)):
            kept[name] = sorted(value for value in values if value is not None)
    return dict(list(kept.items())[:FIELDS])


def _field(sample: Sample, name: str) -> str | None:
    """Return a short scalar field as text, None where there is none."""
    value = sample.trials[0].record.fields.get(name)
    if isinstance(value, (str, int, float, bool)) and len(str(value)) <= 60:
        return str(value)
    return None


def flipped(found: Sequence[Sample], compared: Baselines) -> list[bool]:
    """Return for each sample whether its correctness flips under any level of any factor."""
    return [any(flips(sample, said, compared) for said in sample.trials) for sample in found]
