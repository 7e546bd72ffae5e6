"""The checkpoints that are shipped, against transformers alone.

Here the reference shares nothing with the package: the conversation is written out by hand, image
placeholders are repeated by hand, and tokenizer, image processor and model are loaded one by one.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from vlm_eval.core.types import Answer, Decoding, Request, Text
from vlm_eval.models.registry import EMBEDDED, load_model, resolve

from .questions import ask, picture, to_generate

IMAGE = "<|image_pad|>"


class Plain:
    """A Qwen2.5-VL checkpoint, one sequence at a time."""

    def __init__(self, folder: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.images = AutoImageProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    def inputs(self, request: Request, option: str = "") -> dict[str, Any]:
        text, made = "", {}
        for message in request.messages:
            parts = [
                part.text if isinstance(part, Text) else f"<|vision_start|>{IMAGE}<|vision_end|>"
                for part in message.parts
            ]
            text += f"<|im_start|>{message.role}\n{''.join(parts)}<|im_end|>\n"
        text += "<|im_start|>assistant\n" + option
        if request.images:
            images = [image.load() for image in request.images]
            made = dict(self.images(images=images, return_tensors="pt"))
            pieces = text.split(IMAGE)
            counts = (made["image_grid_thw"].prod(-1) // 4).tolist()
            text = pieces[0] + "".join(
                IMAGE * count + piece for count, piece in zip(counts, pieces[1:], strict=True)
            )
        ids = self.tokenizer(text, return_tensors="pt").input_ids
        types = (ids == self.tokenizer.convert_tokens_to_ids(IMAGE)).long()
        mask = torch.ones_like(ids)
        return {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": types, **made}

    @torch.inference_mode()
    def scores(self, request: Request) -> tuple[list[float], tuple[int, ...]]:
        start = self.inputs(request)["input_ids"].shape[1]
        sums, counts = [], []
        for option in request.choices or ():
            inputs = self.inputs(request, option)
            ids = inputs["input_ids"][0].tolist()
            logprobs = self.model(**inputs).logits[0].log_softmax(-1)
            sums.append(sum(logprobs[i - 1, ids[i]].item() for i in range(start, len(ids))))
            counts.append(len(ids) - start)
        return sums, tuple(counts)

    @torch.inference_mode()
    def text(self, request: Request, length: int) -> tuple[str, str]:
        inputs = self.inputs(request)
        out = self.model.generate(**inputs, do_sample=False, max_new_tokens=length)
        ids = out[0, inputs["input_ids"].shape[1] :]
        ended = self.tokenizer.eos_token_id in ids.tolist()
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text, "stop" if ended else "length"


@pytest.fixture(scope="module")
def plain() -> Callable[[str], Plain]:
    return functools.cache(lambda name: Plain(resolve(name).target))


def requests() -> list[Request]:
    one, two, wide = picture(1, 380, 380), picture(2, 380, 380), picture(3, 600, 60)
    who = "Which player is the winner of this board? Answer with only X or O."
    long = ("a red square", "the player who plays O wins the game", "Yes")
    return [
        ask("image first", one, who, choices=("X", "O")),
        ask("text first", who, one, choices=("X", "O")),
        ask("long options", who, one, choices=long),
        ask("two images", one, "or", two, "?", choices=("1", "2", "the second")),
        ask("two others", two, wide, "Is it the same?", choices=("Yes", "No")),
        ask("system", wide, who, choices=long, system="You are terse."),
        ask("odd text", one, "é ünï 漢字? \n\n", choices=(" yes", " no", "\n")),
        ask("text alone", "Who wins? " * 20, choices=long),
        ask("short", "X or O?", choices=("X", "O")),
    ]


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_scores_equal_one_at_a_time(
    name: str, batch_size: int, plain: Callable[[str], Plain]
) -> None:
    model = load_model(name, batch_size=batch_size, device="cpu")
    asked = requests()
    for seed in (None, 0, 1):
        if seed is not None:
            random.Random(seed).shuffle(asked)
        answers = {r.request_id: r.outcome for r in model.loglikelihood(asked)}
        assert len(answers) == len(asked)
        for request in asked:
            answer = answers[request.id]
            assert isinstance(answer, Answer)
            sums, counts = plain(name).scores(request)
            assert answer.token_counts == counts
            assert answer.logprobs == pytest.approx(sums, abs=1e-4)


@pytest.mark.parametrize("name", EMBEDDED)
def test_texts_equal_one_at_a_time(name: str, plain: Callable[[str], Plain]) -> None:
    asked = to_generate(requests(), Decoding(max_new_tokens=6))
    answers = {
        r.request_id: r.outcome
        for r in load_model(name, batch_size=4, device="cpu").generate(asked)
    }
    for request in asked:
        answer = answers[request.id]
        assert isinstance(answer, Answer)
        assert (answer.text, answer.finish) == plain(name).text(request, 6)
