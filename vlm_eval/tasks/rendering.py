"""From a task's templates and a sample's values to what the model is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.hashing import canonical_json, derive_seed
from vlm_eval.core.options import build
from vlm_eval.core.types import (
    Condition,
    ImageRef,
    Match,
    Message,
    Part,
    Picture,
    Text,
    condition_key,
)
from vlm_eval.core.values import value
from vlm_eval.data.base import Row
from vlm_eval.prompts import templates
from vlm_eval.tasks.question import Part as PartSpec
from vlm_eval.tasks.spec import Ask
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.yaml import PathInFile
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import TRANSFORMS, Transform

FIRST_ANSWER = "first_answer"
"""In templates and records of a trial that follows another: what the model answered to that."""


@value(frozen=True)
class Rendering:
    """What one condition asks, with one sample's values.

    Attributes
    ----------
    task, ask
        The task, and what the condition asks.
    context
        What templates may use: the sample's fields under the condition, its levels, and for a
        condition that follows another one `FIRST_ANSWER`.
    sample_id, condition
        The sample and the condition, for messages.
    """

    task: Task
    ask: Ask
    context: Mapping[str, Any]
    sample_id: str
    condition: Condition

    @classmethod
    def of(
        cls,
        task: Task,
        sample_id: str,
        row: Row,
        condition: Condition,
        first_answer: str | None = None,
    ) -> Rendering | None:
        """Return the rendering of a row under a condition; None if `applies` says there is none.

        Parameters
        ----------
        task, sample_id, row, condition
            What is rendered.
        first_answer
            What the model answered first, under a condition that follows another one.

        Raises
        ------
        DataError
            If the source cannot make the row's fields.
        TaskError
            If a factor has the name of a field, which templates could then not read; if the source
            knows no such level of a factor; or if `applies` fails.
        """
        ask = task.ask(condition)
        try:
            given = task.source.fields(row, condition)
        except TaskError as error:
            raise cls(task, ask, condition, sample_id, condition)._placed(error) from error
        context = {**given, **condition}
        made = cls(task, ask, context, sample_id, condition)
        for name in given.keys() & condition.keys():
            if given[name] != condition[name]:
                raise TaskError(
                    f"the data has a field {name!r} too",
                    where=made.where(("factors", name)),
                    hint="rename the factor",
                )
        if task.spec.applies is not None:
            applies = partial(made.where, ("applies",))
            if not templates.holds(task.spec.applies, context, where=applies):
                return None
        if first_answer is not None:
            if FIRST_ANSWER in context:
                where = made.where(("follows",))
                raise TaskError(f"the data has a field {FIRST_ANSWER!r} too", where=where)
            context[FIRST_ANSWER] = first_answer
        return made

    def messages(self, seed: int) -> tuple[Message, ...]:
        """Return the conversation.

        Parameters
        ----------
        seed
            Master seed of random image transforms.

        Raises
        ------
        TaskError
            If a template fails, a part is empty or a name is no image field.
        """
        made = []
        for role, parts in self.ask.turns:
            content = [self._part(part, path, seed) for part, path in parts]
            present = tuple(part for part in content if part is not None)
            if not present:
                raise TaskError(f"the {role}'s turn is empty", where=self._where("prompt"))
            made.append(Message(role, present))
        return tuple(made)

    def faults(self) -> list[TaskError]:
        """Return what is wrong with each part, each option and the answer, one error for each."""
        checks: list[Callable[[], object]] = [self.choices, lambda: self.gold(None)]
        checks.append(lambda: self.match(self.choices(), 0))
        for _, parts in self.ask.turns:
            checks += [partial(self._part, part, path, 0) for part, path in parts]
        found = []
        for check in checks:
            try:
                check()
            except TaskError as error:
                found.append(error)
        return found

    def choices(self) -> tuple[str, ...] | None:
        """Return the options, if there are any.

        Raises
        ------
        TaskError
            If there are fewer than two, or one is empty or repeated.
        """
        if self.ask.output.choices is None:
            return None
        made = self._texts(self.ask.output.choices, "output", "choices")
        fault = _wrong_with(made)
        if fault is not None:
            what, *option = fault
            raise TaskError(what, where=self._where("output", "choices", *option))
        return made

    def gold(self, choices: tuple[str, ...] | None) -> str:
        """Return the right answer. Raises TaskError if it is empty or none of the choices."""
        where = partial(self._where, "gold")
        made = templates.render(self.ask.gold, self.context, where=where)
        if choices is not None and made not in choices:
            options = ", ".join(map(repr, choices))
            raise TaskError(f"the answer {made!r} is none of the choices {options}", where=where())
        if not made.strip():
            raise TaskError("the answer is empty", where=where())
        return made

    def match(self, choices: tuple[str, ...] | None, seed: int) -> Match | None:
        """Return what a contrastive model compares, if the task says so.

        Raises
        ------
        TaskError
            If a template fails, or the sides are not one item and one for each choice.
        """
        spec = self.ask.output.match
        if spec is None or choices is None:
            return None
        images = tuple(
            self._picture(image, partial(self._where, "output", "match", "images", i), seed).image
            for i, image in enumerate(spec.images)
        )
        texts = self._texts(spec.texts, "output", "match", "texts")
        if sorted((len(images), len(texts))) != [1, len(choices)]:
            what = f"{len(images)} images and {len(texts)} texts for {len(choices)} choices"
            where = self._where("output", "match")
            raise TaskError(what, where=where, hint="one against one a choice")
        return Match(images, texts)

    def _texts(self, given: tuple[str, ...] | str, *path: str) -> tuple[str, ...]:
        """Return texts from a list of templates, or from one template that gives a list."""
        if not isinstance(given, str):
            return tuple(
                templates.render(text, self.context, where=partial(self._where, *path, i))
                for i, text in enumerate(given)
            )
        where = self._where(*path)
        made = templates.value(given, self.context, where=where)
        if not isinstance(made, (list, tuple)) or not all(isinstance(x, str) for x in made):
            raise TaskError(f"{given!r} gives no list of texts but {made!r:.80}", where=where)
        return tuple(made)

    def where(self, path: PathInFile) -> str:
        """Return a place of the task file, the sample and the condition, for messages."""
        condition = condition_key(self.condition) or "its one condition"
        return f"{self.task.where(path)}, sample {self.sample_id!r} under {condition}"

    def _placed(self, error: TaskError) -> TaskError:
        """Return a source's error with the place of the factor that it names, else of the data."""
        if error.where is not None:
            return error
        factor = next((name for name in self.condition if repr(name) in error.what), None)
        path = ("data",) if factor is None else ("factors", factor)
        return TaskError(error.what, where=self.where(path), hint=error.hint)

    def _where(self, key: str, *below: str | int) -> str:
        return self.where((*self.ask.origin[key], *below))

    def _part(self, part: PartSpec, path: PathInFile, seed: int) -> Part | None:
        """Return a part of a turn; None if it is absent under this condition."""
        if part.when is not None:
            when = partial(self._where, "prompt", *path, "when")
            if not templates.holds(part.when, self.context, where=when):
                return None
        if part.image is not None:
            return self._picture(part.image, partial(self._where, "prompt", *path), seed)
        return Text(self._text(part.text or "", path))

    def _text(self, template: str, path: PathInFile) -> str:
        where = partial(self._where, "prompt", *path)
        made = templates.render(template, self.context, where=where)
        if not made.strip():
            raise TaskError("the text is empty", where=where())
        return made

    def _picture(self, template: str, where: Callable[[], str], seed: int) -> Picture:
        name = templates.render(template, self.context, where=where)
        image = self.context.get(name)
        if not isinstance(image, ImageRef):
            known = [key for key, item in self.context.items() if isinstance(item, ImageRef)]
            hint = did_you_mean(name, known)
            raise TaskError(f"{name!r} is no image field", where=where(), hint=hint)
        transforms = []
        for i, step in self.ask.transforms:
            at = partial(self._where, "image", "transform", i)
            if not templates.holds(step.when, self.context, where=at):
                continue
            options = templates.value(step.options(), self.context, where=at)
            try:
                transforms.append(_transform(canonical_json(options)))
            except TaskError as error:
                raise TaskError(error.what, where=at(), hint=error.hint) from error
        if not transforms:
            return Picture(image)
        # Seeded by the image, so that all questions about one image see it changed alike.
        return Picture(apply(transforms, image, derive_seed(seed, image.key, "transform")))


@lru_cache(maxsize=1024)
def _transform(options: str) -> Transform:
    return build(TRANSFORMS, json.loads(options), where=None)


@lru_cache(maxsize=256)
def _wrong_with(options: tuple[str, ...]) -> tuple[str] | tuple[str, int] | None:
    """Return what is wrong with options, and with which; None if nothing is."""
    if len(options) < 2:
        return (f"choices must be two or more, not {list(options)}",)
    seen: set[str] = set()
    for i, option in enumerate(options):
        bare = option.strip()
        if not bare or bare in seen:
            return (f"the option {option!r} is there twice" if bare else "the option is empty"), i
        seen.add(bare)
    return None


def prompt_text(messages: tuple[Message, ...]) -> str:
    """Return the text as sent, each image shown as ``<image>``."""
    turns = []
    for message in messages:
        text = "".join(p.text if isinstance(p, Text) else "<image>" for p in message.parts)
        turns.append(text if len(messages) == 1 else f"[{message.role}] {text}")
    return "\n".join(turns)
