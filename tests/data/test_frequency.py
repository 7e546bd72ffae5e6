"""Radii, bands and band energies: the spec's edges, Parseval, and images of one known wave."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_eval.data.frequency import (
    Scheme,
    band_edges,
    band_energies,
    band_index,
    low_mask,
    radius,
    relative_radius,
    spectrum,
    unit_pixels,
)

SIDES = st.integers(1, 40)


@pytest.mark.parametrize(
    ("height", "width", "edges"),
    [
        (64, 64, [0, 2.58965, 11.8856, 45.2548]),
        (480, 640, [0, 6.3742, 53.379, 400]),
    ],
)
def test_the_published_log_edges(height: int, width: int, edges: list[float]) -> None:
    np.testing.assert_allclose(band_edges(height, width), edges, rtol=2e-5)


def test_equal_and_percentile_edges() -> None:
    np.testing.assert_allclose(band_edges(480, 640, "equal"), [0, 400 / 3, 800 / 3, 400])
    edges = band_edges(64, 64, "percentile")
    shares = np.bincount(band_index(64, 64, "percentile").ravel()) / 64**2
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)
    assert edges[0] == 0
    assert edges[-1] == pytest.approx(32 * 2**0.5)


@given(SIDES, SIDES)
def test_the_radius_is_zero_at_dc_alone(height: int, width: int) -> None:
    found = radius(height, width)
    assert found[height // 2, width // 2] == 0
    assert (found == 0).sum() == 1
    # A constant image has power at DC alone, so it names the place of DC in the spectrum.
    constant = np.abs(spectrum(np.ones((height, width, 1))))[..., 0]
    assert np.argmax(constant) == np.argmin(found)


@given(SIDES, SIDES, st.sampled_from(get_args(Scheme)), st.integers(1, 5))
def test_the_bands_partition_the_spectrum(h: int, w: int, scheme: Scheme, bands: int) -> None:
    edges = band_edges(h, w, scheme, bands)
    assert len(edges) == bands + 1
    assert (np.diff(edges) >= 0).all()
    index = band_index(h, w, scheme, bands)
    assert index.min() >= 0
    assert index.max() < bands
    radii = radius(h, w)
    assert (radii >= edges[index]).all()
    assert (radii <= edges[index + 1]).all()


@given(st.integers(8, 40), st.integers(8, 40), st.sampled_from(["log", "equal"]))
def test_energies_sum_to_the_squared_pixels(height: int, width: int, scheme: Scheme) -> None:
    pixels = np.random.default_rng(0).random((height, width, 3))
    index = band_index(height, width, scheme)
    energies = band_energies(pixels, scheme)
    counts = np.bincount(index.ravel(), minlength=3)
    total = np.nansum(energies * counts)  # Parseval: sum |F|^2 = HW sum |x|^2
    assert total == pytest.approx(height * width * (pixels**2).sum() / 3)


def test_a_wave_has_all_its_energy_in_its_band() -> None:
    columns = np.arange(64)
    edges = band_edges(64, 64)
    for frequency, band in ((1, 0), (5, 1), (20, 2)):
        assert edges[band] <= frequency < edges[band + 1]
        wave = np.cos(2 * np.pi * frequency * columns / 64) * np.ones((64, 1))
        energies = band_energies(wave[..., None])
        counts = np.bincount(band_index(64, 64).ravel())
        expected = np.zeros(3)
        expected[band] = 2 * (64 * 64 / 2) ** 2 / counts[band]
        np.testing.assert_allclose(energies, expected, atol=1e-15 * 64**4)


def test_a_constant_image_is_dc() -> None:
    energies = band_energies(Image.new("RGB", (32, 32), (255, 255, 255)))
    counts = np.bincount(band_index(32, 32).ravel())
    np.testing.assert_allclose(energies, [1024**2 / counts[0], 0, 0], atol=1e-12)


def test_an_image_of_another_size_is_resized_first() -> None:
    image = Image.radial_gradient("L").convert("RGB")
    small = image.resize((64, 48), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(band_energies(image, size=(64, 48)), band_energies(small))
    assert unit_pixels(image).max() <= 1
    assert unit_pixels(image, (64, 48)).shape == (48, 64, 3)


def test_a_band_without_a_frequency_is_unknown() -> None:
    energies = band_energies(np.ones((1, 1, 3)))
    assert np.isfinite(energies).sum() == 1


@given(SIDES, SIDES)
def test_masks_from_dc_to_everything(height: int, width: int) -> None:
    assert low_mask(height, width, 0).sum() == 1
    assert low_mask(height, width, 1).all()
    assert relative_radius(height, width).max() == float(height * width > 1)
