"""States of an image, token by token, in the order of its patches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vlm_eval.core.capture import CaptureSpec
from vlm_eval.core.types import ImageRef

from .captured_states import Backend, States, apart, captured
from .questions import WORDS, ask, picture


@pytest.mark.parametrize("level", ["naive", "auto"])
@pytest.mark.parametrize(
    ("name", "image", "shape"),
    [
        ("qwen2_5_vl", picture(1), (1, 2, 3)),
        ("qwen2_5_vl", picture(3, 60, 120), (1, 4, 2)),
        ("qwen3_vl", picture(1), (1, 2, 3)),
        ("llava", picture(1), (1, 4, 4)),
        ("gemma3", picture(1), (1, 4, 4)),
        ("paligemma", picture(1), (1, 4, 4)),
        ("llava_onevision", picture(1), (1, 4, 4)),
        ("internvl", picture(4, 50, 50), (1, 2, 2)),
    ],
)
def test_the_grid_of_an_image(
    name: str,
    level: str,
    image: ImageRef,
    shape: tuple[int, ...],
    backend: Backend,
    states: Callable[[str], States],
) -> None:
    request = ask("q", image, "which?", choices=WORDS)
    spec = CaptureSpec(sites=("vision_grid",))
    _, kept = captured(backend(name, 3, f"engine={level}"), [request], spec)["q"]
    grid = kept.arrays["vision_grid"]
    assert grid.shape == (*shape, 64)
    # What the language model sees at the image tokens, in their order, are these features.
    by_hand = states(name)
    ids = by_hand.reference.inputs(request)["input_ids"][0]
    embedded = by_hand.of(request)[0][(ids == by_hand.model.config.image_token_id).numpy()]
    flat = grid.reshape(-1, 64)
    assert apart(flat, embedded[: len(flat)]) < 1e-5


def test_every_image_of_a_pair_has_its_grid(backend: Backend) -> None:
    one, tall = picture(1), picture(3, 60, 120)
    requests = [
        ask("one", one, "?", choices=WORDS),
        ask("tall", tall, "?", choices=WORDS),
        ask("pair", one, tall, "?", choices=WORDS),
    ]
    made = captured(backend("qwen2_5_vl"), requests, CaptureSpec(sites=("vision_grid",)))
    pair = made["pair"][1].arrays
    assert pair.keys() == {"vision_grid_1", "vision_grid_2"}
    np.testing.assert_allclose(pair["vision_grid_1"], made["one"][1].arrays["vision_grid"])
    np.testing.assert_allclose(pair["vision_grid_2"], made["tall"][1].arrays["vision_grid"])


def test_the_grid_is_in_order(backend: Backend) -> None:
    """A change in one corner of an image changes that corner of the grid most."""
    plain = picture(1, 112, 112)
    pixels = plain.load()
    pixels.paste((255, 0, 0), (84, 0, 112, 28))  # top right
    corner = ImageRef("corner", pixels.copy)
    requests = [ask(n, i, "?", choices=WORDS) for n, i in (("a", plain), ("b", corner))]
    made = captured(backend("qwen2_5_vl"), requests, CaptureSpec(sites=("vision_grid",)))
    first, second = (made[key][1].arrays["vision_grid"] for key in "ab")
    moved = np.linalg.norm(first - second, axis=-1)[0]
    assert first.shape == (1, 4, 4, 64)
    assert np.unravel_index(moved.argmax(), moved.shape) == (0, 3)
