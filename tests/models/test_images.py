from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from PIL import Image

from vlm_eval.core.types import Answer, ImageRef
from vlm_eval.models.hf import HfModel
from vlm_eval.models.images import Decoded, PixelMemo, prepared, stack

from .questions import WORDS, ask, picture

Backend = Callable[..., HfModel]


def counting(seed: int, loads: list[int]) -> ImageRef:
    inner = picture(seed)

    def load() -> Image.Image:
        loads.append(seed)
        return inner.load()

    return ImageRef(f"counted-{seed}-{id(loads)}", load)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava", "gemma3"])
def test_an_image_is_loaded_prepared_and_encoded_once(name: str, backend: Backend) -> None:
    model = backend(name)
    loads: list[int] = []
    images = [counting(101, loads), counting(102, loads)]  # which no other test asks about
    requests = [
        ask(f"{i}-{question}", image, question, choices=WORDS)
        for question in ("which colour?", "whose piece is it?", "left or right?")
        for i, image in enumerate(images)
    ]
    before = model.describe()["counters"]["images_encoded"]
    outcomes = [response.outcome for response in model.loglikelihood(requests)]
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    assert sorted(loads) == [101, 102]
    assert model.describe()["counters"]["images_encoded"] == before + 2


@pytest.mark.parametrize(
    ("name", "encoded"),
    [("qwen2_5_vl", 2), ("llava", 2), ("gemma3", 2), ("idefics3", 3)],
)
def test_the_images_of_a_pair_are_encoded_once_each(
    name: str, encoded: int, backend: Backend
) -> None:
    """Idefics3 puts all tiles of a request into one tensor: a list of images is one unit there."""
    model = backend(name)
    loads: list[int] = []
    one, two = counting(103, loads), counting(104, loads)
    requests = [
        ask("pair", one, two, "which?", choices=WORDS),
        ask("swapped", two, one, "which?", choices=WORDS),
        ask("single", one, "which?", choices=WORDS),
    ]
    before = model.describe()["counters"]["images_encoded"]
    assert len(list(model.loglikelihood(requests))) == 3
    assert model.describe()["counters"]["images_encoded"] == before + encoded


def keys(count: int) -> Sequence[str]:
    return [picture(seed).key for seed in range(count)]


def test_patches_are_cut_up_by_their_grid() -> None:
    grid = torch.tensor([[1, 2, 4], [1, 2, 2]])
    pixels = torch.arange(12.0)[:, None].expand(12, 3)
    first, second = prepared({"pixel_values": pixels, "image_grid_thw": grid}, keys(2)).units
    assert torch.equal(first.tensors["pixel_values"], pixels[:8])
    assert torch.equal(second.tensors["pixel_values"], pixels[8:])
    assert torch.equal(second.tensors["image_grid_thw"], grid[1:])


def test_one_tensor_an_image_is_cut_up() -> None:
    pixels = torch.rand(2, 3, 4, 4)
    sizes = torch.tensor([[4, 4], [4, 2]])
    units = prepared({"pixel_values": pixels, "image_sizes": sizes}, keys(2)).units
    assert [unit.tensors["pixel_values"].shape for unit in units] == [(1, 3, 4, 4)] * 2
    assert units[1].tensors["image_sizes"].tolist() == [[4, 2]]
    assert units[0].key != units[1].key


@pytest.mark.parametrize(
    "tensors",
    [
        {"pixel_values": torch.rand(1, 5, 3, 4, 4)},  # tiles of both images
        {"pixel_values": torch.rand(3, 3, 4, 4)},  # tiles of which image?
        {"pixel_values": torch.rand(2, 3, 4, 4), "batch_num_images": torch.tensor([2])},
        {"pixel_values": [torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4)]},
    ],
)
def test_what_cannot_be_cut_up_stays_whole(tensors: dict[str, object]) -> None:
    (unit,) = prepared(tensors, keys(2)).units
    assert unit.tensors is tensors


def test_the_key_tells_paddings_apart() -> None:
    """An image that is padded to the largest of its list is another input than it is alone."""
    image = keys(1)
    small = prepared({"pixel_values": torch.rand(1, 3, 4, 4)}, image).units[0]
    large = prepared({"pixel_values": torch.rand(1, 3, 8, 8)}, image).units[0]
    assert small.key != large.key


def test_no_image_is_no_unit() -> None:
    assert prepared({}, []).units == ()


def test_stack_pads_at_the_end() -> None:
    stacked = stack(
        [
            {"pixel_values": torch.ones(1, 1, 3), "sizes": torch.tensor([[1, 2]])},
            {"pixel_values": torch.ones(1, 2, 2), "sizes": torch.tensor([[3, 4]])},
        ]
    )
    assert stacked["pixel_values"].tolist() == [[[1, 1, 1], [0, 0, 0]], [[1, 1, 0], [1, 1, 0]]]
    assert stacked["sizes"].tolist() == [[1, 2], [3, 4]]


def test_stack_appends_lists() -> None:
    stacked = stack([{"pixels": [torch.ones(1)]}, {"pixels": [torch.ones(2)]}])
    assert [len(item) for item in stacked["pixels"]] == [1, 2]


def test_the_pixel_memo_knows_images_by_identity() -> None:
    calls = []

    class Inner:
        size = 5

        def __call__(self, images: object, **_: object) -> dict[str, object]:
            calls.append(images)
            return {"n": len(calls)}

    memo = PixelMemo(Inner())
    one, two = Image.new("RGB", (2, 2)), Image.new("RGB", (2, 2))
    first = memo([[one]], do_resize=True)
    first.pop("n")  # a caller may take things out
    assert memo([[one]], do_resize=True) == {"n": 1}
    assert memo([[two]], do_resize=True) == {"n": 2}
    assert memo([[one]], do_resize=False) == {"n": 3}
    assert memo([[one, two]], do_resize=True) == {"n": 4}
    assert memo.size == 5


def test_images_of_equal_pixels_are_one_whatever_they_are_called() -> None:
    decoded = Decoded()
    image = picture(7)
    first, copied = decoded.get(image), decoded.get(replace(image, key="reencoded"))
    assert copied.key == first.key
    assert copied.image is first.image
    assert decoded.get(picture(8)).key != first.key
    wide, tall = (Image.new("RGB", size) for size in ((6, 4), (4, 6)))  # of the same bytes
    found = [decoded.get(ImageRef(name, lambda made=made: made)) for name, made in
             (("wide", wide), ("tall", tall))]  # fmt: skip
    assert found[0].key != found[1].key
