"""Ask what is not recorded yet, and record each answer as soon as it is there.

The unit of work is a list of trials. A unit needs nothing but the model and the records, and can be
done again at any time: what is recorded is not asked again. Trials that ask the same thing, in one
unit or in two, share one question. Trials that depend on the answer to another of their sample,
which is in the same unit, are rendered and asked once that has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TypeAlias, cast

from vlm_eval.core.capture import Captured
from vlm_eval.core.errors import ModelError, TaskError
from vlm_eval.core.types import Answer, Failure, Outcome, Request, Response, condition_key
from vlm_eval.models.base import Capabilities, Captures, Model
from vlm_eval.runner.captures import CaptureIndex
from vlm_eval.runner.capturing import CaptureWriter, Reduction, Wish, nothing
from vlm_eval.runner.progress import Progress
from vlm_eval.runner.records import Record, RecordIndex, RecordWriter
from vlm_eval.tasks.rendering import FIRST_ANSWER
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.trials import Trial

Ask: TypeAlias = Callable[[Sequence[Request]], Iterator[Response]]


class Executor:
    """Works through units of trials.

    Parameters
    ----------
    model
        Whom to ask.
    index, writer
        What is recorded, and where more is recorded.
    progress
        Told of every record.
    captures, shards
        What is captured, and where more is written; None if nothing is to be captured.
    retry_failures
        Ask again where a failure is recorded.
    """

    def __init__(
        self,
        model: Model,
        index: RecordIndex,
        writer: RecordWriter,
        progress: Progress,
        *,
        captures: CaptureIndex | None = None,
        shards: CaptureWriter | None = None,
        retry_failures: bool = False,
    ) -> None:
        self._model, self._index, self._writer = model, index, writer
        self._progress, self._answered_only = progress, retry_failures
        self._captures, self._shards, self._reduce = captures, shards, Reduction()
        self._wish: Wish | None = None

    def run(
        self,
        task: Task,
        unit: Iterable[Trial],
        elsewhere: Container[str] = (),
        wish: Wish | None = None,
    ) -> None:
        """Ask and record one unit.

        Parameters
        ----------
        task
            The task.
        unit
            Its trials.
        elsewhere
            Requests that another unit asks: trials of these are recorded if the answer is there
            already, and else left out. :func:`fill` records them when that unit is done.
        wish
            Which trials are captured, if the model can; None for none. What is captured is on the
            disk when this returns.

        Raises
        ------
        ModelError
            If the backend leaves a request out, answers one twice, or one that was not asked.
        RunError
            If a record or a shard cannot be written; what was recorded stays.
        """
        able = self._model.capabilities.capture and self._shards is not None
        self._wish = wish if able else None
        trials = list(unit)
        self._run(task, (trial for trial in trials if trial.follow is None), elsewhere)
        if any(trial.follow is not None for trial in trials):
            self._run(task, self._given(task, trials))
        if self._shards is not None:
            self._shards.flush()

    def _given(self, task: Task, trials: Sequence[Trial]) -> Iterator[Trial]:
        """Yield the trials that follow others as they are asked; record those that cannot be."""
        first = {(trial.sample_id, condition_key(trial.condition)): trial for trial in trials}
        for trial in trials:
            if trial.follow is None:
                continue
            condition = condition_key(trial.follow.condition)
            before = self._index.find(first[trial.sample_id, condition].key)
            if before is None or before.answer is None:
                why = f"the trial under {condition} has no answer to follow"
                self._record_unasked(task, trial, Failure("no_first_answer", why, attempts=0))
                continue
            try:
                yield trial.follow.render(before.answer)
            except TaskError as error:
                self._record_unasked(task, trial, Failure("bug", str(error), attempts=0))

    def _record_unasked(self, task: Task, trial: Trial, failure: Failure) -> None:
        request = Request(id="", messages=(), choices=trial.request.choices)
        unasked = replace(
            trial, request=request, prompt="", fields={**trial.fields, FIRST_ANSWER: None}
        )
        if not self.recorded(unasked):
            self._record(task, [unasked], failure, 0.0)

    def _run(self, task: Task, unit: Iterable[Trial], elsewhere: Container[str] = ()) -> None:
        waiting: dict[str, list[Trial]] = {}
        for trial in unit:
            if not self.recorded(trial, captured=trial.request.id not in elsewhere):
                waiting.setdefault(trial.request.id, []).append(trial)
        scored: list[Request] = []
        generated: list[Request] = []
        captured: list[Request] = []
        for identity, trials in waiting.items():
            request = trials[0].request
            earlier = self._index.asked(identity, answered=self._answered_only)
            why_not = unsupported(request, self._model.capabilities)
            lacks = any(map(self._lacks_states, trials))
            if earlier is not None and (
                earlier.failure is not None or identity in elsewhere or not lacks
            ):
                self._record(task, trials, outcome_of(earlier), 0.0)
            elif identity in elsewhere:
                continue
            elif why_not is not None:
                self._record(task, trials, Failure("unsupported", why_not, attempts=0), 0.0)
            elif lacks:
                captured.append(request)
            elif request.choices is not None:
                scored.append(request)
            else:
                generated.append(request)
        states: dict[str, Captured | None] = {}
        for ask, requests in (
            (self._model.loglikelihood, scored),
            (self._model.generate, generated),
            (partial(self._capture, states), captured),
        ):
            for request, response in joined(ask, requests):
                outcome = checked(request, response.outcome)
                if request.id in states and isinstance(outcome, Answer):
                    self._keep(task, request.id, states[request.id])
                states.clear()
                # What was asked again for its states alone keeps the answer that it has.
                new = [t for t in waiting[request.id] if not self.recorded(t, captured=False)]
                self._record(task, new, outcome, response.seconds)
                self._progress.tick()

    def _capture(
        self, states: dict[str, Captured | None], requests: Sequence[Request]
    ) -> Iterator[Response]:
        """Yield responses; what was captured with each is in ``states`` then."""
        assert self._wish is not None
        model = cast("Captures", self._model)
        for response, captured in model.capture(requests, self._wish.capture.to_spec()):
            states[response.request_id] = captured
            yield response

    def _keep(self, task: Task, request: str, captured: Captured | None) -> None:
        assert self._wish is not None
        assert self._shards is not None
        assert self._captures is not None
        capture = self._wish.capture
        kept = nothing(request, capture) if captured is None else self._reduce(captured, capture)
        self._shards.append(task.name, kept)
        self._captures.note(request)

    def recorded(self, trial: Trial, *, captured: bool = True) -> bool:
        """Whether a trial needs no work: it is recorded and, if it is to be, ``captured``."""
        if not self._index.has(trial.key, answered=self._answered_only):
            return False
        lacks = captured and self._lacks_states(trial)
        return not (lacks and self._index.has(trial.key, answered=True))

    def _lacks_states(self, trial: Trial) -> bool:
        """Say whether a trial is to be captured, if it can be answered, and is not."""
        if self._wish is None or self._captures is None:
            return False
        return self._wish(trial) and trial.request.id not in self._captures

    def _record(
        self, task: Task, trials: Iterable[Trial], outcome: Outcome, seconds: float
    ) -> None:
        for trial in trials:
            record = make_record(task, trial, outcome, seconds)
            self._index.add(record, self._writer.append(record), trial.key)
            self._progress.advance(failed=isinstance(outcome, Failure))
            seconds = 0.0  # the others did not cost anything


def fill(
    task: Task,
    trials: Iterable[Trial],
    index: RecordIndex,
    writer: RecordWriter,
    *,
    retry_failures: bool = False,
) -> None:
    """Record the trials whose question was asked for others, and leave out all that was not asked.

    Parameters are those of :class:`Executor`. Raises RunError if a record cannot be written.
    """
    for trial in trials:
        earlier = index.asked(trial.request.id, answered=retry_failures)
        if earlier is not None and not index.has(trial.key, answered=retry_failures):
            record = make_record(task, trial, outcome_of(earlier), 0.0)
            index.add(record, writer.append(record), trial.key)


def unsupported(request: Request, able: Capabilities) -> str | None:
    """Return why a model cannot be asked this at all, None if it can."""
    if not able.chat:
        if request.choices is None or request.match is None:
            return "the model only compares images with texts, and this task has no match"
        return None
    images = len(request.images)
    if request.choices is not None and not able.loglikelihood:
        return "the model cannot score options"
    if request.choices is None and not able.generate:
        return "the model cannot generate text"
    if images > 1 and not able.multi_image:
        return f"the model takes one image a question, not {images}"
    if images == 0 and not able.text_only:
        return "the model needs an image"
    return None


def joined(ask: Ask, requests: Sequence[Request]) -> Iterator[tuple[Request, Response]]:
    """Yield every request with its response, joined by id, as the backend gives them.

    Raises
    ------
    ModelError
        If responses and requests are not one to one.
    """
    open_ = {request.id: request for request in requests}
    if not open_:
        return
    for response in ask(requests):
        request = open_.pop(response.request_id, None)
        if request is None:
            raise _broken(f"answered {response.request_id[:12]!r}, which was not asked, or twice")
        yield request, response
    if open_:
        raise _broken(f"left out {len(open_)} of {len(requests)} requests")


def _broken(what: str) -> ModelError:
    hint = "report it to the backend's authors; what is recorded is safe, continue with --resume"
    return ModelError(f"the model backend {what}", hint=hint)


def checked(request: Request, outcome: Outcome) -> Outcome:
    """Return the outcome, or a failure if the answer is not one to this request."""
    if isinstance(outcome, Failure):
        return outcome
    if request.choices is None:
        return outcome if outcome.text is not None else Failure("bug", "no text was generated")
    expected = len(request.choices)
    given = outcome.logprobs
    if given is None or len(given) != expected:
        got = 0 if given is None else len(given)
        return Failure("bug", f"{got} log-likelihoods for {expected} options")
    if not all(map(math.isfinite, given)):
        return Failure("bug", f"a log-likelihood is not finite: {list(given)}")
    if outcome.token_counts is not None and len(outcome.token_counts) != expected:
        return Failure("bug", f"{len(outcome.token_counts)} token counts for {expected} options")
    return outcome


def make_record(task: Task, trial: Trial, outcome: Outcome, seconds: float) -> Record:
    """Return the record of a trial: parsed and scored, or failed."""
    found = score(
        task,
        condition=trial.condition,
        gold=trial.gold,
        choices=trial.choices,
        outcome=outcome,
        fields=trial.fields,
    )
    failed = isinstance(outcome, Failure)
    answer = Answer() if isinstance(outcome, Failure) else outcome
    return Record(
        request_hash=trial.request.id,
        task=trial.task,
        sample_id=trial.sample_id,
        cluster=trial.cluster,
        condition=trial.condition,
        fields=trial.fields,
        gold=trial.gold,
        prompt=trial.prompt,
        images=tuple(image.key for image in trial.request.images),
        choices=trial.choices,
        outcome="failure" if failed else "answer",
        failure=asdict(outcome) if isinstance(outcome, Failure) else None,
        raw=answer.text,
        finish=None if failed else answer.finish,
        logprobs=answer.logprobs,
        token_counts=answer.token_counts,
        tokens=_tokens(answer),
        image_sizes=answer.image_sizes,
        answer=found.answer,
        parser_rule=found.parser_rule or None,
        literal_answer=found.literal_answer,
        literal_rule=found.literal_rule,
        also=found.also,
        scores=found.scores,
        seconds=seconds,
    )


def _tokens(answer: Answer) -> dict[str, int] | None:
    known = {"prompt": answer.prompt_tokens, "image": answer.image_tokens}
    return {name: count for name, count in known.items() if count is not None} or None


def outcome_of(record: Record) -> Outcome:
    """Return what the model said, from a record."""
    if record.failure is not None:
        return Failure(**record.failure)
    return Answer(
        text=record.raw,
        logprobs=record.logprobs,
        token_counts=record.token_counts,
        prompt_tokens=(record.tokens or {}).get("prompt"),
        image_tokens=(record.tokens or {}).get("image"),
        image_sizes=record.image_sizes,
        finish=record.finish or "stop",  # type: ignore[arg-type]
    )
