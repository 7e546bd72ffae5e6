import io
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import correlate

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.core.options import build
from vlm_eval.core.types import ImageRef
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.corruptions import GaussianNoise, Jpeg, LowLight, MotionBlur, Occlusion

seeds = st.integers(0, 2**64 - 1)
kernels = st.integers(0, 40).map(lambda half: 2 * half + 1)
sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def noise_image(width=24, height=16, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def grey(level, width=60, height=40):
    return Image.new("RGB", (width, height), (level,) * 3)


# --- motion blur


@given(kernel=kernels, size=sizes, seed=seeds)
@settings(deadline=None)
def test_motion_blur_is_the_mean_of_a_mirrored_row(kernel, size, seed):
    image = noise_image(*size, seed=seed)
    rows = np.asarray(image).astype(int).tolist()
    width = size[0]

    def mirrored(x):
        while not 0 <= x < width:
            x = 0 if width == 1 else (-x if x < 0 else 2 * (width - 1) - x)
        return x

    reach = range(-(kernel // 2), kernel // 2 + 1)
    for row, blurred in zip(rows, np.asarray(MotionBlur(kernel=kernel)(image, 0)), strict=True):
        for x in range(width):
            for channel in range(3):
                total = sum(row[mirrored(x + d)][channel] for d in reach)
                assert abs(kernel * int(blurred[x, channel]) - total) * 2 < kernel


@pytest.mark.parametrize("kernel", [7, 15, 25])
def test_motion_blur_equals_scipy_with_the_square_kernel_of_the_paper(kernel):
    weights = np.zeros((kernel, kernel))
    weights[kernel // 2] = 1 / kernel
    image = noise_image(40, 30)
    expected = [
        correlate(np.asarray(image)[:, :, c].astype(float), weights, mode="mirror")
        for c in range(3)
    ]
    assert np.array_equal(MotionBlur(kernel=kernel)(image, 0), np.rint(np.dstack(expected)))


@given(level=st.integers(0, 255), kernel=kernels)
@settings(deadline=None)
def test_motion_blur_leaves_one_colour_and_vertical_stripes_of_rows_alone(level, kernel):
    assert MotionBlur(kernel=kernel)(grey(level), 0) == grey(level)
    rows = np.repeat(np.arange(40, dtype=np.uint8)[:, None], 9, axis=1)
    banded = Image.fromarray(np.dstack([rows] * 3))
    assert MotionBlur(kernel=kernel)(banded, 0) == banded, "horizontal motion mixes no rows"


def test_motion_blur_is_even_handed():
    image = noise_image()
    mirror = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    blurred = MotionBlur(kernel=7)(mirror, 0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert blurred == MotionBlur(kernel=7)(image, 0)
    assert MotionBlur(kernel=1)(image, 0) == image


# --- low light and noise


@pytest.mark.parametrize("gamma", [1.0, 1.6, 2.2, 3.0])
def test_the_gamma_curve(gamma):
    ramp = np.dstack([np.arange(256, dtype=np.uint8)[None]] * 3)
    dark = np.asarray(LowLight(gamma=gamma, sigma=0)(Image.fromarray(ramp), 0))
    for level in range(256):
        exact = 255 * (level / 255) ** gamma
        assert abs(int(dark[0, level, 0]) - exact) <= 0.5 + 1e-9
    assert dark[0, 0, 0] == 0
    assert dark[0, 255, 0] == 255


def test_the_low_light_of_one_pixel_by_hand():
    """(100/255)^2.2 = 0.127505...: 32.5 of 255; noise of sigma 0.02 is one field from PCG64."""
    noise = np.random.Generator(np.random.PCG64(9)).standard_normal((2, 3, 3))
    result = np.asarray(LowLight(severity=2)(grey(100, 3, 2), 9))
    expected = 255 * np.clip((100 / 255) ** 2.2 + 0.02 * noise, 0, 1)
    assert np.array_equal(result, np.rint(expected))


def test_severities_of_one_image_share_their_noise():
    image, seed = grey(128, 200, 150), 4
    fields = []
    for severity in (1, 2, 3):
        light = LowLight(severity=severity)
        change = np.asarray(light(image, seed)) / 255 - (128 / 255) ** light.gamma
        fields.append(change / light.sigma)
    for field in fields[1:]:
        kept = (fields[0] > -2) & (field > -2)  # where nothing was clipped at black
        assert np.corrcoef(fields[0][kept], field[kept])[0, 1] > 0.97


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_has_the_standard_deviation_asked_for(sigma):
    noisy = np.asarray(GaussianNoise(sigma=sigma)(grey(128, 300, 200), 1)) / 255
    assert noisy.mean() == pytest.approx(128 / 255, abs=4 * sigma / math.sqrt(180_000) + 1e-3)
    assert noisy.std() == pytest.approx(sigma, rel=0.02)
    channels = noisy.reshape(-1, 3)
    assert abs(np.corrcoef(channels.T)[0, 1]) < 0.02, "the channels are independent"


def test_no_noise_is_no_change():
    assert GaussianNoise(sigma=0)(noise_image(), 1) == noise_image()
    assert LowLight(gamma=1, sigma=0)(noise_image(), 1) == noise_image()


# --- occlusion


def box(image, result):
    changed = (np.asarray(image) != np.asarray(result)).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert changed[np.ix_(rows, columns)].all(), "one full rectangle"
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@given(seed=seeds, size=st.tuples(st.integers(20, 300), st.integers(20, 300)))
@settings(deadline=None)
def test_the_rectangle_has_its_size_lies_inside_and_is_nested(seed, size):
    white = Image.new("RGB", size, "white")
    last = None
    for area in (0.08, 0.15, 0.25):
        left, top, right, bottom = box(white, Occlusion(area=area)(white, seed))
        assert right - left == round(math.sqrt(area) * size[0])
        assert bottom - top == round(math.sqrt(area) * size[1])
        if last:
            assert left <= last[0]
            assert top <= last[1]
            assert right >= last[2]
            assert bottom >= last[3]
        last = left, top, right, bottom


@pytest.mark.parametrize("size", [(2048, 1024), (1024, 768), (512, 512)])
@pytest.mark.parametrize("severity", [1, 2, 3])
def test_the_area_of_a_large_image_is_exact_to_two_thousandths(size, severity):
    white = Image.new("RGB", size, "white")
    occlusion = Occlusion(severity=severity)
    hidden = (np.asarray(occlusion(white, 3))[:, :, 0] == 0).mean()
    assert abs(hidden - occlusion.area) < 0.002


def test_the_place_is_uniform():
    white = Image.new("RGB", (100, 100), "white")
    corners = [box(white, Occlusion(area=0.25)(white, seed))[:2] for seed in range(400)]
    assert np.mean(corners, axis=0) == pytest.approx([24.5, 24.5], abs=3)
    assert np.ptp(corners, axis=0).min() >= 48
    assert abs(np.corrcoef(np.transpose(corners))[0, 1]) < 0.15


def test_fills():
    image = noise_image(100, 80)
    pixels = np.asarray(image)
    left, top, right, bottom = box(image, Occlusion(area=0.25)(image, 8))
    inside = np.s_[top:bottom, left:right]
    mean = np.asarray(Occlusion(area=0.25, fill="mean")(image, 8))[inside]
    assert (mean == np.rint(pixels.mean(axis=(0, 1)))).all()
    large, small = (
        np.asarray(Occlusion(area=area, fill="noise")(image, 8)) for area in (0.25, 0.08)
    )
    assert large[inside].std() > 60
    changed = (small != pixels).any(axis=2)
    assert np.array_equal(small[changed], large[changed]), "a smaller box shows the same noise"


def test_a_random_aspect_is_drawn_once_keeps_the_area_and_is_nested():
    white = Image.new("RGB", (1024, 512), "white")
    stretches = []
    for seed in range(60):
        boxes = [
            box(white, Occlusion(area=area, aspect="random")(white, seed))
            for area in (0.08, 0.15, 0.25)
        ]
        for area, (left, top, right, bottom) in zip((0.08, 0.15, 0.25), boxes, strict=True):
            assert (right - left) * (bottom - top) / (1024 * 512) == pytest.approx(area, abs=0.002)
        for inner, outer in itertools.pairwise(boxes):
            assert all(a <= b for a, b in zip(outer[:2], inner[:2], strict=True))
            assert all(a >= b for a, b in zip(outer[2:], inner[2:], strict=True))
        left, top, right, bottom = boxes[-1]
        stretches.append((right - left) / (bottom - top) / 2)
    assert 0.29 < min(stretches) < 0.5
    assert 2 < max(stretches) < 3.4


def test_nothing_and_everything():
    image = noise_image()
    for aspect in ("image", "random"):
        assert Occlusion(area=0, aspect=aspect)(image, 1) == image
        assert not np.asarray(Occlusion(area=1, aspect=aspect)(image, 1)).any()


# --- JPEG


@pytest.mark.parametrize("quality", [5, 50, 95])
def test_jpeg_is_one_round_trip(quality):
    image = noise_image()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=2)
    assert Jpeg(quality=quality)(image, 0) == Image.open(file).convert("RGB")


def test_a_side_that_jpeg_cannot_hold_is_a_fault_of_the_data():
    with pytest.raises(DataError, match="65,500 pixels"):
        Jpeg(quality=50)(Image.new("RGB", (65_501, 1)), 0)
    assert Jpeg(quality=50)(Image.new("RGB", (65_500, 1)), 0).size == (65_500, 1)


# --- severities


@pytest.mark.parametrize(
    ("name", "severity", "parameters"),
    [
        ("motion_blur", 1, {"kernel": 7}),
        ("motion_blur", 2, {"kernel": 15}),
        ("motion_blur", 3, {"kernel": 25}),
        ("low_light", 1, {"gamma": 1.6, "sigma": 0.01}),
        ("low_light", 2, {"gamma": 2.2, "sigma": 0.02}),
        ("low_light", 3, {"gamma": 3.0, "sigma": 0.03}),
        ("occlusion", 1, {"area": 0.08}),
        ("occlusion", 2, {"area": 0.15}),
        ("occlusion", 3, {"area": 0.25}),
    ],
)
def test_a_severity_is_its_row_of_the_table(name, severity, parameters):
    """Table 1 of arXiv 2601.08355; the sigmas are the specification's."""
    short = build(TRANSFORMS, {"name": name, "severity": severity}, where=None)
    full = build(TRANSFORMS, {"name": name, **parameters}, where=None)
    assert short == full
    assert hash(short) == hash(full)
    ref = ImageRef("k", noise_image)
    assert apply([short], ref, 1).key == apply([full], ref, 1).key
    assert {option: getattr(short, option) for option in parameters} == parameters


def test_a_severity_leaves_the_other_options_free():
    assert Occlusion(severity=2, fill="mean") == Occlusion(area=0.15, fill="mean")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "low_light"}, "needs the option 'gamma'"),
        ({"name": "low_light", "gamma": 2}, "needs the option 'sigma'"),
        ({"name": "low_light", "severity": 4}, "'severity': Input should be 1, 2 or 3 .got 4"),
        ({"name": "low_light", "severity": "mild"}, "'severity': Input should be 1, 2 or 3"),
        ({"name": "low_light", "severity": 2, "sigma": 0.1}, "'severity': .*not both"),
        ({"name": "motion_blur", "severity": 2, "kernel": 15}, "'severity': .*not both"),
        ({"name": "motion_blur", "severty": 2}, "no option 'severty'; did you mean severity"),
        ({"name": "motion_blur", "kernel": 6}, "'kernel': the kernel must be odd"),
        ({"name": "motion_blur", "kernel": -1}, "'kernel'"),
        ({"name": "low_light", "gamma": 0.5, "sigma": 0}, "'gamma'"),
        ({"name": "low_light", "gamma": 2, "sigma": -0.1}, "'sigma'"),
        ({"name": "low_light", "gamma": math.nan, "sigma": 0}, "'gamma'"),
        ({"name": "occlusion", "area": 1.01}, "'area'"),
        ({"name": "occlusion", "area": 8}, "'area'"),
        ({"name": "occlusion", "severity": 1, "fill": "white"}, "'fill'"),
        ({"name": "jpeg", "quality": 0}, "'quality'"),
        ({"name": "jpeg", "quality": 101}, "'quality'"),
        ({"name": "gaussian_noise", "sigma": 25}, "'sigma'"),
        ({"name": "gaussian_noise", "sigma": math.inf}, "'sigma'"),
    ],
)
def test_bad_options_are_named(spec, message):
    with pytest.raises(TaskError, match=message):
        build(TRANSFORMS, spec, where="t.yaml")
