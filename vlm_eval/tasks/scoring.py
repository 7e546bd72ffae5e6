"""From an outcome to an answer and its scores, with or without the model at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any, TypeAlias

from vlm_eval.core.errors import RunError
from vlm_eval.core.types import Answer, Condition, Failure, Outcome, Parsed, Place, Span
from vlm_eval.core.values import value
from vlm_eval.parsers.base import Parser
from vlm_eval.scorers.base import Scorer
from vlm_eval.tasks.task import Readers, Task

NORMALISED = ("accuracy_length_normalised", "accuracy_byte_normalised")
"""Scores of the option whose log-likelihood is largest per token, and per byte in UTF-8."""


@value(frozen=True)
class Scored:
    """What became of one trial.

    Attributes
    ----------
    answer
        One of the choices, or free text; None if unparsed, tied or failed.
    parser_rule
        The rule that found it: a parser's; for scored options ``argmax``, ``tie`` (no answer) or
        ``tie_first`` (the first of the tied); empty for a failure.
    place
        Where the answer stands in the generated text, as :class:`~vlm_eval.core.types.Parsed` has
        it.
    literal_answer, literal_rule
        What the paper's own parser made of the same text; None without one.
    also
        What the task's other parsers made of it, by name; None where one found nothing.
    scores
        What the task's scorer gives, at least ``accuracy`` in [0, 1] (0.0 where unparsed); with
        ``accuracy_length_normalised`` and ``accuracy_byte_normalised`` for scored options (where
        the backend counts tokens), ``accuracy_literal`` for the paper's parser,
        ``accuracy_NAME`` for each of the others. Empty for a failure.
    """

    answer: str | None
    parser_rule: str
    place: Place = field(default=None, compare=False, repr=False)
    literal_answer: str | None = None
    literal_rule: str | None = None
    also: Mapping[str, str | None] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def span(self) -> Span | None:
        """Start and end of the answer in the generated text, if it stands in one place."""
        return Parsed(self.answer, self.parser_rule, self.place).span


Judge: TypeAlias = Callable[[str | None], Mapping[str, float]]
"""Gives the scores of an answer; ``accuracy`` is always among them."""


def score(
    task: Task,
    *,
    condition: Condition,
    gold: str,
    choices: Sequence[str] | None,
    outcome: Outcome,
    fields: Mapping[str, Any] | None = None,
) -> Scored:
    """Score one trial, whether its outcome is fresh or read from a record.

    Parameters
    ----------
    task
        The task, whose parsers and scorer are used.
    condition, gold, choices
        As in the trial or its record.
    outcome
        What the model said.
    fields
        The trial's fields, for the scorer and for templates in the options of both.

    Raises
    ------
    RunError
        If the outcome does not fit the task: no choices for log-likelihoods, no parser for text; or
        if the scorer gives no accuracy, or a score that is no number.
    TaskError
        If a template in an option of a parser or scorer fails.
    """
    if isinstance(outcome, Failure):
        return Scored(None, "")
    ask, text = task.ask(condition), outcome.text or ""
    judge = _judge(task, task.scorer(ask, fields), text, gold, fields or {})
    if outcome.logprobs is not None:
        return _score_options(outcome, choices, judge, first=ask.output.ties == "first")
    readers = task.readers(ask, fields)
    if readers.parser is None:
        raise RunError(f"task {task.name} has no parser for generated text")
    return _score_text(readers.parser, readers, text, choices or (), judge)


def _judge(
    task: Task, scorer: Scorer | None, text: str, gold: str, fields: Mapping[str, Any]
) -> Judge:
    if scorer is None:
        return lambda answer: {"accuracy": float(answer == gold)}

    def judge(answer: str | None) -> Mapping[str, float]:
        scores = scorer(text, answer, gold, fields)
        if not 0 <= scores.get("accuracy", math.nan) <= 1 or not all(
            map(math.isfinite, scores.values())
        ):
            raise RunError(f"the scorer of task {task.name} gives {dict(scores)}")
        return scores if answer is not None else {**scores, "accuracy": 0.0}

    return judge


def _score_options(
    answer: Answer, choices: Sequence[str] | None, judge: Judge, *, first: bool
) -> Scored:
    logprobs, counts = answer.logprobs or (), answer.token_counts
    if choices is None or len(choices) != len(logprobs) or (counts and len(counts) != len(choices)):
        raise RunError("the options and their log-likelihoods differ in number")
    found, rule = _best(choices, logprobs, first=first)
    scores = dict(judge(found))
    if counts is not None:  # without tokens these are similarities, no sums
        lengths = (counts, _lengths(tuple(choices)))
        for name, parts in zip(NORMALISED, lengths, strict=True):
            means = [sum_ / max(part, 1) for sum_, part in zip(logprobs, parts, strict=True)]
            scores[name] = judge(_best(choices, means, first=first)[0])["accuracy"]
    return Scored(found, rule, scores=scores)


@lru_cache(maxsize=256)
def _lengths(choices: tuple[str, ...]) -> tuple[int, ...]:
    """Return the bytes of options in UTF-8; those of neighbouring trials are often the same."""
    return tuple(len(choice.encode(errors="surrogatepass")) for choice in choices)


def _best(
    choices: Sequence[str], values: Sequence[float], *, first: bool
) -> tuple[str | None, str]:
    """Return the choice with the largest value, and the rule that found it.

    Where several have it the first is taken, or none; none too if a value is not a number.
    """
    top = max(values)
    if any(map(math.isnan, values)) or (values.count(top) > 1 and not first):
        return None, "tie"
    return choices[values.index(top)], "argmax" if values.count(top) == 1 else "tie_first"


def _score_text(
    parser: Parser,
    readers: Readers,
    text: str,
    choices: Sequence[str],
    judge: Judge,
) -> Scored:
    parsed = parser(text, choices)
    scores = dict(judge(parsed.answer))
    also = {name: other(text, choices).answer for name, other in readers.also.items()}
    scores |= {f"accuracy_{name}": judge(answer)["accuracy"] for name, answer in also.items()}
    paper = None if readers.literal is None else readers.literal(text, choices)
    if paper is not None:
        scores["accuracy_literal"] = judge(paper.answer)["accuracy"]
    return Scored(
        parsed.answer,
        parsed.rule,
        parsed.place,
        literal_answer=None if paper is None else paper.answer,
        literal_rule=None if paper is None else paper.rule,
        also=also,
        scores=scores,
    )
