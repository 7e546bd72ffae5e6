"""From a task to its trials: every sample under every condition, as requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import pydantic

from vlm_eval.core.errors import DataError, TaskError, UsageError, did_you_mean
from vlm_eval.core.hashing import canonical_json, digest
from vlm_eval.core.types import (
    Condition,
    Decoding,
    ImageRef,
    Level,
    Message,
    Part,
    Request,
    Text,
)
from vlm_eval.data.base import Row
from vlm_eval.prompts import templates
from vlm_eval.tasks.rendering import Rendering, prompt_text
from vlm_eval.tasks.spec import Output
from vlm_eval.tasks.task import Task


@dataclass(frozen=True)
class Trial:
    """One sample under one condition: what is asked of the model.

    Attributes
    ----------
    task
        The task's name.
    sample_id, cluster, condition
        Identity of the trial, and what it shares randomness with.
    fields
        The JSON-able fields of the sample under this condition.
    prompt
        The text as sent, each image shown as ``<image>``; a role is named where it is not the
        user's.
    gold
        The right answer; one of the choices where there are choices.
    choices
        The possible answers, whether they are scored or looked for in text; None for free text.
    request
        What the model is sent. Trials that ask the same question share its id.
    """

    task: str
    sample_id: str
    cluster: str
    condition: Mapping[str, Level]
    fields: Mapping[str, Any]
    prompt: str
    gold: str
    choices: tuple[str, ...] | None
    request: Request


@dataclass(frozen=True)
class SampleRow:
    """A row with its identity."""

    id: str
    cluster: str
    row: Row


def expand(
    task: Task,
    *,
    limit: int | None = None,
    seed: int = 0,
    decoding: Mapping[str, Any] | None = None,
) -> Iterator[Trial]:
    """Yield the trials of a task, samples in the source's order, each under all its conditions.

    Parameters
    ----------
    task
        The task.
    limit
        Take this many samples (not trials), in turn from each value of the task's first slice
        field, so that few samples still cover all of them; None takes all.
    seed
        Master seed of random image transforms.
    decoding
        Fields of `Decoding` to change for generated answers, as ``--gen_kwargs`` gives them.

    Raises
    ------
    UsageError
        If the limit or a decoding field is wrong.
    TaskError
        If a template uses an undefined field, a gold answer is none of the choices, an option is
        empty or repeated, or two samples share an id; names file, line, key and sample.
    DataError
        If the data cannot be read.
    """
    changes = _decoding_changes(decoding or {})
    conditions = task.conditions()
    for sample in samples(task, limit=limit):
        for condition in conditions:
            yield make_trial(task, sample, condition, seed=seed, decoding=changes)


def samples(task: Task, *, limit: int | None = None) -> Iterator[SampleRow]:
    """Yield the rows of a task with their ids, limited as in `expand`, which see for errors."""
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise UsageError(f"--limit {limit} must be 1 or more")
    seen: set[str] = set()
    for row in _limited(task, limit):
        sample = _identify(task, row)
        if sample.id in seen:
            where = task.where(("sample_id",))
            raise TaskError(f"two samples have the id {sample.id!r}", where=where)
        seen.add(sample.id)
        yield sample


def _limited(task: Task, limit: int | None) -> Iterable[Row]:
    if limit is None:
        return task.source.rows()
    strata: dict[str, list[Row]] = {}
    for row in task.source.rows():
        key = row.get(task.spec.slices[0]) if task.spec.slices else None
        rows = strata.setdefault(str(key), [])
        if len(rows) < limit:
            rows.append(row)
    turns = max(map(len, strata.values()), default=0)
    dealt = [rows[i] for i in range(turns) for rows in strata.values() if i < len(rows)]
    return dealt[:limit]


def _identify(task: Task, row: Row) -> SampleRow:
    def text(key: str, template: str) -> str:
        made = templates.render(template, row, where=task.where((key,)))
        if not made.strip():
            raise TaskError("renders to nothing", where=task.where((key,)))
        return made

    sample_id = text("sample_id", task.spec.sample_id)
    cluster = sample_id if task.spec.cluster is None else text("cluster", task.spec.cluster)
    return SampleRow(sample_id, cluster, row)


def make_trial(
    task: Task,
    sample: SampleRow,
    condition: Condition,
    *,
    seed: int = 0,
    decoding: Mapping[str, Any] | None = None,
) -> Trial:
    """Return one sample under one condition. Parameters and errors are those of `expand`."""
    rendering = Rendering.of(task, sample.id, sample.row, condition)
    messages = rendering.messages(seed)
    choices = rendering.choices()
    gold = rendering.gold(choices)
    output = rendering.ask.output
    scored = output.kind == "choice"
    request = _request(
        task,
        messages,
        choices if scored else None,
        None if scored else _decoding(output, decoding or {}),
    )
    return Trial(
        task=task.name,
        sample_id=sample.id,
        cluster=sample.cluster,
        condition=dict(condition),
        fields=_json_fields(rendering.context, sample.id),
        prompt=prompt_text(messages),
        gold=gold,
        choices=choices,
        request=request,
    )


def trial_faults(
    task: Task, sample: SampleRow, condition: Condition
) -> tuple[Trial | None, list[TaskError]]:
    """Return the trial, or every fault of the task file that stands in its way.

    Raises
    ------
    DataError
        If the data cannot be read.
    """
    try:
        return make_trial(task, sample, condition), []
    except TaskError as error:
        faults = [error, *Rendering.of(task, sample.id, sample.row, condition).faults()]
        return None, list({str(fault): fault for fault in faults}.values())


def _request(
    task: Task,
    messages: tuple[Message, ...],
    choices: tuple[str, ...] | None,
    decoding: Decoding | None,
) -> Request:
    """Make a request; its id says all that determines the answer except the model."""
    question = {
        "task": task.name,
        "version": task.version,
        "messages": [[message.role, list(map(_part_id, message.parts))] for message in messages],
        "choices": choices,
        "decoding": None if decoding is None else asdict(decoding),
    }
    return Request(digest(question), messages, choices, decoding)


def _part_id(part: Part) -> dict[str, str]:
    return {"text": part.text} if isinstance(part, Text) else {"image": part.image.key}


def _decoding(output: Output, changes: Mapping[str, Any]) -> Decoding:
    own = Decoding(output.max_new_tokens, output.temperature, output.top_p, output.stop)
    return replace(own, **changes)


def _decoding_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields of `Decoding` and return them with their types."""
    for name in given:
        if name not in Output.model_fields or name in {"kind", "choices"}:
            known = [f.name for f in fields(Decoding)]
            raise UsageError(f"unknown decoding option {name!r}", hint=did_you_mean(name, known))
    try:
        checked = Output.model_validate({"kind": "generate", **given})
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        what = f"decoding option {first['loc'][0]!r}: {first['msg']} (got {first['input']!r})"
        raise UsageError(what) from error
    return {name: getattr(checked, name) for name in given}


def _json_fields(context: Mapping[str, Any], sample_id: str) -> dict[str, Any]:
    kept = {name: item for name, item in context.items() if not isinstance(item, ImageRef)}
    try:
        canonical_json(kept)
    except (TypeError, ValueError) as error:
        wrong = [name for name, item in kept.items() if not _is_json(item)]
        what = f"fields that are no JSON values: {', '.join(wrong)} ({error})"
        raise DataError(what, where=f"sample {sample_id!r}") from error
    return kept


def _is_json(item: Any) -> bool:
    try:
        canonical_json(item)
    except (TypeError, ValueError):
        return False
    return True
