import math

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate

from vlm_eval.transforms.basic import GaussianBlur
from vlm_eval.transforms.examples import specimen
from vlm_eval.transforms.quality import laplacian_variance, psnr, ssim


def test_psnr_of_a_known_difference():
    one, other = (Image.new("RGB", (8, 6), (level,) * 3) for level in (100, 110))
    assert psnr(one, other) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(one, other) == psnr(other, one)
    black, white = (Image.new("RGB", (8, 6), colour) for colour in ("black", "white"))
    assert psnr(black, white) == pytest.approx(0)


def test_psnr_of_equal_images_is_infinite_and_of_other_sizes_unknown():
    image = specimen()
    assert psnr(image, image.copy()) == math.inf
    assert psnr(image, image.crop((0, 0, 10, 10))) is None


def test_laplacian_variance_equals_scipys():
    image = specimen()
    kernel = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    expected = correlate(np.asarray(image.convert("L"), float), np.array(kernel), mode="mirror")
    assert laplacian_variance(image) == pytest.approx(expected.var())


def test_one_colour_and_one_pixel_have_no_edges():
    assert laplacian_variance(Image.new("RGB", (9, 7), (3, 200, 90))) == 0
    assert laplacian_variance(Image.new("RGB", (1, 1), "white")) == 0


def test_blur_lowers_both():
    image = specimen()
    blurred = [GaussianBlur(kernel=kernel)(image, 0) for kernel in (5, 21, 61)]
    ratios = [psnr(picture, image) for picture in blurred]
    sharpness = [laplacian_variance(picture) for picture in (image, *blurred)]
    assert ratios == sorted(ratios, reverse=True)
    assert sharpness == sorted(sharpness, reverse=True)


def test_ssim_is_the_published_mean_over_windows():
    rng = np.random.default_rng(4)
    one, other = (rng.integers(256, size=(14, 13), dtype=np.uint8) for _ in range(2))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    found = []
    for row in range(14 - 10):
        for column in range(13 - 10):
            x, y = (a[row : row + 11, column : column + 11].astype(float) for a in (one, other))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            both = (window * (x - mx) * (y - my)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            found.append(
                (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
            )
    images = [Image.fromarray(a).convert("RGB") for a in (one, other)]
    assert ssim(*images) == pytest.approx(np.mean(found))
    assert ssim(images[0], images[0]) == pytest.approx(1)


def test_ssim_of_two_constants_and_of_what_cannot_be_compared():
    black, white = (Image.new("RGB", (11, 11), colour) for colour in ("black", "white"))
    assert ssim(black, white) == pytest.approx(6.5025 / (255**2 + 6.5025))
    assert ssim(black, Image.new("RGB", (11, 12))) is None
    assert ssim(*[Image.new("RGB", (10, 40))] * 2) is None
