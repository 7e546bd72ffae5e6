"""From a task to its trials: every sample under every condition, as requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache, partial
from itertools import islice
from typing import Any

import pydantic

from vlm_eval.core.errors import DataError, TaskError, UsageError, did_you_mean
from vlm_eval.core.hashing import canonical_json, digest_bytes, record_key
from vlm_eval.core.types import (
    Condition,
    Decoding,
    ImageRef,
    Level,
    Match,
    Message,
    Part,
    Request,
    Text,
    condition_key,
)
from vlm_eval.core.values import value
from vlm_eval.data.base import Row
from vlm_eval.prompts import templates
from vlm_eval.tasks.question import Output
from vlm_eval.tasks.rendering import Rendering, prompt_text
from vlm_eval.tasks.task import Task


@dataclass(frozen=True)
class Follow:
    """What a trial needs that cannot be rendered before another one is answered.

    Attributes
    ----------
    condition
        The condition of the sample's trial that is asked first.
    render
        Returns the trial as it is asked, given the first one's parsed answer. Raises TaskError if
        a template fails with this answer.
    """

    condition: Condition
    render: Callable[[str], Trial] = field(compare=False, repr=False)


@value(frozen=True)
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
    follow
        For a trial that depends on the model's answer to another: which one, and how it is rendered
        then. Until then the answer is taken to be the other's right one. None for all others.
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
    follow: Follow | None = None

    @cached_property
    def key(self) -> bytes:
        """The identity of its record, see `vlm_eval.core.hashing.record_key`."""
        return record_key(self.task, self.sample_id, self.condition, self.request.id)


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
    rows: Iterable[SampleRow] | None = None,
) -> Iterator[Trial]:
    """Yield the trials of a task, samples in the source's order, each under all its conditions.

    A sample's trials are yielded one after the other. Those that follow another trial are rendered
    as if that had been answered rightly; see `Trial.follow`.

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
    rows
        Only these of the task's `samples`; all if None.

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
    for sample in samples(task, limit=limit) if rows is None else rows:
        for condition in conditions:
            trial = make_trial(task, sample, condition, seed=seed, decoding=changes)
            if trial is not None:
                yield trial


def samples(task: Task, *, limit: int | None = None) -> Iterator[SampleRow]:
    """Yield the rows of a task with their ids, limited as in `expand`, which see for errors."""
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise UsageError(f"--limit {limit} must be 1 or more")
    seen: set[str] = set()
    for row in _limited(task, limit):
        sample = _identify(task, row)
        if sample.id in seen:
            where = task.where(("sample_id",))
            hint = "the data holds a row twice, or the id does not tell its rows apart"
            raise TaskError(f"two samples have the id {sample.id!r}", where=where, hint=hint)
        seen.add(sample.id)
        yield sample


def _limited(task: Task, limit: int | None) -> Iterable[Row]:
    if limit is None or not task.spec.slices:
        return islice(task.rows(), limit)
    strata: dict[str, list[Row]] = {}
    for row in task.rows():
        rows = strata.setdefault(str(row.get(task.spec.slices[0])), [])
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
    first_answer: str | None = None,
) -> Trial | None:
    """Return one sample under one condition, None if there is no such trial (`applies`).

    Parameters and errors are those of `expand`. With ``first_answer`` a trial that follows another
    is rendered with this answer instead of the right one.
    """
    follow, answer = None, None
    first = task.first(condition)
    if first is not None:
        answer = _right_answer(task, sample, first) if first_answer is None else first_answer
        options = {"seed": seed, "decoding": decoding}
        follow = Follow(first, partial(_given, task, sample, condition, options))
    rendering = Rendering.of(task, sample.id, sample.row, condition, answer)
    if rendering is None:
        return None
    if first is not None and answer is None:
        where = rendering.where(("follows",))
        raise TaskError(f"its trial under {condition_key(first)} does not apply", where=where)
    messages = rendering.messages(seed)
    choices = rendering.choices()
    gold = rendering.gold(choices)
    output = rendering.ask.output
    scored = output.kind == "choice"
    request = _request(
        task,
        messages,
        choices if scored else None,
        None if scored else replace(output.decoding, **decoding) if decoding else output.decoding,
        rendering.match(choices, seed) if scored else None,
        scored and output.end_of_turn,
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
        follow=follow,
    )


def _given(
    task: Task, sample: SampleRow, condition: Condition, options: dict[str, Any], answer: str
) -> Trial:
    trial = make_trial(task, sample, condition, **options, first_answer=answer)
    assert trial is not None, "whether a trial exists does not depend on an answer"
    return trial


