"""Requests for the tests: every arrangement of texts and images that a task may ask for."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vlm_eval.core.types import Decoding, ImageRef, Message, Picture, Request, Text


def picture(seed: int, width: int = 90, height: int = 60) -> ImageRef:
    """Coloured blocks, another pattern for each seed."""
    draw = np.random.default_rng(seed)
    blocks = draw.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)
    return ImageRef(f"{seed}-{width}x{height}", image.copy, label=f"picture {seed}")


def ask(
    name: str, *parts: str | ImageRef, choices: tuple[str, ...] | None = None, system: str = ""
) -> Request:
    """A request to score, from texts and images in order."""
    content = tuple(Text(part) if isinstance(part, str) else Picture(part) for part in parts)
    turns = (Message("system", (Text(system),)),) if system else ()
    return Request(name, (*turns, Message("user", content)), choices=choices)


WORDS = ("red", "blue", "X")
PHRASES = ("red piece", "the loser of the board", "blue")


def mixed_requests() -> list[Request]:
    """Image first, text first, interleaved, two images, text alone, a system turn."""
    one, two, tall = picture(1), picture(2), picture(3, 60, 120)
    long = "which colour is the piece of the player left of the board?"
    return [
        ask("first", one, long, choices=WORDS),
        ask("last", long, one, choices=WORDS),
        ask("phrases", one, "which player?", choices=PHRASES),
        ask("tall", tall, long, choices=("yes", "no")),
        ask("system", two, long, choices=PHRASES, system="the board of the player"),
        ask("pair", one, " or ", two, " which board?", choices=WORDS),
        ask("swapped", two, " or ", one, " which board is of the winner?", choices=PHRASES),
        ask("text", long, choices=WORDS),
        ask("text too", "yes or no?", choices=("yes", "no of the board")),
    ]


def to_generate(requests: list[Request], decoding: Decoding) -> list[Request]:
    """The same questions, to be answered with text."""
    return [Request(request.id, request.messages, decoding=decoding) for request in requests]
