"""Low-pass, high-pass and the mean: they add up, and each keeps the waves it should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.data.frequency import band_energies, unit_pixels
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.basic import Fill
from vlm_eval.transforms.spectral import DcOnly, HighPass, LowPass

SIDES = st.integers(1, 33)


def noise_image(width: int, height: int) -> Image.Image:
    """Return noise of low contrast, which no filter here drives out of 0..255."""
    pixels = np.random.default_rng(1).integers(110, 146, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def wave(frequency: int, size: int = 64) -> Image.Image:
    column = 128 + 100 * np.cos(2 * np.pi * frequency * np.arange(size) / size)
    plane = np.rint(column).astype(np.uint8)[None, :, None]
    return Image.fromarray(np.broadcast_to(plane, (size, size, 3)).copy())


def signed(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@given(SIDES, SIDES, st.floats(0, 1))
def test_the_passes_add_up_to_the_image(width: int, height: int, cutoff: float) -> None:
    image = noise_image(width, height)
    low, high = LowPass(cutoff=cutoff)(image, 0), HighPass(cutoff=cutoff)(image, 0)
    total = signed(low) + signed(high) - signed(DcOnly()(image, 0))
    assert np.abs(total - signed(image)).max() <= 1  # three roundings to whole grey levels


@given(SIDES, SIDES)
def test_the_ends_of_the_scale(width: int, height: int) -> None:
    image = noise_image(width, height)
    mean = DcOnly()(image, 0)
    assert LowPass(cutoff=1.0)(image, 0) == image == HighPass(cutoff=0.0)(image, 0)
    assert LowPass(cutoff=0.0)(image, 0) == mean == HighPass(cutoff=1.0)(image, 0)
    assert mean == Fill(colour="mean")(image, 0)


@pytest.mark.parametrize("frequency", [3, 9, 20])
def test_a_wave_passes_on_one_side_of_the_cutoff(frequency: int) -> None:
    image = wave(frequency)
    mean = DcOnly()(image, 0)
    at = frequency / (32 * 2**0.5)
    for cutoff, low_keeps in ((at - 0.02, False), (at + 0.02, True)):
        low, high = LowPass(cutoff=cutoff)(image, 0), HighPass(cutoff=cutoff)(image, 0)
        # 8-bit rounding gives a wave harmonics of less than one grey level.
        kept, rest = (low, high) if low_keeps else (high, low)
        assert np.abs(signed(kept) - signed(image)).max() <= 2
        assert np.abs(signed(rest) - signed(mean)).max() <= 2


def test_more_is_kept_by_a_wider_low_pass() -> None:
    image = noise_image(40, 30)
    energies = [
        band_energies(unit_pixels(LowPass(cutoff=c)(image, 0)))[2] for c in (0.1, 0.5, 0.75, 1.0)
    ]
    assert energies == sorted(energies)
    assert energies[0] < 0.02 * energies[-1]


def test_ringing_is_clipped_and_never_wraps() -> None:
    half = np.zeros((32, 32, 3), dtype=np.uint8)
    half[:, 16:] = 255
    low = signed(LowPass(cutoff=0.3)(Image.fromarray(half), 0))
    assert low[:, 6].max() < 60  # ringing below 0 would come out near 255 if it wrapped
    assert low[:, 25].min() > 195


@pytest.mark.parametrize("options", [{}, {"cutoff": -0.1}, {"cutoff": 1.01}, {"radius": 0.5}])
def test_bad_options(options: dict[str, float]) -> None:
    for name in ("low_pass", "high_pass"):
        with pytest.raises(TaskError, match=r"cutoff|radius"):
            build(TRANSFORMS, {"name": name, **options}, where=None)
