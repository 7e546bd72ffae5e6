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
from vlm_eval.core.types import ImageRef
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.basic import Fill, GaussianBlur, Identity, Reencode

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


@pytest.mark.parametrize("kernel", [5, 21, 61])
def test_blur_commutes_with_a_mirror(kernel):
    blur = GaussianBlur(kernel=kernel)
    mirrored = pixels_of(blur, PATTERN[:, ::-1])[:, ::-1]
    assert np.abs(mirrored.astype(int) - pixels_of(blur, PATTERN)).max() <= 1


@pytest.mark.parametrize(
    ("kernel", "size", "effective"),
    [
        (5, (512, 300), 5),
        (61, (512, 512), 61),
        (61, (224, 168), 27),  # 26.7
        (31, (336, 200), 21),  # 20.3: 20, the next odd number is 21
        (5, (300, 1024), 11),  # 10
        (51, (100, 3840), 383),  # 382.5, which rounds to 382
        (61, (8192, 10), 977),  # 976
        (5, (8, 8), 1),  # 0.08
        (1, (8192, 8192), 1),  # the original stays the original
    ],
)
def test_a_normalized_kernel_grows_with_the_longer_side(kernel, size, effective):
    assert GaussianBlur(kernel=kernel, space="normalized").effective(size) == effective
    assert GaussianBlur(kernel=kernel).effective(size) == kernel


def test_a_normalized_blur_is_the_native_blur_of_the_effective_kernel():
    normalized = GaussianBlur(kernel=61, space="normalized")  # 64 px: 7.6, so 9
    assert np.array_equal(
        pixels_of(normalized, PATTERN), pixels_of(GaussianBlur(kernel=9), PATTERN)
    )
    halved = GaussianBlur(kernel=5, space="normalized", reference=32)
    assert np.array_equal(pixels_of(halved, PATTERN), pixels_of(GaussianBlur(kernel=11), PATTERN))


def test_options_at_their_default_leave_the_key_alone():
    ref = ImageRef("k", lambda: Image.fromarray(PATTERN))
    keys = [
        apply([GaussianBlur(kernel=5, **options)], ref, 0).key
        for options in ({}, {"space": "native"}, {"space": "normalized"}, {"reference": 300})
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("colour", "expected"),
    [("gray", (127, 127, 127)), ("white", (255, 255, 255)), ("black", (0, 0, 0))],
)
def test_fills_of_one_colour(colour, expected):
    filled = pixels_of(Fill(colour=colour), PATTERN)
    assert filled.shape == PATTERN.shape
    assert (filled == expected).all()


def test_the_mean_fill_is_the_limit_of_ever_wider_blur():
    filled = pixels_of(Fill(colour="mean"), PATTERN)
    assert (filled == np.rint(PATTERN.astype(float).mean(axis=(0, 1)))).all()
    limit = gaussian_filter(PATTERN.astype(float), (400, 400, 0), mode="reflect")
    assert np.abs(filled - limit).max() <= 2


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_the_mean_is_that_of_the_pixels(width, height, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    filled = pixels_of(Fill(colour="mean"), pixels)
    for channel in range(3):
        total = int(pixels[:, :, channel].astype(int).sum())
        assert abs(int(filled[0, 0, channel]) * width * height - total) * 2 <= width * height


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
        ({"kernel": 5, "space": "log"}, "option 'space'"),
        ({"kernel": 5, "reference": 0}, "option 'reference'"),
        ({}, "needs the option 'kernel'"),
    ],
)
def test_a_bad_kernel_is_named(options, message):
    with pytest.raises(TaskError, match=rf"^t\.yaml: transform gaussian_blur.*{message}"):
        build(TRANSFORMS, {"name": "gaussian_blur", **options}, where="t.yaml")
