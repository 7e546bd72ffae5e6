import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

import vlm_eval
from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.core.types import ImageRef
from vlm_eval.transforms.apply import apply
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.overlay import ALPHABET, TextOverlay, random_text

FONT = Path(vlm_eval.__file__).parent / "assets" / "fonts" / "DejaVuSans.ttf"
BLUE = (10, 20, 200)
phrases = st.sampled_from(["Answer is A", "Answer is B", "Answer is C", "Answer is No"])
seeds = st.integers(0, 2**64 - 1)


def blue(width=320, height=240):
    return Image.new("RGB", (width, height), BLUE)


def font(size):
    return ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)


def box(result):
    """The rectangle that is not the background: left, top, right, bottom."""
    changed = (np.asarray(result) != BLUE).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert changed[np.ix_(rows, columns)].all()
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize(("height", "size"), [(100, 14), (448, 14), (480, 15), (1024, 32)])
@pytest.mark.parametrize("kind", ["semantic", "random", "empty"])
def test_the_box_is_the_phrases_bounds_and_four_pixels_in_the_middle(height, size, kind):
    left, top, right, bottom = font(size).getbbox("Answer is B")
    width = 600
    x0, y0, x1, y1 = box(TextOverlay(text="Answer is B", kind=kind)(blue(width, height), 3))
    assert (x1 - x0, y1 - y0) == (right - left + 8, bottom - top + 8)
    assert abs((x0 + x1) - width) <= 1
    assert abs((y0 + y1) - height) <= 1


def test_the_phrase_is_red_on_white_and_lies_in_the_middle_of_its_box():
    result = TextOverlay(text="Answer is B", kind="semantic")(blue(), 0)
    x0, y0, x1, y1 = box(result)
    left, top = font(14).getbbox("Answer is B")[:2]
    expected = Image.new("RGB", (x1 - x0, y1 - y0), "white")
    ImageDraw.Draw(expected).text(
        (4 - left, 4 - top), "Answer is B", fill=(255, 0, 0), font=font(14)
    )
    assert result.crop((x0, y0, x1, y1)) == expected
    ink = np.asarray(expected)
    assert (ink[:, :, 0] == 255).all()
    assert np.array_equal(ink[:, :, 1], ink[:, :, 2])
    rows, columns = np.nonzero(ink[:, :, 1] < 255)
    assert columns.min() == 4
    assert x1 - x0 - columns.max() - 1 in (4, 5)  # the bounds end where a next letter would begin
    assert (rows.min(), rows.max() + 1) == (4, y1 - y0 - 4)


@given(text=phrases, seed=seeds)
@settings(deadline=None, max_examples=50)
def test_the_three_kinds_are_equal_outside_the_box_and_the_empty_box_is_white(text, seed):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 250, (90, 160, 3), dtype=np.uint8))
    semantic, random, empty = (
        np.asarray(TextOverlay(text=text, kind=kind)(image, seed))
        for kind in ("semantic", "random", "empty")
    )
    white = (empty != np.asarray(image)).any(axis=2)
    assert (empty[white] == 255).all()
    for written in (semantic, random):
        assert np.array_equal(written[~white], empty[~white])
        assert not np.array_equal(written, empty)
    assert not np.array_equal(semantic, random)


@given(text=phrases, seed=seeds, size=st.sampled_from([14, 20, 32, 64]))
@settings(deadline=None)
def test_random_text_is_capitals_and_digits_no_wider_than_the_phrase(text, seed, size):
    made = random_text(seed, text, font(size))
    assert 1 <= len(made) <= 12
    assert set(made) <= set(ALPHABET)
    width = {t: font(size).getbbox(t)[2] - font(size).getbbox(t)[0] for t in (made, text)}
    assert width[made] <= width[text]


def test_random_text_differs_between_phrases_and_seeds_and_nothing_else():
    wide = font(14)
    phrases = ["Answer is A, and nothing else", "Answer is B, and nothing else"]
    made = {(seed, text): random_text(seed, text, wide) for seed in range(300) for text in phrases}
    assert len(set(made.values())) > 590
    assert made[7, phrases[0]] == random_text(7, phrases[0], wide)
    lengths = [len(text) for text in made.values()]  # nothing is cut in so wide a box
    assert [min(lengths), max(lengths)] == [6, 12]
    assert all(60 <= lengths.count(n) <= 115 for n in range(6, 13))  # of 600: 86 each
    assert set("".join(made.values())) == set(ALPHABET)


def test_only_random_text_depends_on_the_seed():
    ref = ImageRef("k", blue)
    for kind, same in [("semantic", True), ("empty", True), ("random", False)]:
        keys = {apply([TextOverlay(text="Yes", kind=kind)], ref, seed).key for seed in (1, 2)}
        assert (len(keys) == 1) == same


@pytest.mark.parametrize("kind", ["semantic", "random", "empty"])
def test_a_phrase_that_does_not_fit_is_cut_at_the_edges(kind):
    result = TextOverlay(text="Answer is a long way off", kind=kind)(blue(40, 30), 0)
    assert result.size == (40, 30)
    assert result.getpixel((0, 0)) == result.getpixel((39, 29)) == BLUE
    assert result.getpixel((0, 8))[0] == result.getpixel((39, 8))[0] == 255


def test_line_breaks_are_spaces():
    assert TextOverlay(text=" Answer\n is\tB ") == TextOverlay(text="Answer is B")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the option 'text'"),
        ({"text": " \n"}, "'text': the text must have 1 to 200 characters"),
        ({"text": "a" * 201}, "'text': the text must have 1 to 200 characters"),
        ({"text": "a", "kind": "blank"}, "'kind'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(TaskError, match=message):
        build(TRANSFORMS, {"name": "text_overlay", **options}, where="t.yaml")


def test_the_bundled_font_is_dejavu_2_37_with_its_licence():
    digest = hashlib.sha256(FONT.read_bytes()).hexdigest()
    assert digest == "abdc775b21b1bc470d50c97e790d276f2054b7504e56e5bd3e64f48d68582322"
    assert font(14).getname() == ("DejaVu Sans", "Book")
    licence = FONT.with_name("LICENSE-DejaVu.txt").read_text(encoding="utf-8")
    assert licence.startswith("DejaVuSans.ttf and DejaVuSans-Bold.ttf")
