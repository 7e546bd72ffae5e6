"""Band-limited PGD: bands, steps and layouts. Whole attacks: tests/models/test_gradients.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_eval.core.errors import ModelError
from vlm_eval.internals.attack import Attack
from vlm_eval.internals.bands import energies, mask, project
from vlm_eval.internals.pgd import Budget, descend, fitted
from vlm_eval.internals.pixels import Bounds, Patches, Pictures, layout_of

SIZES = st.tuples(st.integers(2, 17), st.integers(2, 17))
torch.set_num_threads(1)


def flat(mean: float = 0.5, std: float = 0.5) -> Bounds:
    return Bounds(torch.full((3, 1, 1), mean), torch.full((3, 1, 1), std))


def budget(eps: float = 8 / 255, step: float = 2 / 255, steps: int = 10, **more: Any) -> Budget:
    one, bounds = torch.ones(3, 1, 1), flat()
    return Budget(eps * one, step * one, bounds.low, bounds.high, steps, **more)


@given(SIZES, st.floats(0.05, 0.95))
def test_bands_are_projections_that_share_the_cutoff_only(size, cutoff) -> None:
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, *size)))
    low, high = mask("low", images, cutoff), mask("high", images, cutoff)
    assert mask("pixel", images, cutoff) is None
    assert bool((low | high).all())
    assert low[0, 0]  # the mean
    assert not high[0, 0]
    for kept in (low, high):
        once = project(images, kept)
        torch.testing.assert_close(project(once, kept), once)
        inside, whole = energies(once, kept)
        assert inside == pytest.approx(whole)
    both = project(images, low) + project(images, high) - project(images, low & high)
    torch.testing.assert_close(both, images)


def test_a_constant_is_all_low_and_a_chequerboard_all_high() -> None:
    constant = torch.ones(1, 3, 8, 8)
    board = torch.from_numpy((np.indices((8, 8)).sum(0) % 2 * 2.0 - 1)[None, None])
    assert energies(constant, mask("low", constant, 0.25)) == (1 * 3 * 64.0**2, 3 * 64.0**2)
    assert energies(board, mask("low", board, 0.25))[0] == pytest.approx(0)
    assert energies(board, mask("high", board, 0.25))[0] == pytest.approx(64.0**2)


def test_on_a_linear_score_every_pixel_goes_all_the_way_against_its_weight() -> None:
    weight = torch.tensor([1.0, -2.0, 0.5]).reshape(3, 1, 1) * torch.ones(1, 3, 4, 6)
    clean = torch.zeros(1, 3, 4, 6)
    (change,) = descend(lambda views: (views[0] * weight).sum(), [clean], budget(), [None])
    torch.testing.assert_close(change, -weight.sign() * 8 / 255)
    (three,) = descend(lambda views: (views[0] * weight).sum(), [clean], budget(steps=3), [None])
    torch.testing.assert_close(three, -weight.sign() * 6 / 255)


def test_pixels_stay_valid() -> None:
    clean = torch.tensor([-1.0, 1.0, 0.99]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2).clone()
    (change,) = descend(lambda views: -views[0].sum(), [clean], budget(), [None])
    moved = (clean + change)[0, :, 0, 0].tolist()
    assert moved == pytest.approx([-1 + 8 / 255, 1.0, 1.0])


@pytest.mark.parametrize("mode", ["low", "high"])
def test_published_clamps_leak_out_of_the_band_and_shrinking_does_not(mode) -> None:
    rng = np.random.default_rng(1)
    weight = torch.from_numpy(rng.normal(size=(1, 3, 16, 16)).astype(np.float32))
    clean = torch.zeros_like(weight)  # far from black and white: only eps can clamp
    kept = mask(mode, clean, 0.25)
    leaks = {}
    for clamp in ("literal", "shrink"):
        limits = budget(clamp=clamp)
        (change,) = descend(lambda views: (views[0] * weight).sum(), [clean], limits, [kept])
        inside, whole = energies(change, kept)
        leaks[clamp] = 1 - inside / whole
        assert change.abs().max() <= 8 / 255 + 1e-6
        assert (change * weight).sum() < 0
    assert leaks["literal"] > 1e-3
    assert leaks["shrink"] < 1e-6


def test_order_is_projection_then_eps_then_valid_pixels() -> None:
    view = torch.full((1, 3, 4, 4), 0.95)
    change = torch.zeros_like(view)
    change[..., 0, 0] = 1.6
    kept = mask("low", view, 0.0)  # the mean alone: 1.6 / 16 = 0.1 everywhere
    done = fitted(change, view, budget(eps=0.08), kept)
    torch.testing.assert_close(done, torch.full_like(view, 0.05))  # 0.1, cut to 0.08, to white


def test_a_score_that_ignores_the_image_or_explodes_is_refused() -> None:
    clean = torch.zeros(1, 3, 2, 2)
    one = torch.ones((), requires_grad=True)
    with pytest.raises(ModelError, match="does not depend on the pixels"):
        descend(lambda views: one * 2, [clean], budget(), [None])  # noqa: ARG005
    with pytest.raises(ModelError, match="not finite"):
        descend(lambda views: (views[0] * np.inf).sum(), [clean], budget(), [None])


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
def test_patches_there_and_back_is_the_same_bit_for_bit(rows, columns, merge, frames) -> None:
    made = Patches(((rows * merge, columns * merge), (merge, merge)), 4, merge, frames)
    rng = np.random.default_rng(3)
    views = [
        torch.from_numpy(rng.normal(size=(1, 3, r * 4, c * 4)).astype(np.float32))
        for r, c in made.grids
    ]
    values = made.values(views)
    assert values.shape == (sum(r * c for r, c in made.grids), 3 * frames * 16)
    assert all(torch.equal(a, b) for a, b in zip(made.views(values), views, strict=True))
    assert torch.equal(made.values(made.views(values)), values)


def test_patches_are_where_qwens_processor_puts_them() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 10**6})
    rows, columns = np.indices((56, 84))
    ramp = np.stack([rows * 4, columns * 3, (rows + columns) % 256], -1).astype(np.uint8)
    made = processor(images=[Image.fromarray(ramp)], return_tensors="pt")
    layout = layout_of(made, processor)
    (view,) = layout.views(made["pixel_values"])
    back = view[0] * Bounds.of(processor).std + Bounds.of(processor).mean
    np.testing.assert_allclose(255 * back.permute(1, 2, 0).numpy(), ramp, atol=1e-3)
    assert torch.equal(layout.values([view]), made["pixel_values"])


def test_a_processor_that_orders_patches_otherwise_is_refused() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    class Other(Qwen2VLImageProcessorPil):
        def patchify(self, image: Any, *args: Any, **named: Any) -> Any:
            return super().patchify(np.swapaxes(image, 1, 2), *args, **named)

    processor = Other(size={"shortest_edge": 56 * 56, "longest_edge": 56 * 56})
    made = processor(images=[Image.new("RGB", (56, 56))], return_tensors="pt")
    with pytest.raises(ModelError, match="another order"):
        layout_of(made, processor)


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"pixel_values": torch.zeros(5, 7)}, "not known where the pixels are"),
        ({"pixel_values": torch.zeros(1, 4, 8, 8)}, "not known where the pixels are"),
        (
            {"pixel_values": torch.zeros(4, 9), "image_grid_thw": torch.tensor([[1, 2, 2]])},
            "no patches",
        ),
        (
            {"pixel_values": torch.zeros(8, 1176), "image_grid_thw": torch.tensor([[2, 2, 2]])},
            "no patches",
        ),
        (
            {
                "pixel_values": torch.zeros(1, 3, 4, 4),
                "pixel_attention_mask": torch.tensor([[[1, 0]]]),
            },
            "pads images",
        ),
    ],
)
def test_unknown_layouts_are_refused(tensors, why) -> None:
    with pytest.raises(ModelError, match=why):
        layout_of(tensors, SimpleNamespace(patch_size=14, merge_size=2, temporal_patch_size=2))


def test_pictures_of_any_leading_axes_are_views() -> None:
    values = torch.arange(2 * 3 * 3 * 4 * 5.0).reshape(2, 3, 3, 4, 5)
    layout = layout_of({"pixel_values": values}, None)
    assert layout == Pictures(values.shape)
    (views,) = layout.views(values)
    assert views.shape == (6, 3, 4, 5)
    assert torch.equal(layout.values([views]), values)


def test_bounds_follow_the_processor() -> None:
    told = SimpleNamespace(image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.2, 0.1])
    bounds = Bounds.of(told)
    assert bounds.low.flatten().tolist() == pytest.approx([-1, -2, -3])
    assert bounds.high.flatten().tolist() == pytest.approx([1, 3, 7])
    bytes_kept = SimpleNamespace(do_rescale=False, do_normalize=False)
    assert Bounds.of(bytes_kept).high.flatten().tolist() == pytest.approx([255] * 3)
    bounds.check([torch.zeros(1, 3, 2, 2)])
    with pytest.raises(ModelError, match=r"values that no pixel has, by 3\.01"):
        bounds.check([torch.full((1, 3, 2, 2), 4.01)])


@pytest.mark.parametrize(("scale", "level"), [("normalized", 4.0), ("pixel", 8.0)])
def test_eps_is_the_same_true_change_whatever_the_processors_std(scale, level) -> None:
    bounds = Bounds(torch.zeros(3, 1, 1), torch.tensor([0.5, 0.25, 2.0]).reshape(3, 1, 1))
    found = Attack(scale=scale)._budget(bounds)
    assert (255 * found.eps * bounds.std).flatten().tolist() == pytest.approx([level] * 3)
    assert (found.eps / found.step).flatten().tolist() == pytest.approx([4.0] * 3)
