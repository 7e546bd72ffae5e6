import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.options import build
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.basic import GaussianBlur, Identity, Reencode

ROWS, COLUMNS = np.mgrid[0:48, 0:64]
PATTERN = np.stack(
    [
        (ROWS * 37 + COLUMNS * 11) % 256,
        (ROWS * COLUMNS) % 256,
        (ROWS // 6 + COLUMNS // 8) % 2 * 255,
    ],
    axis=-1,
).astype(np.uint8)


def pixels_of(transform, pixels: np.ndarray) -> np.ndarray:
    result = transform(Image.fromarray(pixels), 0)
    assert result.mode == "RGB"
    return np.asarray(result)


def direct_blur(pixels: np.ndarray, kernel: int) -> np.ndarray:
    """Sum every pixel's window, one pixel at a time, straight from the definition."""
    sigma, radius = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8, kernel // 2
    weights = [math.exp(-(d * d) / (2 * sigma**2)) for d in range(-radius, radius + 1)]
    weights = [w / math.fsum(weights) for w in weights]
    height, width, _ = pixels.shape

    def mirrored(i: int, n: int) -> int:
        while not 0 <= i < n:
            i = 0 if n == 1 else (-i if i < 0 else 2 * (n - 1) - i)
        return i

    result = np.empty(pixels.shape)
    for y in range(height):
        for x in range(width):
            total = np.zeros(3)
            for dy, wy in zip(range(-radius, radius + 1), weights, strict=True):
                for dx, wx in zip(range(-radius, radius + 1), weights, strict=True):
                    total += wy * wx * pixels[mirrored(y + dy, height), mirrored(x + dx, width)]
            result[y, x] = total
    return result


@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        (3, (9, 12)),
        (5, (9, 12)),
        (11, (9, 12)),
        (21, (6, 4)),
        (7, (1, 9)),
        (7, (9, 1)),
        (5, (1, 1)),
    ],
)
def test_blur_equals_the_definition_even_where_the_kernel_exceeds_the_image(kernel, shape):
    pixels = np.random.default_rng(kernel).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = direct_blur(pixels, kernel)
    assert np.abs(pixels_of(GaussianBlur(kernel=kernel), pixels) - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("kernel", [5, 11, 61])
def test_blur_equals_scipys_gaussian_cut_at_the_same_radius(kernel):
    blur = GaussianBlur(kernel=kernel)
    expected = gaussian_filter(
        PATTERN.astype(float),
        (blur.sigma, blur.sigma, 0),
        mode="mirror",
        radius=(kernel // 2,) * 2 + (0,),
    )
    assert np.array_equal(pixels_of(blur, PATTERN), np.rint(expected))


@pytest.mark.parametrize(
    ("kernel", "sigma"),
    [(5, 1.1), (11, 2.0), (21, 3.5), (31, 5.0), (41, 6.5), (51, 8.0), (61, 9.5)],
)
def test_sigma_is_the_rule_of_opencv(kernel, sigma):
    blur = GaussianBlur(kernel=kernel)
    assert blur.sigma == pytest.approx(sigma)
    assert len(blur.taps) == kernel
    assert blur.taps.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (1, "da8d09893091df55"),
        (5, "2468e4da5c8558a4"),
        (11, "7ec129bdf87cee06"),
        (61, "f28c56cec74f220f"),
    ],
)
def test_golden_pixels(kernel, expected):
    """No pixel of the pattern is within 1e-5 of a rounding tie, so no machine may differ."""
    blurred = pixels_of(GaussianBlur(kernel=kernel), PATTERN)
    assert digest_bytes(blurred.tobytes())[:16] == expected


@given(st.integers(0, 255), st.sampled_from([3, 5, 21, 61]))
def test_a_flat_image_stays_as_it_is(level, kernel):
    flat = np.full((7, 5, 3), level, np.uint8)
    assert np.array_equal(pixels_of(GaussianBlur(kernel=kernel), flat), flat)


@pytest.mark.parametrize("transform", [Identity(), Reencode(), GaussianBlur(kernel=1)])
def test_controls_keep_every_pixel_in_another_image(transform):
    image = Image.fromarray(PATTERN)
    result = transform(image, 0)
    assert result is not image
    assert np.array_equal(np.asarray(result), PATTERN)


def test_the_image_given_is_not_changed():
    image = Image.fromarray(PATTERN)
    GaussianBlur(kernel=5)(image, 0)
    assert np.array_equal(np.asarray(image), PATTERN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": 4}, "option 'kernel': .*must be odd"),
        ({"kernel": 0}, "option 'kernel'"),
        ({"kernel": -3}, "option 'kernel'"),
        ({"kernel": 1025}, "option 'kernel'"),
        ({"kernel": "wide"}, "option 'kernel'"),
        ({"kernal": 3}, "no option 'kernal'; did you mean kernel"),
        ({}, "needs the option 'kernel'"),
    ],
)
def test_a_bad_kernel_is_named(options, message):
    with pytest.raises(TaskError, match=rf"^t\.yaml: transform gaussian_blur.*{message}"):
        build(TRANSFORMS, {"name": "gaussian_blur", **options}, where="t.yaml")
