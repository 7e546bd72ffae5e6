"""Band energies of perturbed images, from pictures whose spectra are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlm_eval.core.capture import Captured
from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import ImageRef
from vlm_eval.data.frequency import band_energies
from vlm_eval.internals.base import Study
from vlm_eval.internals.spectrum import Spectrum
from vlm_eval.metrics.table import Table, TableRow

LEVELS = ("clean", "same", "shift", "dark", "noisy", "larger", "none")
SAMPLES = 12


def clean(number: int) -> Image.Image:
    pixels = np.random.default_rng(number).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((48, 36), Image.Resampling.BICUBIC)


def perturbed(number: int, level: str) -> Image.Image | None:
    image = clean(number)
    pixels = np.asarray(image)
    if level == "shift":
        return Image.fromarray(np.roll(pixels, 5, axis=1))
    if level == "dark":
        return Image.fromarray(pixels // 2)
    if level == "noisy":
        noise = np.random.default_rng([1, number]).integers(-20, 20, pixels.shape)
        return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
    if level == "larger":
        return image.resize((96, 72), Image.Resampling.BICUBIC)
    return None if level == "none" else image


class States:
    """Tokens whose energy changes by the high band's."""

    def of(self, row: TableRow) -> Captured | None:
        image = perturbed(row.fields["number"], row.condition["perturbation"])
        if image is None:
            return None
        energy = 3 * band_energies(image, size=(48, 36))[2] + 7
        arrays = {"vision_energy": np.array([energy, 1, 4, 1, 2, 2], np.float32)}
        return Captured(row.request, (), arrays, {})


