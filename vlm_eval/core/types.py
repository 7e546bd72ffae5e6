"""The words of the project as frozen dataclasses.

A *sample* is one row of the data set. A *condition* is one level of each factor. A *trial* is one
sample under one condition. A *request* is what a model backend is sent, a *response* what it sends
back; the two are joined by id. A *record* is the trial's line on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from PIL import Image

from vlm_eval.core.values import value

Level: TypeAlias = str | int | float | bool
Condition: TypeAlias = Mapping[str, Level]
Span: TypeAlias = tuple[int, int]
"""Start and end in a text, the end not included."""
Place: TypeAlias = Span | Callable[[], Span | None] | None
"""A span, or a function that finds it, see :class:`Parsed`."""


def condition_key(condition: Condition) -> str:
    """Return the printed form of a condition, factors in their declared order.

    >>> condition_key({"rule": "inverse", "blur": 5})
    'rule=inverse,blur=5'
    """
    return ",".join(f"{name}={level}" for name, level in condition.items())


@dataclass(frozen=True, eq=False)
class ImageRef:
    """An image that is not decoded yet. Images of one key are equal.

    Attributes
    ----------
    key
        A digest that determines the pixels: of the file's bytes, or of the recipe that draws them.
        Equal keys mean equal pixels.
    load
        Returns the image, mode RGB. Called at most once a use, possibly in a worker thread.
        Raises :class:`~vlm_eval.core.errors.DataError` if it cannot be read.
    label
        What to call it in messages: a path, or a short description.
    """

    key: str
    load: Callable[[], Image.Image] = field(repr=False)
    label: str = ""

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, ImageRef) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class Sample:
    """One row of a data set.

    Attributes
    ----------
    id
        Stable and unique in the task.
    cluster
        What the sample's randomness is shared with (the image, the board, the pair). Statistics
        treat clusters, not samples, as independent.
    fields
        JSON-able values by name; what templates may use. Image fields are :class:`ImageRef`.
    """

    id: str
    cluster: str
    fields: Mapping[str, Any]


@value(frozen=True)
class Text:
    """A piece of text in a message."""

    text: str


@value(frozen=True)
class Picture:
    """An image in a message."""

    image: ImageRef


Part: TypeAlias = Text | Picture


@value(frozen=True)
class Message:
    """One turn: a role of the chat template and its content in order."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Decoding:
    """How an answer is generated: greedy unless a temperature is given.

    Attributes
    ----------
    max_new_tokens
        At most this many tokens, 1 or more.
    temperature
        0 is greedy. Above 0 the draw is seeded by the request.
    top_p
        Nucleus mass in (0, 1]; 1 keeps all. Used only when the temperature is above 0.
    stop
        The answer ends before the first of these strings.
    """

    max_new_tokens: int = 16
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """Images and texts whose agreement answers a question, for models that only compare the two.

    One side is a single item, the other holds one item for each of the request's choices; choice i
    is the pair of the single item with item i.

    Attributes
    ----------
    images
        One or more images.
    texts
        One or more texts.
    """

    images: tuple[ImageRef, ...]
    texts: tuple[str, ...]


@value(frozen=True)
class Request:
    """What a backend is sent: a conversation, and either options to score or how to generate.

    Attributes
    ----------
    id
        The request hash. Two requests with one id are the same question.
    messages
        The conversation in order; the last turn is the user's.
    choices
        Options to score by log-likelihood, at least two and distinct; None to generate.
    decoding
        How to generate; None when options are scored.
    match
        With ``choices``: what a contrastive model compares instead of reading the messages, if the
        question can be put that way. Models that read the messages ignore it.
    end_of_turn
        With ``choices``: whether the tokens that end the model's turn are scored too, so that an
        option must be the whole answer.
    """

    id: str
    messages: tuple[Message, ...]
    choices: tuple[str, ...] | None = None
    decoding: Decoding | None = None
    match: Match | None = None
    end_of_turn: bool = False

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """The images of the messages, in the order in which the model sees them."""
        return tuple(
            part.image
            for message in self.messages
            for part in message.parts
            if isinstance(part, Picture)
        )


@value(frozen=True)
class Answer:
    """What a model said.

    Attributes
    ----------
    text
        Generated text, special tokens removed; None when options were scored.
    logprobs
        For each option, the sum of its tokens' natural log-probabilities given the prompt; of a
        contrastive model, the similarity of image and text.
    token_counts
        For each option, the number of its tokens in that sum.
    finish
        ``stop`` (the model ended), ``length`` (cut at max_new_tokens) or ``scored``.
    prompt_tokens
        Tokens of the conversation, those of its images too; None if the backend cannot tell.
    image_tokens
        How many of these are its images'; None if the backend cannot tell.
    image_sizes
        For each image, (width, height) in pixels at which the vision tower reads it, None where
        that is not one size (it is cut into tiles, or filled up); None if the backend cannot tell.
    """

    text: str | None = None
    logprobs: tuple[float, ...] | None = None
    token_counts: tuple[int, ...] | None = None
    finish: Literal["stop", "length", "scored"] = "stop"
    prompt_tokens: int | None = None
    image_tokens: int | None = None
    image_sizes: tuple[tuple[int, int] | None, ...] | None = None


FailureKind: TypeAlias = Literal[
    "oom", "image", "timeout", "provider", "unsupported", "bug", "no_first_answer"
]


@dataclass(frozen=True)
class Failure:
    """Why there is no answer. A failure is never scored and never an answer."""

    kind: FailureKind
    message: str
    attempts: int = 1


Outcome: TypeAlias = Answer | Failure


@value(frozen=True)
class Response:
    """What came back for one request.

    Attributes
    ----------
    request_id
        The id of the request that this answers.
    outcome
        The answer, or why there is none.
    seconds
        Wall seconds of the request's share of its batch.
    """

    request_id: str
    outcome: Outcome
    seconds: float


@value(frozen=True)
class Parsed:
    """What a parser made of an answer.

    Attributes
    ----------
    answer
        One of the choices (or a free-form value where there are none); None if nothing was found.
    rule
        The name of the rule that fired; ``none`` if none did.
    place
        The span, or a function that finds it: parsers read cleaned texts, and to follow what they
        read back to the raw text takes longer than to read it.
    """

    answer: str | None
    rule: str
    place: Place = field(default=None, compare=False, repr=False)

    @cached_property
    def span(self) -> Span | None:
        """Start and end of the parsed text in the raw answer, before any cleaning.

        Of several places that say the same, the first. None where the answer is not read in one
        place.
        """
        return self.place() if callable(self.place) else self.place