def _right_answer(task: Task, sample: SampleRow, condition: Condition) -> str | None:
    """Return the gold answer under a condition, None if it does not apply."""
    rendering = Rendering.of(task, sample.id, sample.row, condition)
    return None if rendering is None else rendering.gold(rendering.choices())


def trial_faults(
    task: Task, sample: SampleRow, condition: Condition
) -> tuple[list[Trial], list[TaskError]]:
    """Return the trial (none if it does not apply), or every fault that stands in its way.

    A trial that follows another is rendered for every answer that this may get, and each is
    returned.

    Raises
    ------
    DataError
        If the data cannot be read.
    """
    answers: Sequence[str | None] = [None]
    try:
        first = task.first(condition)
        before = None if first is None else make_trial(task, sample, first)
    except TaskError as error:
        return [], [error]
    if before is not None:
        answers = before.choices or (before.gold,)
    try:
        made = [make_trial(task, sample, condition, first_answer=answer) for answer in answers]
    except TaskError as error:
        faults = [error, *_part_faults(task, sample, condition, answers[0])]
        return [], list({str(fault): fault for fault in faults}.values())
    return [trial for trial in made if trial is not None], []


def _part_faults(
    task: Task, sample: SampleRow, condition: Condition, first_answer: str | None
) -> list[TaskError]:
    try:
        rendering = Rendering.of(task, sample.id, sample.row, condition, first_answer)
    except TaskError:
        return []
    return [] if rendering is None else rendering.faults()


def _request(
    task: Task,
    messages: tuple[Message, ...],
    choices: tuple[str, ...] | None,
    decoding: Decoding | None,
    match: Match | None,
    end_of_turn: bool,
) -> Request:
    """Make a request; its id says all that determines the answer except the model.

    That is the digest of an object with all of it: canonical JSON, of which only the messages are
    written for each trial.
    """
    before, after = _constant(task.name, task.version, choices, decoding, end_of_turn)
    turns = (f'["{turn.role}",[{",".join(map(_part_json, turn.parts))}]]' for turn in messages)
    question = f'{before}{_match_json(match)}"messages":[{",".join(turns)}]{after}'
    identity = digest_bytes(question.encode("utf-8", "surrogatepass"))
    return Request(identity, messages, choices, decoding, match, end_of_turn)


@lru_cache(maxsize=1024)
def _constant(
    task: str,
    version: str,
    choices: tuple[str, ...] | None,
    decoding: Decoding | None,
    end_of_turn: bool,
) -> tuple[str, str]:
    """Return what stands before and after match and messages in the JSON of many questions."""
    members: dict[str, Any] = {
        "choices": choices,
        "decoding": None if decoding is None else vars(decoding),
    }
    if end_of_turn:  # only then, so that the ids of all other questions stay what they were
        members["end_of_turn"] = True
    before = canonical_json(members).removesuffix("}") + ","
    after = "," + canonical_json({"task": task, "version": version}).removeprefix("{")
    return before, after


def _match_json(match: Match | None) -> str:
    if match is None:
        return ""
    return f'"match":{canonical_json([[image.key for image in match.images], match.texts])},'


def _part_json(part: Part) -> str:
    name, text = ("text", part.text) if isinstance(part, Text) else ("image", part.image.key)
    return f'{{"{name}":{_text_json(text)}}}'


@lru_cache(maxsize=512)
def _text_json(text: str) -> str:
    """Return the JSON of a prompt or an image's key, which neighbouring trials often share."""
    return canonical_json(text)


_NOT_DECODING = frozenset(("kind", "choices", "match", "end_of_turn", "ties"))


def _decoding_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields of `Decoding` and return them with their types."""
    for name in given:
        if name not in Output.model_fields or name in _NOT_DECODING:
            known = [f.name for f in fields(Decoding)]
            raise UsageError(f"unknown decoding option {name!r}", hint=did_you_mean(name, known))
    try:
        checked = Output.model_validate({"kind": "generate", **given})
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        what = f"decoding option {first['loc'][0]!r}: {first['msg']} (got {first['input']!r})"
        raise UsageError(what) from error
    return {name: getattr(checked, name) for name in given}


_ALWAYS_JSON = frozenset([str, int, bool, type(None)])
_TEXT = frozenset([str])


def _json_fields(context: Mapping[str, Any], sample_id: str) -> dict[str, Any]:
    kept = {name: item for name, item in context.items() if not isinstance(item, ImageRef)}
    if _ALWAYS_JSON.issuperset(map(type, kept.values())) and _TEXT.issuperset(map(type, kept)):
        return kept
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