def untracked(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return items


def study(folder: Path, *, states: Any = None, loads: list[str] | None = None) -> Study:
    rows = []
    for number in range(SAMPLES):
        for level in LEVELS:
            flipped = level == "noisy" and number % 3 > 0
            rows.append(
                TableRow(
                    f"s{number}", f"c{number // 2}", {"perturbation": level}, {"number": number},
                    "Yes", "No" if flipped else "Yes", {"accuracy": float(not flipped)},
                    request=f"{number}-{level}",
                )
            )  # fmt: skip

    def trials(wanted: Any = None) -> Iterator[Any]:
        for row in reversed(rows):
            number, level = row.fields["number"], row.condition["perturbation"]
            if wanted is None or wanted(row):
                image = perturbed(number, level)

                def load(image: Any = image, name: str = row.request) -> Image.Image:
                    if loads is not None:
                        loads.append(name)
                    return image

                images = () if image is None else (ImageRef(row.request, load),)
                yield SimpleNamespace(request=SimpleNamespace(images=images)), row

    def unloaded() -> Any:
        raise AssertionError("no model is needed")

    factors: Mapping[str, Any] = {"perturbation": LEVELS}
    controls = {"perturbation": ("same",)}
    return Study(
        task=SimpleNamespace(name="toy"),
        table=Table("toy", factors, tuple(rows), controls=controls, states=states),
        model="m", folder=folder, trials=trials, load=unloaded,
        track=untracked, seed=0, synthetic=True, notice="made up",
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Spectrum()(study(tmp_path_factory.mktemp("run"), states=States()))


def value(found: Any, name: str, **where: Any) -> Any:
    (one,) = found.of(name, **where)
    return one.value


def test_energies_are_those_of_the_formula(found) -> None:
    for band, place in (("low", 0), ("middle", 1), ("high", 2)):
        changes, relative = [], []
        for number in range(SAMPLES):
            before = band_energies(clean(number))[place]
            after = band_energies(perturbed(number, "noisy"))[place]
            changes.append(after - before)
            relative.append((after - before) / (abs(before) + 1e-8))
        where = {"family": "noisy", "band": band, "trials": "all"}
        assert value(found, "energy_change", **where) == pytest.approx(np.mean(changes))
        assert value(found, "relative_energy_change", **where) == pytest.approx(np.mean(relative))
        where["trials"] = "flips"
        flips = [c for number, c in enumerate(changes) if number % 3 > 0]
        assert value(found, "energy_change", **where) == pytest.approx(np.mean(flips))


def test_halving_leaves_about_a_quarter_and_a_shift_leaves_all(found) -> None:
    for band in ("low", "middle", "high"):
        where = {"band": band, "trials": "all"}
        dark = value(found, "relative_energy_change", family="dark", **where)
        assert dark == pytest.approx(-0.75, abs=0.02 if band != "high" else 0.2)
        assert value(found, "relative_energy_change", family="shift", **where) == 0.0


def test_what_is_exactly_unchanged_has_no_made_up_interval(found) -> None:
    (one,) = found.of("energy_change", family="shift", band="high", trials="all")
    assert (one.value, one.low, one.method, one.n, one.clusters) == (0.0, None, "none", 12, 6)


def test_another_size_is_brought_back_first(found) -> None:
    change = value(found, "relative_energy_change", family="larger", band="low", trials="all")
    assert abs(change) < 0.02
    assert value(found, "ssim", family="larger") > 0.9


def test_controls_and_trials_without_images_stay_out(found) -> None:
    assert not found.of("ssim", family="same")
    assert not found.of("ssim", family="none")
    assert found.facts["pairs of images"] == 4 * SAMPLES
    assert any("12 perturbed trials show no image" in note for note in found.notes)


def test_tokens_that_follow_the_high_band_correlate_with_it_and_noise_tells_flips(found) -> None:
    assert value(found, "dirichlet_correlation", family="noisy", measure="high") == pytest.approx(1)
    assert abs(value(found, "dirichlet_correlation", family="noisy", measure="low")) < 0.9
    (area,) = found.of("flip_auroc", family="any", measure="high")
    assert area.value > 0.9, "only noise flips, and only it adds high frequencies"
    assert area.chance == 0.5
    assert value(found, "flip_auroc", family="dark", measure="high") is None  # nothing flips


def test_without_captured_tokens_the_correlation_is_unknown_and_a_note_says_how(tmp_path) -> None:
    bare = Spectrum(samples=2)(study(tmp_path))
    assert value(bare, "dirichlet_correlation", family="any", measure="low") is None
    assert any("capture: {sites: [vision_grid]}" in note for note in bare.notes)


def test_it_goes_on_where_it_was_and_loads_no_image_twice(tmp_path, found) -> None:
    loads: list[str] = []
    few = Spectrum(samples=3)(study(tmp_path, states=States(), loads=loads))
    assert few.facts["samples"] == 3
    assert len(loads) == len(set(loads)) == 3 * 5
    whole = Spectrum()(study(tmp_path, states=States(), loads=loads))
    assert whole.estimates == found.estimates
    assert len(loads) == len(set(loads)) == SAMPLES * 5
    assert Spectrum()(study(tmp_path, states=States(), loads=loads)).estimates == found.estimates
    assert len(loads) == SAMPLES * 5


def test_families_pool_levels(tmp_path) -> None:
    options = {"families": {"grey": ("dark", "noisy"), "moved": "sh*"}}
    pooled = Spectrum(**options)(study(tmp_path))
    (one,) = pooled.of("ssim", family="grey")
    assert (one.n, one.clusters) == (2 * SAMPLES, SAMPLES // 2)
    assert pooled.of("ssim", family="any")[0].n == 3 * SAMPLES
    with pytest.raises(TaskError, match="fits no level"):
        Spectrum(families={"x": "blurred"})(study(tmp_path))


def test_a_task_that_perturbs_nothing_is_refused(tmp_path) -> None:
    one = study(tmp_path)
    rows = tuple(r for r in one.table.rows if r.condition["perturbation"] in ("clean", "none"))
    table = dataclasses.replace(one.table, rows=rows)
    with pytest.raises(TaskError, match="no perturbed trial shows an image"):
        Spectrum()(dataclasses.replace(one, table=table))
    with pytest.raises(TaskError, match="blur"):
        Spectrum(factor="blur")(one)
