from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from vlm_eval.core.types import ImageRef
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.basic import GaussianBlur, Identity, Reencode

GREY = Image.new("RGB", (8, 8), (90, 90, 90))


@dataclass(frozen=True)
class Noise:
    """A transform that uses its seed; on the grey image, what it adds can be read off."""

    amplitude: int = 9
    uses_seed: ClassVar[bool] = True

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        noise = np.random.default_rng(seed).integers(0, self.amplitude, (8, 8, 3), dtype=np.uint8)
        return Image.fromarray(np.asarray(image) + noise)


def reference(key: str = "k") -> ImageRef:
    return ImageRef(key=key, load=lambda: GREY, label="grey.png")


def pixels(ref: ImageRef) -> np.ndarray:
    return np.asarray(ref.load())


def test_no_transform_is_no_change():
    ref = reference()
    assert apply([], ref, 1) is ref


def test_nothing_is_loaded_or_computed_before_it_is_asked_for():
    def load():
        raise RuntimeError("loaded")

    ref = apply([Identity()], ImageRef(key="k", load=load, label="l"), 0)
    assert ref.label == "l"
    with pytest.raises(RuntimeError, match="loaded"):
        ref.load()


def test_transforms_are_applied_in_order():
    noisy = apply([Noise()], reference(), 3)
    blurred = apply([Noise(), GaussianBlur(kernel=3)], reference(), 3)
    assert np.array_equal(pixels(blurred), np.asarray(GaussianBlur(kernel=3)(noisy.load(), 0)))
    assert not np.array_equal(pixels(blurred), pixels(noisy))


def test_every_chain_of_transforms_has_its_own_key():
    chains = [
        [],
        [Identity()],
        [Reencode()],
        [Identity(), Identity()],
        [GaussianBlur(kernel=1)],
        [GaussianBlur(kernel=3)],
        [GaussianBlur(kernel=5)],
        [GaussianBlur(kernel=5), Reencode()],
        [Reencode(), GaussianBlur(kernel=5)],
        [Noise()],
        [Noise(amplitude=8)],
    ]
    keys = [apply(chain, reference(old), 0).key for chain in chains for old in ("k", "l")]
    assert len(set(keys)) == len(keys)


def test_a_transform_without_chance_shares_its_result_between_samples():
    blur = [GaussianBlur(kernel=3)]
    assert apply(blur, reference(), 1).key == apply(blur, reference(), 2).key


def test_a_random_transform_depends_on_the_seed_and_its_place_and_nothing_else():
    first, again, other = (apply([Noise()], reference(), seed) for seed in (1, 1, 2))
    assert first.key == again.key != other.key
    assert np.array_equal(pixels(first), pixels(again))
    assert not np.array_equal(pixels(first), pixels(other))
    twice = np.asarray(apply([Noise(), Noise()], reference(), 1).load(), dtype=int)
    once = np.asarray(first.load(), dtype=int) - 90
    assert not np.array_equal(twice - 90, 2 * once)


def test_the_key_is_stable():
    """A key is part of every request's hash: a change makes old runs impossible to resume."""
    key = apply([GaussianBlur(kernel=5), Reencode()], reference(), 0).key
    assert key == "ec176b9fff11301ebe7cc3255ae0e2a4f5a9aacacec35be7e711f0a33dab7215"
