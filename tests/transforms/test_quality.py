import math

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate

from vlm_eval.transforms.basic import GaussianBlur
from vlm_eval.transforms.examples import specimen
from vlm_eval.transforms.quality import laplacian_variance, psnr


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
