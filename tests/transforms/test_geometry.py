import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.geometry import (
    Downscale,
    Flip,
    MaxSide,
    PadCrop,
    Rotate,
    Scale,
    ScalePad,
    Translate,
)

sides = st.integers(1, 40)
BICUBIC = Image.Resampling.BICUBIC


def noise_image(width=24, height=16, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


# --- translation


@given(width=sides, height=sides, dx=st.integers(-99, 99), dy=st.integers(-99, 99))
def test_a_pixel_moves_right_and_down_and_comes_back_on_the_other_side(width, height, dx, dy):
    image = noise_image(width, height)
    moved = Translate(dx=dx, dy=dy)(image, 0)
    assert moved.size == image.size
    for x, y in [(0, 0), (width - 1, height - 1), (width // 2, 0)]:
        place = (x + dx) % width, (y + dy) % height
        assert moved.getpixel(place) == image.getpixel((x, y))


@given(width=sides, height=sides, dx=st.integers(-99, 99))
def test_there_and_back_is_the_identity_and_so_is_the_width(width, height, dx):
    image = noise_image(width, height)
    assert Translate(dx=-dx)(Translate(dx=dx)(image, 0), 0) == image
    assert Translate(dx=width)(image, 0) == image
    assert Translate(dx=0, dy=-height)(image, 0) == image


# --- borders


@pytest.mark.parametrize("pixels", [4, 8, 12, 16])
def test_padding_adds_black_on_all_sides_and_cropping_takes_it_off(pixels):
    image = noise_image(50, 40)
    padded = PadCrop(pixels=pixels)(image, 0)
    assert padded.size == (50 + 2 * pixels, 40 + 2 * pixels)
    assert padded == ImageOps.expand(image, pixels, "black")
    pixels_of = np.array(padded)
    pixels_of[pixels:-pixels, pixels:-pixels] = 0
    assert not pixels_of.any()
    assert PadCrop(pixels=-pixels)(padded, 0) == image


@given(width=sides, height=sides, pixels=st.integers(1, 25))
def test_a_crop_keeps_the_middle_or_everything(width, height, pixels):
    image = noise_image(width, height)
    cropped = PadCrop(pixels=-pixels)(image, 0)
    if min(width, height) <= 2 * pixels:
        assert cropped == image
        assert cropped is not image
    else:
        assert cropped == image.crop((pixels, pixels, width - pixels, height - pixels))


def test_no_border_is_a_copy():
    image = noise_image()
    assert PadCrop(pixels=0)(image, 0) == image


# --- sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (576, 432)),
        ((427, 640), (384, 576)),
        ((335, 5), (302, 4)),  # 301.5 and 4.5: halves go to the even number, as in Python
        ((1, 1), (1, 1)),
    ],
)
def test_scale_rounds_both_sides(size, expected):
    image = noise_image(*size)
    scaled = Scale(factor=0.9)(image, 0)
    assert scaled.size == expected
    assert scaled == image.resize(expected, BICUBIC)
    assert Scale(factor=0.9, restore=True)(image, 0) == scaled.resize(size, BICUBIC)


def test_scale_never_reaches_nothing():
    assert Scale(factor=0.01)(noise_image(), 0).size == (1, 1)
    assert Scale(factor=2)(noise_image(), 0).size == (48, 32)
    assert Scale(factor=1)(noise_image(), 0) == noise_image()


@pytest.mark.parametrize(("fill", "colour"), [("black", 0), ("white", 255)])
def test_scale_and_pad_pastes_in_the_middle_of_the_first_size(fill, colour):
    image = noise_image(45, 31)  # scaled: 40 x 28, margins 2 + 3 and 1 + 2
    pixels = np.array(ScalePad(factor=0.9, fill=fill)(image, 0))
    assert pixels.shape == (31, 45, 3)
    inside = pixels[1:29, 2:42].copy()
    assert np.array_equal(inside, image.resize((40, 28), BICUBIC))
    pixels[1:29, 2:42] = colour
    assert (pixels == colour).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2048, 1024), (1024, 512)),
        ((1000, 1025), (999, 1024)),
        ((1024, 1024), (1024, 1024)),
        ((3, 5000), (1, 1024)),
        ((5000, 1), (1024, 1)),
    ],
)
def test_max_side(size, expected):
    image = Image.new("RGB", size, (9, 8, 7))
    assert MaxSide()(image, 0).size == expected


