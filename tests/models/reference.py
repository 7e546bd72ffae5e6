"""What the backend's results are compared with: transformers, one sequence at a time.

Nothing here comes from the backend. Every option is one processor call and one full forward pass
over the pixels; every answer is one call of ``generate``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from vlm_eval.core.types import Answer, Message, Request, Text


class Reference:
    """A checkpoint run by hand."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor
        self.scores = functools.cache(self._scores)

    def prompt(self, messages: Sequence[Message]) -> str:
        """The conversation as one text."""
        if self.processor.chat_template is None:
            token = self.processor.image_token
            return "\n".join(
                "".join(part.text if isinstance(part, Text) else token for part in message.parts)
                for message in messages
            )
        turns = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part.text}
                    if isinstance(part, Text)
                    else {"type": "image"}
                    for part in message.parts
                ],
            }
            for message in messages
        ]
        text: str = self.processor.apply_chat_template(turns, add_generation_prompt=True)
        return text

    def inputs(self, request: Request, option: str | None = None) -> dict[str, Any]:
        """The model's arguments for a prompt, or for a prompt and an option."""
        text, more = self.prompt(request.messages), {}
        if option is not None and type(self.processor).__name__ == "PaliGemmaProcessor":
            more["suffix"] = [option]
        elif option is not None:
            text += option
        images = [[image.load() for image in request.images]] if request.images else None
        made = self.processor(text=[text], images=images, return_tensors="pt", **more)
        made.pop("labels", None)
        if more:  # the processor ends a suffix with eos
            for key in ("input_ids", "attention_mask", "token_type_ids"):
                made[key] = made[key][:, :-1]
        return dict(made)

    @torch.inference_mode()
    def _scores(self, request: Request, drop: str = "") -> tuple[list[float], tuple[int, ...]]:
        """For each option, the sum of its tokens' log-probabilities and the number of tokens.

        ``drop`` leaves an argument out of the forward passes, which must then be wrong.
        """
        start = self.inputs(request)["input_ids"].shape[1]
        sums, counts = [], []
        for option in request.choices or ():
            inputs = self.inputs(request, option)
            inputs.pop(drop, None)
            ids = inputs["input_ids"][0]
            logprobs = self.model(**inputs, use_cache=False).logits[0].double().log_softmax(-1)
            picked = logprobs[start - 1 : -1].gather(-1, ids[start:, None])
            sums.append(picked.sum().item())
            counts.append(len(ids) - start)
        return sums, tuple(counts)

    def worst(self, answers: dict[str, Answer], requests: Sequence[Request]) -> float:
        """The largest difference of a score; ids and token counts must be equal."""
        assert answers.keys() == {request.id for request in requests}
        differences = [0.0]
        for request in requests:
            sums, counts = self.scores(request)
            answer = answers[request.id]
            assert answer.token_counts == counts
            assert answer.logprobs is not None
            differences += [abs(a - b) for a, b in zip(answer.logprobs, sums, strict=True)]
        return max(differences)

    @torch.inference_mode()
    def generated(self, request: Request) -> list[int]:
        """The tokens of the greedy answer."""
        inputs = self.inputs(request)
        assert request.decoding is not None
        out = self.model.generate(
            **inputs, do_sample=False, max_new_tokens=request.decoding.max_new_tokens
        )
        tokens: list[int] = out[0, inputs["input_ids"].shape[1] :].tolist()
        return tokens

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens, special ones left out."""
        text: str = self.processor.tokenizer.decode(tokens, skip_special_tokens=True)
        return text
