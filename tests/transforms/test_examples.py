"""Every transform at every setting of the papers: pixels, purity, determinism, sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.types import ImageRef
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.examples import EXAMPLES, SHIFTS, examples, specimen

HERE = Path(__file__).parent
GOLDENS = json.loads((HERE / "goldens.json").read_text(encoding="utf-8"))
CASES = dict(examples())
SEED = 2026


@pytest.fixture(scope="module")
def street():
    with Image.open(HERE / "street.png") as file:
        return file.convert("RGB")


def fingerprint(image: Image.Image) -> str:
    """To make goldens.json anew: ``{label: fingerprint(transform(street, SEED)), ...}``."""
    return f"{image.width}x{image.height} {digest_bytes(image.tobytes())}"


def test_the_shipped_picture_is_the_one_the_package_draws(street):
    drawn = specimen()
    assert drawn.size == street.size == (224, 168)
    assert np.array_equal(np.asarray(drawn), np.asarray(street))


@pytest.mark.parametrize("label", CASES)
def test_golden_pixels(label, street):
    """A change here changes what a level means: results before and after do not compare."""
    assert fingerprint(CASES[label](street, SEED)) == GOLDENS[label]


def test_every_setting_has_a_golden_and_every_built_in_transform_a_setting():
    assert set(GOLDENS) == set(CASES)
    own = (name for name in TRANSFORMS if TRANSFORMS.get(name).__module__.startswith("vlm_eval."))
    assert set(EXAMPLES) == set(own)


def test_the_examples_are_the_instances_of_the_papers():
    assert SHIFTS == (-16, -12, -8, -4, 4, 8, 12, 16)  # arXiv 2602.06652: 8 shifts, 8 borders
    counts = {name: len(settings) for name, settings in EXAMPLES.items()}
    assert counts["translate"] == counts["pad_crop"] == 8
    assert counts["rotate"] == counts["scale_pad"] == 2
    assert counts["motion_blur"] == counts["low_light"] == 3


@pytest.mark.parametrize("label", CASES)
def test_a_transform_is_pure(label, street):
    before = street.tobytes()
    transform = CASES[label]
    state = np.random.get_state()[1].copy()
    first = transform(street, SEED)
    transform(specimen().crop((0, 0, 50, 40)), 3)  # work in between changes nothing
    again = transform(street, SEED)
    assert first is not street
    assert first.mode == "RGB"
    assert first.tobytes() == again.tobytes()
    assert street.tobytes() == before
    first.paste((1, 2, 3), (0, 0, *first.size))
    assert street.tobytes() == before, "the result shares no memory with the image"
    assert np.array_equal(np.random.get_state()[1], state), "NumPy's global state is left alone"


@pytest.mark.parametrize("label", CASES)
def test_uses_seed_tells_the_truth(label, street):
    transform = CASES[label]
    results = {transform(street, seed).tobytes() for seed in range(4)}
    assert (len(results) > 1) == transform.uses_seed


def test_one_seed_serves_all_severities_of_a_class(street):
    ref = ImageRef("street", street.copy)
    keys = [apply([t], ref, 5).key for t in CASES.values()]
    # Equal options are equal keys: nothing else is, not even two labels of one transform.
    assert len(set(keys)) == len(keys)
    boxes = []
    for severity in (1, 2, 3):
        shown = apply([CASES[f"occlusion severity={severity}"]], ref, 5).load()
        boxes.append((np.asarray(shown) != np.asarray(street)).any(axis=2))
    assert not (boxes[0] & ~boxes[1]).any()
    assert not (boxes[1] & ~boxes[2]).any()


@pytest.mark.parametrize("label", CASES)
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (5, 4)])
def test_the_smallest_images_work(label, size):
    image = Image.new("RGB", size, (200, 100, 50))
    result = CASES[label](image, 1)
    assert result.mode == "RGB"
    assert min(result.size) >= 1
