"""What a task file asks and what it asks back: its keys ``prompt`` and ``output``.

The attribute docstrings below are the reference of the file format, like those of
:mod:`vlm_eval.tasks.spec`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from vlm_eval.core.types import Decoding
from vlm_eval.prompts import templates
from vlm_eval.tasks.yaml import PathInFile

Template: TypeAlias = Annotated[str, AfterValidator(templates.check_template)]
Expression: TypeAlias = Annotated[str, AfterValidator(templates.check_expression)]
ListTemplate: TypeAlias = Annotated[str, AfterValidator(templates.check_lone_expression)]
Role: TypeAlias = Literal["system", "user", "assistant"]
Kind: TypeAlias = Literal["choice", "generate"]


class Spec(BaseModel):
    """A frozen mapping of a task file that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Part(Spec):
    """A piece of a turn: an image or a text."""

    image: Template | None = None
    """The name of an image field of the row."""
    text: Template | None = None
    """Text, sent exactly as rendered."""
    when: Expression | None = None
    """The part is present where this holds; absent means always."""

    @model_validator(mode="after")
    def _one(self) -> Part:
        if (self.image is None) == (self.text is None):
            raise ValueError("a part is either an image or a text")
        return self


def _parts(given: Any) -> Any:
    return [{"text": given}] if isinstance(given, str) else given


Content: TypeAlias = Annotated[
    tuple[Part, ...], BeforeValidator(_parts, json_schema_input_type=str | tuple[Part, ...])
]


class Turn(Spec):
    """One turn of the conversation."""

    role: Role
    """Who speaks."""
    content: Content
    """Parts in order, or a text alone."""


class Prompt(Spec):
    """What is asked: exactly one of `content`, `template` and `messages`."""

    content: Content | None = None
    """The parts of one user turn, in order."""
    template: Template | None = None
    """The text of one user turn that begins with the image of `image.field`, if that is set."""
    messages: Annotated[tuple[Turn, ...], Field(min_length=1)] | None = None
    """A conversation; its last turn is the user's."""

    @model_validator(mode="after")
    def _one(self) -> Prompt:
        given = [x for x in (self.content, self.template, self.messages) if x is not None]
        if len(given) != 1:
            raise ValueError("a prompt has exactly one of content, template and messages")
        if self.messages is not None and self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        return self

    def turns(
        self, image_field: str | None
    ) -> Iterator[tuple[Role, list[tuple[Part, PathInFile]]]]:
        """Yield each turn's role and its parts, each part with its path below ``prompt``."""
        if self.messages is not None:
            for i, turn in enumerate(self.messages):
                base: PathInFile = ("messages", i, "content")
                yield turn.role, [(part, (*base, j)) for j, part in enumerate(turn.content)]
        elif self.template is not None:
            image = [] if image_field is None else [(Part(image=image_field), ("template",))]
            yield "user", [*image, (Part(text=self.template), ("template",))]
        else:
            parts = self.content or ()
            yield "user", [(part, ("content", j)) for j, part in enumerate(parts)]


class MatchSpec(Spec):
    """One image and a text for each choice, or one text and an image for each choice."""

    images: Annotated[tuple[Template, ...], Field(min_length=1)]
    """Names of image fields; they are transformed like those of the prompt."""
    texts: Annotated[tuple[Template, ...], Field(min_length=1)] | ListTemplate
    """Texts, or one template that evaluates to a list of texts."""


class Output(Spec):
    """What is asked back: scored options (`choice`) or text (`generate`)."""

    kind: Kind
    """`choice` compares the log-likelihoods of the options; `generate` parses generated text."""
    choices: tuple[Template, ...] | ListTemplate | None = None
    """The possible answers, two or more; required for `choice`, used by parsers for `generate`.
    One template that evaluates to a list, "{{ options }}", where samples have each their own."""
    match: MatchSpec | None = None
    """What a contrastive model compares instead of reading the prompt, for `choice`."""
    end_of_turn: bool = False
    """Score the tokens that end the model's turn too, so that an option must be the whole answer;
    for `choice`."""
    ties: Literal["unparsed", "first"] = "unparsed"
    """The answer where several options score highest, for `choice`: none, or the first of them."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 16
    """Generate at most this many tokens."""
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """0 is greedy decoding."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus mass, used where the temperature is above 0."""
    stop: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """The answer ends before the first of these."""

    @cached_property
    def decoding(self) -> Decoding:
        """How text is generated."""
        return Decoding(self.max_new_tokens, self.temperature, self.top_p, self.stop)

    @model_validator(mode="after")
    def _options(self) -> Output:
        if self.choices is None:
            if self.kind == "choice":
                raise ValueError("a choice output needs choices")
            if self.match is not None:
                raise ValueError("a match needs choices")
            return self
        if isinstance(self.choices, str):
            return self
        if len(self.choices) < 2:
            raise ValueError("choices must be two or more")
        if any(not choice.strip() for choice in self.choices):
            raise ValueError("a choice is empty")
        if len({choice.strip() for choice in self.choices}) < len(self.choices):
            raise ValueError("choices must be distinct")
        return self
