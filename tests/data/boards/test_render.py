"""Drawings: against published files, against references, and against drawing in one piece."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from vlm_eval.data.boards import drawing
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.prompts import GLYPHS, player_labels
from vlm_eval.data.boards.render import SIZE, STYLES, draw, render
from vlm_eval.data.boards.states import benchmark_states

REFERENCE = Path(__file__).parent / "reference"
ALL = [(game, style) for game in GAMES for style in STYLES]

# SHA-256 of the pixels, first 16 digits. Discs do not depend on Pillow's version. The canonical
# ones were checked against the published files, whose names end in the first ten digits of their
# SHA-1 (docs/assets/demo/media of the paper's repository), with Pillow 11.3.0 and 13.0.0.
DISCS = {
    ("reversi", "canonical", 4): "7145c47f5fa67a9a",  # state_004-f71fec1df4.png
    ("reversi", "canonical", 5): "aa7c56a136e7b027",  # state_005-c6996f4284.png
    ("reversi", "checkerboard", 1): "6896407e077f0eec",
    ("reversi", "checkerboard", 300): "093bb2b6a43866df",
    ("connect4", "canonical", 4): "0319c9547cf8157b",  # state_004-37cd16cbb3.png
    ("connect4", "checkerboard", 1): "d56206b6943a8c42",
    ("connect4", "checkerboard", 300): "ccd36270a557160b",
}
# Pictures with letters, made with Pillow 11.3.0. That of dots_boxes 2, canonical, is the published
# state_002-bac2b2c269.png. Connect Four and Dots and Boxes 1, glyph, move by 0.35 and more on
# average where Pillow centres letters itself and does not find the Raqm library.
LETTERS = sorted(path.stem for path in REFERENCE.glob("*.png"))
SAME = 0.1


def drawn(game, style, state_id):
    board = benchmark_states(game)[state_id - 1].board
    return render(game, board, style, player_labels(game, state_id, style))


@pytest.mark.parametrize(("game", "style", "state_id"), DISCS)
def test_pixels_of_discs(game, style, state_id):
    pixels = drawn(game, style, state_id).tobytes()
    assert hashlib.sha256(pixels).hexdigest()[:16] == DISCS[game, style, state_id]


@pytest.mark.parametrize("name", LETTERS)
def test_pixels_of_letters(name):
    game, style, state_id = name.rsplit("-", 2)
    wanted = np.asarray(Image.open(REFERENCE / f"{name}.png").convert("RGB"), float)
    got = np.asarray(drawn(game, style, int(state_id)), float)
    assert np.abs(got - wanted).mean() < SAME


def test_there_is_a_reference_for_every_style_with_letters():
    assert len(LETTERS) == 8


@pytest.mark.parametrize(("game", "style"), ALL)
def test_putting_together_equals_drawing_in_one_piece(game, style):
    rng = random.Random(f"{game} {style}")
    n = GAMES[game].size
    # I is the narrowest letter, so that in Dots and Boxes it makes the other's as large as can be.
    for letters in (("I", "W"), ("M", "Q"), tuple(rng.sample(GLYPHS, 2))):
        board = tuple(tuple(rng.choices((0, 1, 2), (1, 4, 4), k=n)) for _ in range(n))
        labels = letters if style == "glyph" else GAMES[game].labels
        together = render(game, board, style, labels)
        assert together.mode == "RGB"
        assert together.size == (SIZE[game], SIZE[game])
        assert together.tobytes() == draw(game, board, style, labels).tobytes()


@pytest.mark.parametrize("game", GAMES)
def test_marks_keep_clear_of_the_filter_s_reach(game):
    # Three output pixels of three, and half of one for the rounding of the cell's edge.
    for style in STYLES:
        labels = [("I", "W"), ("Q", "J")] if style == "glyph" else [GAMES[game].labels]
        for pair in labels:
            for mark in drawing.marks(game, style, pair):
                empty, canvas = (drawing.ground(game, style) for _ in range(2))
                drawing.put(canvas, game, style, (1, 1), mark)
                change = np.asarray(canvas.image) != np.asarray(empty.image)
                rows, columns = np.nonzero(change.any(-1))
                assert min(rows.min(), columns.min()) >= canvas.edge(1) + 11
                assert max(rows.max(), columns.max()) <= canvas.edge(2) - 11


@pytest.mark.parametrize(("game", "style"), ALL)
def test_a_changed_cell_changes_its_own_pixels_only(game, style):
    n = GAMES[game].size
    board = tuple((1,) * n for _ in range(n))
    other = ((2,) + (1,) * (n - 1), *board[1:])
    labels = ("Z", "K") if style == "glyph" else GAMES[game].labels
    one, two = (np.asarray(render(game, b, style, labels)) for b in (board, other))
    rows, columns = np.nonzero((one != two).any(-1))
    assert len(rows) > 0
    assert max(rows.max(), columns.max()) < SIZE[game] * 0.5


def test_a_rendering_is_the_caller_s_own():
    board = ((0,) * 3,) * 3
    render("tictactoe", board, "canonical", ("X", "O")).paste("red", (0, 0, 384, 384))
    assert render("tictactoe", board, "canonical", ("X", "O")).getpixel((0, 0)) == (255, 255, 255)


def test_labels_matter_only_where_letters_are_shown():
    for game, style in ALL:
        shown = drawing.marks(game, style, ("P", "Q")) != drawing.marks(game, style, ("S", "T"))
        letters = style == "glyph" or game in ("tictactoe", "dots_boxes")
        assert shown == letters


def test_dots_and_boxes_fits_the_first_letter_only():
    wide, narrow = (drawing.marks("dots_boxes", "glyph", pair) for pair in (("W", "I"), ("I", "W")))
    assert wide[0].font == wide[1].font < narrow[0].font == narrow[1].font


@pytest.mark.parametrize("letter", "WIQ")
def test_fitted_size_is_the_first_that_fits_going_down_in_twos(letter):
    size = drawing.fitted_size(letter, 400, 156.0)
    assert size % 2 == 0
    path = Path(drawing.__file__).parents[2] / "assets" / "fonts" / "DejaVuSans-Bold.ttf"

    def side(size):
        font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
        left, top, right, bottom = font.getbbox(letter)
        return max(right - left, bottom - top)

    assert side(size) <= 156 < side(size + 2)


def test_a_size_that_nothing_fits_ends_at_eight():
    assert drawing.fitted_size("W", 20, 1.0) == 8


def test_the_bundled_font_is_dejavu_2_37_with_its_licence():
    folder = Path(drawing.__file__).parents[2] / "assets" / "fonts"
    digest = hashlib.sha256((folder / "DejaVuSans-Bold.ttf").read_bytes()).hexdigest()
    assert digest == "0d977336a6d5fba34eab8e3199eb218327161b5143749f802982c2bc34df0c96"
    assert "Bitstream" in (folder / "LICENSE-DejaVu.txt").read_text()