@given(width=st.integers(1, 200), height=st.integers(1, 200), limit=st.integers(1, 220))
def test_the_longer_side_is_at_most_the_limit(width, height, limit):
    image = noise_image(width, height)
    result = MaxSide(pixels=limit)(image, 0)
    assert max(result.size) == min(limit, max(width, height))
    if max(width, height) <= limit:
        assert result == image
        assert result is not image
    else:
        scale = limit / max(width, height)
        assert all(abs(new - max(1, old * scale)) <= 0.5 for new, old in zip(
            result.size, image.size, strict=True))  # fmt: skip


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_downscaling_takes_the_mean_of_each_square(factor):
    image = noise_image(12 * factor, 8 * factor)
    squares = np.asarray(image).reshape(8, factor, 12, factor, 3).mean(axis=(1, 3))
    small = np.asarray(Downscale(factor=factor)(image, 0))
    assert small.shape == (8, 12, 3)
    assert np.abs(small - squares).max() <= 1  # Pillow rounds after each direction
    assert Downscale(factor=1)(image, 0) == image
    assert Downscale(factor=64)(noise_image(5, 5), 0).size == (1, 1)
    assert Downscale(factor=2)(noise_image(7, 9), 0).size == (4, 4)


# --- turns


@pytest.mark.parametrize("degrees", [-30, 30, 7.5])
def test_rotate_is_pillows(degrees):
    image = noise_image(40, 30)
    turned = Rotate(degrees=degrees)(image, 0)
    assert turned == image.rotate(degrees, BICUBIC, expand=True, fillcolor="white")
    angle = math.radians(abs(degrees))
    # Enlarged to hold all four corners; Pillow rounds outwards.
    assert turned.width - (40 * math.cos(angle) + 30 * math.sin(angle)) == pytest.approx(1, abs=1)
    assert turned.height - (30 * math.cos(angle) + 40 * math.sin(angle)) == pytest.approx(1, abs=1)
    for corner in [(0, 0), (turned.width - 1, turned.height - 1)]:
        assert turned.getpixel(corner) == (255, 255, 255)


def test_positive_angles_turn_counter_clockwise():
    image = Image.new("RGB", (40, 40), "black")
    image.putpixel((20, 0), (255, 0, 0))
    turned = Rotate(degrees=90)(image, 0)
    assert turned.getpixel((0, 19)) == (255, 0, 0)
    assert Rotate(degrees=-90)(turned, 0) == image


def test_rotate_without_expanding_keeps_the_size_and_fills_with_black_if_asked():
    image = Image.new("RGB", (40, 20), (200, 200, 200))
    turned = Rotate(degrees=45, fill="black", expand=False)(image, 0)
    assert turned.size == (40, 20)
    assert turned.getpixel((0, 0)) == (0, 0, 0)
    assert turned.getpixel((20, 10)) == (200, 200, 200)


@given(width=sides, height=sides)
def test_flip_exchanges_top_and_bottom(width, height):
    image = noise_image(width, height)
    flipped = Flip()(image, 0)
    assert flipped == ImageOps.flip(image)
    assert np.array_equal(flipped, np.asarray(image)[::-1])
    assert Flip()(flipped, 0) == image


# --- faults


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "translate"}, "needs the option 'dx'"),
        ({"name": "translate", "dx": 1.5}, "'dx'"),
        ({"name": "pad_crop", "pixels": 5000}, "'pixels'"),
        ({"name": "scale", "factor": 0}, "'factor'"),
        ({"name": "scale", "factor": 9}, "'factor'"),
        ({"name": "scale", "factor": math.nan}, "'factor'"),
        ({"name": "scale_pad", "factor": 1.1}, "'factor'"),
        ({"name": "scale_pad", "factor": 0.9, "fill": "red"}, "'fill'"),
        ({"name": "rotate", "degrees": 400}, "'degrees'"),
        ({"name": "rotate", "degrees": math.nan}, "'degrees'"),
        ({"name": "flip", "axis": 1}, "no option 'axis'"),
        ({"name": "downscale", "factor": 0.5}, "'factor'"),
        ({"name": "max_side", "pixels": 0}, "'pixels'"),
        ({"name": "rotat", "degrees": 3}, "did you mean rotate"),
    ],
)
def test_bad_options_are_named(spec, message):
    with pytest.raises(TaskError, match=message):
        build(TRANSFORMS, spec, where="t.yaml")
