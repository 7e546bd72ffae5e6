"""At which size each image is read, told the same at every engine level and batch size."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vlm_eval.core.types import Answer, Decoding
from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model
from vlm_eval.models.sharing import LEVELS
from vlm_eval.models.sizes import sizes_read

from .questions import mixed_requests, to_generate
from .test_sharing import HIGHEST

FIXED = {"first": ((56, 56),), "tall": ((56, 56),), "pair": ((56, 56), (56, 56)), "text": None}
NONE = dict.fromkeys(FIXED)
# Images of 90 x 60 and 60 x 120 in patches of 14, two by two.
GRIDS = {"first": ((84, 56),), "tall": ((56, 112),), "pair": ((84, 56), (84, 56)), "text": None}
EXPECTED = {
    "qwen2_5_vl": GRIDS,
    "qwen3_vl": GRIDS,
    "llava": FIXED,
    "gemma3": FIXED,
    "paligemma": {**FIXED, "text": None},
    "llava_onevision": NONE,
    "idefics3": NONE,
    "internvl": NONE,
}


def sizes(responses: Any) -> dict[str, Any]:
    found = {}
    for response in responses:
        assert isinstance(response.outcome, Answer)
        found[response.request_id] = response.outcome.image_sizes
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_the_size_is_that_of_the_prepared_pixels(
    name: str, backend: Callable[..., HfModel], reference: Callable[[str], Any]
) -> None:
    names = [one for one in FIXED if one != "text" or name != "paligemma"]
    requests = [request for request in mixed_requests() if request.id in names]
    expected = {request.id: EXPECTED[name][request.id] for request in requests}
    levels = list(LEVELS[: LEVELS.index(HIGHEST[name]) + 1])
    for level in levels if name in ("qwen2_5_vl", "llava") else levels[-1:]:
        model = backend(name, 1 if level == "naive" else 7, f"engine={level}")
        assert sizes(model.loglikelihood(requests)) == expected
    generated = to_generate(requests, Decoding(max_new_tokens=2))
    assert sizes(backend(name, 7, "engine=auto").generate(generated)) == expected
    if EXPECTED[name] is GRIDS:  # as many patches as the processor made
        its = reference(name).inputs(next(r for r in requests if r.id == "tall"))
        assert len(its["pixel_values"]) == (56 // 14) * (112 // 14)


def test_backends_without_a_processor_tell_nothing() -> None:
    model = load_model("mock")
    assert set(sizes(model.loglikelihood(mixed_requests())).values()) == {None}


def processor(**settings: Any) -> Any:
    return SimpleNamespace(**{"do_resize": True, "size": {}, "crop_size": {}, **settings})


def pixels(*shape: int) -> dict[str, Any]:
    return {"pixel_values": torch.zeros(shape)}


SQUARE = {"height": 56, "width": 56}


@pytest.mark.parametrize(
    ("tensors", "count", "settings", "expected"),
    [
        (pixels(2, 3, 40, 60), 2, {}, ((60, 40), (60, 40))),
        # More arrays than images are tiles, even if one of the images has only one.
        (pixels(3, 3, 40, 60), 2, {}, None),
        (pixels(1, 5, 3, 40, 60), 1, {}, None),
        # Filled up by the processor itself: the image is only a part of what is read.
        (pixels(1, 3, 56, 56), 1, {"do_pad": True}, None),
        # Filled up to the largest of the list, the size of each beside it.
        (
            {**pixels(2, 3, 56, 84), "image_sizes": torch.tensor([[56, 28], [28, 84]])},
            2,
            {"do_pad": True},
            ((28, 56), (84, 28)),
        ),
        # What is called so may be the size as sent.
        ({**pixels(1, 3, 56, 56), "image_sizes": torch.tensor([[60, 90]])}, 1, {}, None),
        # Another input of pixels, or one that is not known.
        ({**pixels(1, 3, 56, 56), "high_res_pixel_values": torch.zeros(1)}, 1, {}, None),
        ({"flattened_patches": torch.zeros(1, 3, 3)}, 1, {}, None),
        ({"pixel_values": [torch.zeros(3, 56, 56)]}, 1, {}, None),
        (
            pixels(1, 3, 56, 56),
            1,
            {"do_center_crop": True, "size": {"shortest_edge": 56}, "crop_size": SQUARE},
            ((56, 56),),
        ),
        # A margin is cut off on all sides: that is neither the whole image nor its middle square.
        (
            pixels(1, 3, 56, 56),
            1,
            {"do_center_crop": True, "size": {"shortest_edge": 64}, "crop_size": SQUARE},
            None,
        ),
        # Rows that are no patches of that size.
        (
            {**pixels(6, 100), "image_grid_thw": torch.tensor([[1, 2, 3]])},
            1,
            {"patch_size": 14, "temporal_patch_size": 2},
            None,
        ),
        ({}, 0, {}, None),
    ],
)
def test_what_the_shapes_tell(
    tensors: dict[str, Any], count: int, settings: dict[str, Any], expected: Any
) -> None:
    assert sizes_read(tensors, count, processor(**settings)) == expected
