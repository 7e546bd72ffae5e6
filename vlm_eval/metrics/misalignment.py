"""Semantic misalignment of a generative model: what it makes up, misses and misjudges.

HR, COR and SMR are those of arXiv 2601.08355, section 3.4; what is there, what is critical and
what is safe is always that of the *clean* image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import configurable
from vlm_eval.data.cityscapes.labels import OBJECTS
from vlm_eval.data.lexicon.lexicon import Lexicon, load_lexicon
from vlm_eval.data.lexicon.mentions import Profile, closure, find_mentions, from_answer
from vlm_eval.metrics.checks import check_level, check_trials
from vlm_eval.metrics.misalignment_measures import QUESTION, Asked, Measure, Ratio, report
from vlm_eval.metrics.misalignment_safety import SAFETY, safety_measures
from vlm_eval.metrics.misalignment_sets import (
    EPSILON,
    hallucination_rate,
    omits,
    recall,
    supported,
)
from vlm_eval.metrics.table import Result, Table

DESCRIPTION = "description"
"""The level of the factor ``question`` whose text is searched for mentions; every level besides it
and ``safety`` is a class that is asked about."""


@configurable
class Misalignment:
    """HR, COR and SMR with their variants, for tasks with the factor ``question``.

    Over images, at each level of the factor, and as paired differences from its baseline:

    ``HR``
        Mean share of the classes that the *description* mentions and that are not there.
        ``HR_micro``: hallucinated over all mentioned classes (no difference is reported);
        ``HR_any``: share of descriptions with a hallucinated class; ``HR_obj``: of the ten
        countable classes alone; ``HR_presence``: of the classes that presence answers affirm.
        ``HR_description`` is the same number as ``HR``, by its source.
    ``COR``
        Share of images of which some critical class that is there is not affirmed when asked about.
        ``COR_presence`` is the same number, by its source; ``COR_presence_conditional`` on there
        being one. ``COR_description``: is not described; ``COR_union``: is neither. A description
        that says cyclist covers rider and bicycle.
    ``recall_presence``, ``recall_description``
        Mean share of what is there (of the critical classes; of all) that is affirmed; described.
    ``omission_rate``
        By class: share of the images with it in which the presence answer does not affirm it.
    ``presence_parse_success``
        Share of presence answers that say yes or no; any other affirms nothing.
    ``SMR`` and its parts
        See :mod:`vlm_eval.metrics.misalignment_safety`.

    An image whose trials failed has no value; an answer that mentions nothing hallucinates nothing.

    Attributes
    ----------
    factor
        What is varied.
    profile
        Whose mentions: ``robust``, the task's parser, or ``literal``, the paper's (names end in
        ``_literal``).
    truth
        The field of the classes that are there: ``present``, or ``present_area`` for those that
        cover some area (names end in ``_area``).
    strict
        Person and rider do not stand for each other, and a cyclist covers no bicycle (names end in
        ``_strict``).
    lexicon
        That of the task's ``mentions`` parser.
    epsilon
        Of the formula of HR.
    compare
        Measures whose paired differences from the baseline are reported, by the names above.
    """

    reads: ClassVar[tuple[str, ...]] = ("critical", "safety")

    factor: str = "degradation"
    profile: Profile = "robust"
    truth: str = "present"
    strict: bool = False
    lexicon: str = "cityscapes"
    epsilon: float = EPSILON
    compare: tuple[str, ...] = ("HR",)

    def __call__(self, table: Table) -> list[Result]:
        """Return the estimates, then the comparisons; a variant leaves out what it cannot change.

        Raises
        ------
        TaskError
            If the task lacks a factor, or the paper's parser for the profile ``literal``.
        """
        for name in (self.factor, QUESTION):
            check_level(table, name)
        check_trials(table, "accuracy")
        if self.profile == "literal":
            _check_literal(table)
        sets = _Sets(self, load_lexicon(self.lexicon))
        classes = [str(q) for q in table.factors[QUESTION] if q not in (DESCRIPTION, SAFETY)]
        suffix = "_literal" * (self.profile == "literal") + "_strict" * self.strict
        suffix = ("_area" if self.truth != "present" else "") + suffix
        measures = _described(sets)
        if self.profile != "literal":
            measures += _affirmed(sets, classes)
        measures = [replace(measure, name=measure.name + suffix) for measure in measures]
        if not suffix:
            measures += [_parse_success(sets), *safety_measures()]
        ratios = [Ratio("HR_micro" + suffix, lambda asked: _micro(sets, asked))]
        compared = [name + suffix for name in self.compare]
        return report(table, self.factor, measures, ratios, compared=compared)


def _check_literal(table: Table) -> None:
    for row in table.rows:
        if row.condition[QUESTION] == DESCRIPTION and row.answer and row.literal is None:
            raise TaskError(
                "a metric asks for the profile literal, of which no trial has an answer",
                where=table.task,
                hint="give the description's parser `literal: {name: mentions, profile: literal}`",
            )


@dataclass(frozen=True)
class _Sets:
    """The sets of one image under the metric's options."""

    options: Misalignment
    lexicon: Lexicon

    def there(self, asked: Asked) -> frozenset[str]:
        return frozenset(asked.fields[self.options.truth])

    def supported(self, asked: Asked) -> frozenset[str]:
        return supported(self.there(asked), strict=self.options.strict)

    def critical(self, asked: Asked) -> frozenset[str]:
        return self.there(asked) & frozenset(asked.fields["critical"])

    def described(self, asked: Asked) -> frozenset[str]:
        """Return the classes that the description mentions."""
        row = asked.rows[DESCRIPTION]
        answer = row.literal if self.options.profile == "literal" else row.answer
        return frozenset() if answer is None else from_answer(answer)

    def covered(self, asked: Asked) -> frozenset[str]:
        """Return the classes that the description mentions or implies."""
        text = asked.rows[DESCRIPTION].text
        if text is None or self.options.strict:
            return self.described(asked)
        found = find_mentions(text, self.lexicon, self.options.profile)
        return self.described(asked) | closure(found, self.lexicon)

    def questions(self, asked: Asked) -> list[str]:
        return [question for question in asked.rows if question not in (DESCRIPTION, SAFETY)]

    def affirmed(self, asked: Asked) -> frozenset[str]:
        """Return the classes whose presence is affirmed."""
        return frozenset(q for q in self.questions(asked) if _says_yes(asked, q))


