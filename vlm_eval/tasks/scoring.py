"""From an outcome to an answer and its scores, with or without the model at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlm_eval.core.errors import RunError
from vlm_eval.core.types import Answer, Condition, Failure, Outcome
from vlm_eval.parsers.base import Parser
from vlm_eval.tasks.task import Task


@dataclass(frozen=True)
class Scored:
    """What became of one trial.

    Attributes
    ----------
    answer
        One of the choices, or free text; None if unparsed, tied or failed.
    parser_rule
        The rule that found it: a parser's, ``argmax`` or ``tie`` for scored options, empty for a
        failure.
    span
        Start and end of the answer in the generated text, if it has one.
    literal_answer, literal_rule
        What the paper's own parser made of the same text; None without one.
    scores
        ``accuracy`` (1.0 right, 0.0 wrong or unparsed), with ``accuracy_length_normalised`` for
        scored options and ``accuracy_literal`` for the paper's parser. Empty for a failure.
    """

    answer: str | None
    parser_rule: str
    span: tuple[int, int] | None = None
    literal_answer: str | None = None
    literal_rule: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


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
        The task, whose parsers are used.
    condition, gold, choices
        As in the trial or its record.
    outcome
        What the model said.
    fields
        The trial's fields, for templates in the parser's options.

    Raises
    ------
    RunError
        If the outcome does not fit the task: no choices for log-likelihoods, no parser for text.
    """
    if isinstance(outcome, Failure):
        return Scored(None, "")
    if outcome.logprobs is not None:
        return _score_options(outcome, gold, choices)
    ask = task.ask(condition)
    parser, literal = task.parser(ask, fields), task.literal(ask, fields)
    if parser is None:
        raise RunError(f"task {task.name} has no parser for generated text")
    return _score_text(parser, literal, outcome.text or "", gold, choices)


def _score_options(answer: Answer, gold: str, choices: Sequence[str] | None) -> Scored:
    logprobs, counts = answer.logprobs or (), answer.token_counts
    if choices is None or len(choices) != len(logprobs) or (counts and len(counts) != len(choices)):
        raise RunError("the options and their log-likelihoods differ in number")
    best = _argmax(logprobs)
    scores = {"accuracy": float(best is not None and choices[best] == gold)}
    if counts is not None:
        mean = _argmax([sum_ / max(count, 1) for sum_, count in zip(logprobs, counts, strict=True)])
        right = mean is not None and choices[mean] == gold
        scores["accuracy_length_normalised"] = float(right)
    if best is None:
        return Scored(None, "tie", scores=scores)
    return Scored(choices[best], "argmax", scores=scores)


def _argmax(values: Sequence[float]) -> int | None:
    """Return the index of the largest value; None if it is not alone, or one is not a number."""
    top = max(values)
    if any(map(math.isnan, values)) or list(values).count(top) > 1:
        return None
    return list(values).index(top)


def _score_text(
    parser: Parser, literal: Parser | None, text: str, gold: str, choices: Sequence[str] | None
) -> Scored:
    parsed = parser(text, choices or ())
    scores = {"accuracy": float(parsed.answer == gold)}
    if literal is None:
        return Scored(parsed.answer, parsed.rule, parsed.span, scores=scores)
    paper = literal(text, choices or ())
    scores["accuracy_literal"] = float(paper.answer == gold)
    return Scored(parsed.answer, parsed.rule, parsed.span, paper.answer, paper.rule, scores=scores)
