"""From a task's templates and a sample's values to what the model is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from vlm_eval.core.errors import TaskError, did_you_mean
from vlm_eval.core.hashing import canonical_json, derive_seed
from vlm_eval.core.options import build
from vlm_eval.core.types import Condition, ImageRef, Message, Part, Picture, Text, condition_key
from vlm_eval.data.base import Row
from vlm_eval.prompts import templates
from vlm_eval.tasks.spec import Ask
from vlm_eval.tasks.spec import Part as PartSpec
from vlm_eval.tasks.task import Task
from vlm_eval.tasks.yaml import PathInFile
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import TRANSFORMS, Transform


@dataclass(frozen=True)
class Rendering:
    """What one condition asks, with one sample's values.

    Attributes
    ----------
    task, ask
        The task, and what the condition asks.
    context
        What templates may use: the sample's fields under the condition, and its levels.
    who
        The sample and the condition, for messages.
    """

    task: Task
    ask: Ask
    context: Mapping[str, Any]
    who: str

    @classmethod
    def of(cls, task: Task, sample_id: str, row: Row, condition: Condition) -> Rendering:
        """Return the rendering of a row under a condition.

        Raises
        ------
        DataError
            If the source cannot make the row's fields.
        TaskError
            If a factor has the name of a field, which templates could then not read.
        """
        given = task.source.fields(row, condition)
        who = f"sample {sample_id!r} under {condition_key(condition) or 'its one condition'}"
        for name in condition:
            if name in given and given[name] != condition[name]:
                where = f"{task.where(('factors', name))}, {who}"
                raise TaskError(
                    f"the data has a field {name!r} too", where=where, hint="rename the factor"
                )
        context = {**given, **condition}
        return cls(task, task.ask(condition), context, who)

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
        for role, parts in self.ask.prompt.turns(self.ask.image.field):
            content = [self._part(part, path, seed) for part, path in parts]
            present = tuple(part for part in content if part is not None)
            if not present:
                raise TaskError(f"the {role}'s turn is empty", where=self._where("prompt"))
            made.append(Message(role, present))
        return tuple(made)

    def faults(self) -> list[TaskError]:
        """Return what is wrong with each part, each option and the answer, one error for each."""
        checks: list[Callable[[], object]] = [self.choices, lambda: self.gold(None)]
        for _, parts in self.ask.prompt.turns(self.ask.image.field):
            checks += [partial(self._part, part, path, 0) for part, path in parts]
        found = []
        for check in checks:
            try:
                check()
            except TaskError as error:
                found.append(error)
        return found

    def choices(self) -> tuple[str, ...] | None:
        """Return the options, if there are any. Raises TaskError if one is empty or repeated."""
        if self.ask.output.choices is None:
            return None
        made = tuple(
            templates.render(choice, self.context, where=self._where("output", "choices", i))
            for i, choice in enumerate(self.ask.output.choices)
        )
        for i, choice in enumerate(made):
            where = self._where("output", "choices", i)
            if not choice.strip():
                raise TaskError("the option is empty", where=where)
            if choice.strip() in {other.strip() for other in made[:i]}:
                raise TaskError(f"the option {choice!r} is there twice", where=where)
        return made

    def gold(self, choices: tuple[str, ...] | None) -> str:
        """Return the right answer. Raises TaskError if it is empty or none of the choices."""
        where = self._where("gold")
        made = templates.render(self.ask.gold, self.context, where=where)
        if choices is not None and made not in choices:
            options = ", ".join(map(repr, choices))
            raise TaskError(f"the answer {made!r} is none of the choices {options}", where=where)
        if not made.strip():
            raise TaskError("the answer is empty", where=where)
        return made

    def _where(self, key: str, *below: str | int) -> str:
        path: PathInFile = (*self.ask.origin[key], *below)
        return f"{self.task.where(path)}, {self.who}"

    def _part(self, part: PartSpec, path: PathInFile, seed: int) -> Part | None:
        """Return a part of a turn; None if it is absent under this condition."""
        if not templates.holds(part.when, self.context, where=self._where("prompt", *path, "when")):
            return None
        if part.image is not None:
            return self._picture(part.image, path, seed)
        return Text(self._text(part.text or "", path))

    def _text(self, template: str, path: PathInFile) -> str:
        where = self._where("prompt", *path)
        made = templates.render(template, self.context, where=where)
        if not made.strip():
            raise TaskError("the text is empty", where=where)
        return made

    def _picture(self, template: str, path: PathInFile, seed: int) -> Picture:
        where = self._where("prompt", *path)
        name = templates.render(template, self.context, where=where)
        image = self.context.get(name)
        if not isinstance(image, ImageRef):
            known = [key for key, item in self.context.items() if isinstance(item, ImageRef)]
            hint = did_you_mean(name, known)
            raise TaskError(f"{name!r} is no image field", where=where, hint=hint)
        transforms = []
        for i, step in enumerate(self.ask.image.transform):
            at = self._where("image", "transform", i)
            options = templates.value(step.options(), self.context, where=at)
            try:
                transforms.append(_transform(canonical_json(options)))
            except TaskError as error:
                raise TaskError(error.what, where=at, hint=error.hint) from error
        # Seeded by the image, so that all questions about one image see it changed alike.
        return Picture(apply(transforms, image, derive_seed(seed, image.key, "transform")))


@lru_cache(maxsize=1024)
def _transform(options: str) -> Transform:
    return build(TRANSFORMS, json.loads(options), where=None)


def prompt_text(messages: tuple[Message, ...]) -> str:
    """Return the text as sent, each image shown as ``<image>``."""
    turns = []
    for message in messages:
        text = "".join(p.text if isinstance(p, Text) else "<image>" for p in message.parts)
        turns.append(text if len(messages) == 1 else f"[{message.role}] {text}")
    return "\n".join(turns)