def _says_yes(asked: Asked, question: str) -> bool:
    return (asked.rows[question].answer or "").casefold() == "yes"


def _has_description(asked: Asked) -> bool:
    return DESCRIPTION in asked.rows


def _micro(sets: _Sets, asked: Asked) -> tuple[float, float] | None:
    if not _has_description(asked) or not asked.answered(DESCRIPTION):
        return None
    mentioned = sets.described(asked)
    return len(mentioned - sets.supported(asked)), len(mentioned)


def _described(sets: _Sets) -> list[Measure]:
    def when(value: Callable[[Asked], float]) -> Callable[[Asked], float | None]:
        return lambda asked: value(asked) if asked.answered(DESCRIPTION) else None

    def rate(asked: Asked, among: frozenset[str] | None = None) -> float:
        mentioned = sets.described(asked) if among is None else sets.described(asked) & among
        return hallucination_rate(mentioned, sets.supported(asked), sets.options.epsilon)

    def union(asked: Asked) -> float | None:
        if not asked.answered(DESCRIPTION, *sets.questions(asked)):
            return None
        return omits(sets.covered(asked) | sets.affirmed(asked), sets.critical(asked))

    def both(asked: Asked) -> bool:
        return _has_description(asked) and bool(sets.questions(asked))

    def some(asked: Asked) -> bool:
        return _has_description(asked) and bool(sets.there(asked))

    return [
        Measure("HR", when(rate), _has_description),
        Measure("HR_description", when(rate), _has_description),
        Measure("HR_any", when(lambda a: float(rate(a) > 0)), _has_description),
        Measure("HR_obj", when(lambda a: rate(a, frozenset(OBJECTS))), _has_description),
        Measure(
            "COR_description",
            when(lambda a: omits(sets.covered(a), sets.critical(a))),
            _has_description,
        ),
        Measure("COR_union", union, both),
        Measure(
            "recall_description",
            when(lambda a: recall(sets.described(a), sets.there(a))),
            some,
            lower_is_better=False,
        ),
    ]


def _affirmed(sets: _Sets, classes: list[str]) -> list[Measure]:
    def when(value: Callable[[Asked], float]) -> Callable[[Asked], float | None]:
        return lambda asked: value(asked) if asked.answered(*sets.questions(asked)) else None

    def asks(asked: Asked) -> bool:
        return bool(sets.questions(asked))

    def asks_critical(asked: Asked) -> bool:
        return asks(asked) and bool(sets.critical(asked))

    def rate(asked: Asked) -> float:
        return hallucination_rate(sets.affirmed(asked), sets.supported(asked), sets.options.epsilon)

    omission = when(lambda a: omits(sets.affirmed(a), sets.critical(a)))
    return [
        Measure("HR_presence", when(rate), asks),
        Measure("COR", omission, asks),
        Measure("COR_presence", omission, asks),
        Measure("COR_presence_conditional", omission, asks_critical),
        Measure(
            "recall_presence",
            when(lambda a: recall(sets.affirmed(a), sets.critical(a))),
            asks_critical,
            lower_is_better=False,
        ),
        *(_omission_rate(sets, name) for name in classes),
    ]


def _omission_rate(sets: _Sets, name: str) -> Measure:
    def missed(asked: Asked) -> float | None:
        return float(not _says_yes(asked, name)) if asked.answered(name) else None

    def there(asked: Asked) -> bool:
        return name in asked.rows and name in sets.there(asked)

    return Measure("omission_rate", missed, there, {"class": name}, paired=False)


def _parse_success(sets: _Sets) -> Measure:
    def share(asked: Asked) -> float | None:
        rows = [asked.rows[question] for question in sets.questions(asked)]
        known = [row for row in rows if not row.failed]
        return sum(row.answer is not None for row in known) / len(known) if known else None

    return Measure(
        "presence_parse_success",
        share,
        lambda asked: bool(sets.questions(asked)),
        lower_is_better=False,
    )
