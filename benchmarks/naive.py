"""The loop that harnesses run: for each option a processor call and a forward pass over the image.

Written against transformers alone, so that the engine is compared with something that shares no
code with it. The prompt is processed once more for its length, as lmms-eval does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from vlm_eval.core.types import Request, Text


@torch.inference_mode()
def answer(model: Any, processor: Any, requests: Sequence[Request]) -> dict[str, Any]:
    """Return option scores, or generated text, by request id."""
    found: dict[str, Any] = {}
    for request in requests:
        text = _prompt(processor, request)
        pictures = [image.load() for image in request.images]
        if request.choices is None:
            assert request.decoding is not None
            inputs = _inputs(model, processor, text, pictures)
            ids = model.generate(
                **inputs, max_new_tokens=request.decoding.max_new_tokens, do_sample=False
            )
            made = ids[0, inputs["input_ids"].shape[1] :]
            found[request.id] = processor.tokenizer.decode(made, skip_special_tokens=True)
            continue
        scores = []
        for choice in request.choices:
            start = _inputs(model, processor, text, pictures)["input_ids"].shape[1]
            whole = text + choice + (_closing(processor) if request.end_of_turn else "")
            inputs = _inputs(model, processor, whole, pictures)
            logprobs = model(**inputs, use_cache=False).logits[0].float().log_softmax(-1)
            targets = inputs["input_ids"][0, start:]
            scores.append(logprobs[start - 1 : -1].gather(-1, targets[:, None]).sum().item())
        found[request.id] = scores
    return found


def _closing(processor: Any) -> str:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "answer"}]
    text: str = processor.apply_chat_template(turns)
    return text.rpartition("answer")[2]


def _prompt(processor: Any, request: Request) -> str:
    turns = [
        {
            "role": message.role,
            "content": [
                {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "image"}
                for part in message.parts
            ],
        }
        for message in request.messages
    ]
    text: str = processor.apply_chat_template(turns, add_generation_prompt=True)
    return text


def _inputs(model: Any, processor: Any, text: str, pictures: list[Any]) -> Any:
    made = processor(text=[text], images=pictures or None, return_tensors="pt")
    return made.to(model.device, dtype=model.dtype)
