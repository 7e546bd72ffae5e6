"""From a request to token sequences: prompt, options, batches.

A request becomes one *prompt* and, if options are scored, one sequence *prompt + option* an option.
All are tokenised as whole strings by the checkpoint's own processor. What the model is fed and what
is read from it is decided later (``scoring``, ``generating``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vlm_eval.core.types import Failure, Request
from vlm_eval.models.chat import Chat
from vlm_eval.models.images import RECENT, Decoded, PixelMemo, Prepared, Tensors, prepared
from vlm_eval.models.lru import Lru
from vlm_eval.models.sizes import Sizes, sizes_read

_TYPES = ("mm_token_type_ids", "token_type_ids")
_NOT_IMAGES = {"input_ids", "attention_mask", "labels", *_TYPES}
# A task has few wordings; a few hundred also cover captions of their own.
_RECENT_TEXTS = 256


@dataclass(frozen=True, eq=False)
class Tokens:
    """A token sequence.

    Attributes
    ----------
    ids
        Shape (length,), int64.
    types
        What the model must know of each token besides, by argument name: which are image tokens,
        which belong to the answer. Shape (length,) each.
    """

    ids: Tensor
    types: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.ids)

    def head(self, length: int) -> Tokens:
        """Return the first tokens."""
        return Tokens(self.ids[:length], {key: value[:length] for key, value in self.types.items()})

    def with_text(self, ids: Sequence[int]) -> Tokens:
        """Return these tokens followed by tokens of plain text, whose types are 0."""
        more = self.ids.new_tensor(ids)
        types = {key: torch.cat([old, torch.zeros_like(more)]) for key, old in self.types.items()}
        return Tokens(torch.cat([self.ids, more]), types)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A request, tokenised.

    Attributes
    ----------
    request
        Where it comes from.
    images
        Its images.
    prompt
        The conversation up to where the model answers.
    options
        Prompt and option together, for each option; empty if the request has none.
    start
        Tokens before this position are the same in the prompt and in every option; the rest of an
        option's tokens are scored. It is the prompt's length, unless the tokeniser merges the end
        of the prompt with the beginning of an option: then it is less, for all options alike.
    covered
        The prompt's tokens up to its last image token, by number: what a prefix that is shared
        with other requests about these images must hold. Without images, all but the last token.
    image_tokens
        How many of the prompt's tokens stand for images; None if that cannot be told.
    image_sizes
        At which size each image is read; None if that cannot be told of any.
    also
        Ids of further requests of the same content, which are answered with this one.
    """

    request: Request
    images: Prepared
    prompt: Tokens
    options: tuple[Tokens, ...] = ()
    start: int = 0
    covered: int = 0
    image_tokens: int | None = None
    image_sizes: Sizes | None = None
    also: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all requests that it answers."""
        return (self.request.id, *self.also)

    @property
    def content(self) -> Hashable:
        """All that determines the answer: tokens, pixels and decoding.

        An answer that is drawn at random is the request's own.
        """
        decoding = self.request.decoding
        drawn = decoding is not None and decoding.temperature > 0
        ids = [self.prompt.ids, *(option.ids[self.start :] for option in self.options)]
        sequences = (each.numpy().tobytes() for each in ids)
        return self.images.keys, *sequences, repr(decoding), self.request.id if drawn else None


@dataclass(frozen=True, eq=False)
class Row:
    """One sequence to feed to the model. A request has one or several.

    Attributes
    ----------
    encoded
        The request.
    tokens
        What is fed.
    options
        Which of the request's options are read from it, if any.
    targets
        For each of these options, the tokens that follow the positions in ``read``.
        Shape (options, positions), int64.
    """

    encoded: Encoded
    tokens: Tokens
    options: tuple[int, ...] = ()
    targets: Tensor | None = None

    @property
    def read(self) -> range:
        """The positions whose next-token logits are wanted: up to the last, without targets."""
        first = self.encoded.start - 1
        count = None if self.targets is None else self.targets.shape[1]
        return range(first, len(self.tokens) if count is None else first + count)


class Encoder:
    """Tokenises requests with a checkpoint's processor.

    A processor expands an image to a number of tokens that follows from its size. So what it made
    of a text serves for all images of that size, and what it made of the images for all texts.

    It runs in a worker thread: one thread at a time may call it, see `Encoders`.

    Parameters
    ----------
    processor
        The checkpoint's.
    image_token
        The id of the tokens that stand for an image, if it is known.

    Attributes
    ----------
    chat
        Renders the conversations.
    merged_boundaries
        How many requests so far had an option whose first characters the tokeniser merged with the
        end of the prompt.
    """

    def __init__(self, processor: Any, image_token: int | None = None) -> None:
        self.chat = Chat(processor)
        self._counted = image_token
        self.merged_boundaries = 0
        self._processor, self._tokenizer = processor, processor.tokenizer
        if not isinstance(processor.image_processor, PixelMemo):
            processor.image_processor = PixelMemo(processor.image_processor)
        self._decoded = Decoded()
        self._prompts: Lru[tuple[Any, ...], Tokens] = Lru(_RECENT_TEXTS)
        self._answers: Lru[tuple[Any, ...], tuple[Tokens, ...]] = Lru(_RECENT_TEXTS)
        self._images: Lru[tuple[str, ...], tuple[Prepared, Sizes | None]] = Lru(RECENT)
        self._image_token = getattr(processor, "image_token_id", None)
        self._special = {*self._tokenizer.all_special_ids, *self._tokenizer.added_tokens_decoder}
        self._takes_suffix = "suffix" in inspect.signature(type(processor).__call__).parameters

    def encode(self, request: Request) -> Encoded | Failure:
        """Load a request's images and tokenise it, or say why that cannot be done."""
        try:
            found = [self._decoded.get(image) for image in request.images]
        except Exception as error:  # noqa: BLE001  (whatever a loader raises is this image's fault)
            return Failure("image", _line(error))
        try:
            return self._encode(request, [one.image for one in found], [one.key for one in found])
        except Exception as error:  # noqa: BLE001  (templates and processors raise what they like)
            return Failure("unsupported", f"{type(error).__name__}: {_line(error)}")

    def _encode(self, request: Request, pictures: list[Any], keys: list[str]) -> Encoded:
        text, choices = self.chat.render(request.messages), request.choices
        sizes = tuple(picture.size for picture in pictures)
        made = functools.cache(lambda: self._tokenise(text, pictures))
        prompt = self._prompts.get((text, sizes), lambda: made()[0])
        images, read = self._images.get(tuple(keys), lambda: self._prepare(made()[1], keys))
        covered = self._covered(prompt, bool(pictures))
        counted = self._image_tokens(prompt, len(pictures))
        if choices is None:
            return Encoded(request, images, prompt, (), len(prompt), covered, counted, read)
        if request.end_of_turn:
            choices = tuple(choice + self.chat.closing for choice in choices)
        options = self._answers.get(
            (text, sizes, choices), lambda: self._options(text, prompt, choices, pictures)
        )
        start = min(_common(prompt.ids, option.ids) for option in options)
        for choice, option in zip(choices, options, strict=True):
            if len(option) <= start:
                raise ValueError(f"the option {choice!r} adds no token to the prompt")
        self.merged_boundaries += start < len(prompt)
        return Encoded(request, images, prompt, options, start, covered, counted, read)

    def _prepare(self, tensors: Tensors, keys: Sequence[str]) -> tuple[Prepared, Sizes | None]:
        read = sizes_read(tensors, len(keys), self._processor.image_processor)
        return prepared(tensors, keys), read

    def _image_tokens(self, prompt: Tokens, pictures: int) -> int | None:
        if not pictures:
            return 0
        if self._counted is None:
            return None
        count = int((prompt.ids == self._counted).sum())
        return count if count > pictures else None  # one each: not what the model reads

    def _covered(self, prompt: Tokens, pictures: bool) -> int:
        if not pictures or self._image_token is None:
            return len(prompt) - 1
        found = (prompt.ids == self._image_token).nonzero()
        return int(found[-1]) + 1 if len(found) else len(prompt) - 1

    def _tokenise(self, text: str, pictures: list[Any], **more: Any) -> tuple[Tokens, Tensors]:
        """Return the tokens of one text, its images expanded, and the prepared images."""
        made = self._processor(
            text=[text],
            images=[pictures] if pictures else None,
            return_tensors="pt",
            **self._beginning(text),
            **more,
        )
        types = {key: made[key][0] for key in _TYPES if key in made}
        tensors = {key: value for key, value in made.items() if key not in _NOT_IMAGES}
        return Tokens(made["input_ids"][0], types), tensors

    def _beginning(self, text: str) -> dict[str, Any]:
        # A template that writes the first token itself must not get another one.
        first = self._tokenizer.bos_token
        return {"add_special_tokens": False} if first and text.startswith(first) else {}

    def _options(
        self, text: str, prompt: Tokens, choices: Sequence[str], pictures: list[Any]
    ) -> tuple[Tokens, ...]:
        """Return the tokens of prompt + option, for each option."""
        if self._takes_suffix:
            # PaliGemma: the prompt attends to itself in both directions, and answers must be marked
            # as such, or their tokens are seen by those before. The processor ends them with eos.
            made = [self._tokenise(text, pictures, suffix=[choice])[0] for choice in choices]
            return tuple(tokens.head(len(tokens) - 1) for tokens in made)
        grafted = self._graft(text, prompt, choices)
        if grafted is not None:
            return grafted
        return tuple(self._tokenise(text + choice, pictures)[0] for choice in choices)

    def _graft(
        self, text: str, prompt: Tokens, choices: Sequence[str]
    ) -> tuple[Tokens, ...] | None:
        """Tokenise prompt + option as texts only, and put the ends on the expanded prompt.

        A tokeniser cuts its text at special tokens and treats each piece by itself, so an option
        changes nothing before the last special token of the prompt. None if the processor did
        more to the prompt than to expand its images, or an option holds a special token itself.
        """
        texts = [text, *(text + choice for choice in choices)]
        plain, *longer = self._tokenizer(texts, **self._beginning(text))["input_ids"]
        cut = max((i + 1 for i, token in enumerate(plain) if token in self._special), default=0)
        kept = len(prompt) - (len(plain) - cut)
        if kept < 0 or prompt.ids[max(kept - 1, 0) :].tolist() != plain[max(cut - 1, 0) :]:
            return None
        if any(ids[:cut] != plain[:cut] or self._special & {*ids[cut:]} for ids in longer):
            return None
        return tuple(prompt.head(kept).with_text(ids[cut:]) for ids in longer)


def _common(first: Tensor, second: Tensor) -> int:
    """Return how many leading tokens two sequences share."""
    length = min(len(first), len(second))
    differ = (first[:length] != second[:length]).nonzero()
    return int(differ[0]) if len(differ) else length


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def collate(rows: Sequence[Row], pad: int, side: Literal["left", "right"]) -> dict[str, Tensor]:
    """Put rows into one batch, padded on one side.

    Returns ``input_ids``, ``attention_mask`` and the token types, shape (rows, longest). Padding is
    masked, and its type is 0 (text).
    """
    longest = max(len(row.tokens) for row in rows)

    def padded(values: Sequence[Tensor], fill: int) -> Tensor:
        batch = values[0].new_full((len(rows), longest), fill)
        for line, value in zip(batch, values, strict=True):
            if side == "left":
                line[longest - len(value) :] = value
            else:
                line[: len(value)] = value
        return batch

    ids = [row.tokens.ids for row in rows]
    inputs = {
        "input_ids": padded(ids, pad),
        "attention_mask": padded([torch.ones_like(value) for value in ids], 0),
    }
    for key in rows[0].tokens.types:
        inputs[key] = padded([row.tokens.types[key] for row in rows], 0)
    return inputs
