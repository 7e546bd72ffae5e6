"""From a conversation to the text that the processor expands: the checkpoint's chat template."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError

from vlm_eval.core.errors import ModelError
from vlm_eval.core.types import Message, Picture, Text
from vlm_eval.models.processor import chat_template

_MARK = "the answer"


class Chat:
    """Renders conversations.

    Raises
    ------
    ModelError
        If the template has a syntax error.

    Attributes
    ----------
    keeps_order
        Whether the template prints text and images in the order in which they are given. If not
        (LLaVA's puts all images first), a turn with text before an image is given to it as one
        text with the placeholders in their places.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._template = chat_template(processor)
        self.keeps_order = self._template is None or self._order_is_kept()

    def render(self, messages: Sequence[Message]) -> str:
        """Return the conversation up to where the model answers, with one placeholder an image.

        Without a template, parts are joined as they are and messages by newlines.
        """
        if self._template is None:
            return "\n".join(self._inline(message, "") for message in messages)
        return self._apply([self._turn(message) for message in messages])

    @functools.cached_property
    def closing(self) -> str:
        """What the template writes after the model's answer; nothing without a template.

        Raises
        ------
        ValueError
            If the template does not write the answer as it is.
        """
        if self._template is None:
            return ""
        turns = [
            {"role": "user", "content": [{"type": "text", "text": "question"}]},
            {"role": "assistant", "content": [{"type": "text", "text": _MARK}]},
        ]
        text = self._apply(turns, answered=True)
        _, found, after = text.rpartition(_MARK)
        if not found:
            raise ValueError("the chat template does not write an assistant's turn")
        return after

    def _turn(self, message: Message) -> dict[str, Any]:
        parts = message.parts
        if not self.keeps_order and _text_precedes_image(message):
            parts = (Text(self._inline(message, "\n")),)
        content = [
            {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "image"}
            for part in parts
        ]
        return {"role": message.role, "content": content}

    def _inline(self, message: Message, between: str) -> str:
        return between.join(
            part.text if isinstance(part, Text) else self._processor.image_token
            for part in message.parts
        )

    def _apply(self, turns: list[dict[str, Any]], *, answered: bool = False) -> str:
        text: str = self._processor.apply_chat_template(
            turns,
            chat_template=self._template,
            add_generation_prompt=not answered,
            tokenize=False,
        )
        return text

    def _order_is_kept(self) -> bool:
        text, image = {"type": "text", "text": "x"}, {"type": "image"}
        try:
            first, second = (
                self._apply([{"role": "user", "content": content}])
                for content in ([text, image], [image, text])
            )
        except TemplateSyntaxError as error:
            place = f"its chat template, line {error.lineno}"
            name = self._processor.tokenizer.name_or_path
            raise ModelError(f"{place}: {error.message}", where=name) from error
        except TemplateError:  # it wants another conversation: each request will show
            return True
        return first != second


def _text_precedes_image(message: Message) -> bool:
    kinds = [isinstance(part, Picture) for part in message.parts]
    return kinds != sorted(kinds, reverse=True)
