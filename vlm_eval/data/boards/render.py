"""The drawings of VLM-Fix: one finished board in three styles, as published.

The picture is drawn at three times the size and reduced with a Lanczos filter (Alam 2026, App. A).
Reducing takes nearly all of the time, so it is done once a kind of mark, on a board that holds this
mark everywhere: as marks keep clear of the filter's reach from their cell's edge (9 pixels of the
enlarged picture), the reduced pixels of a cell depend on nothing but its own mark, and any board is
put together from such sheets, pixel for pixel equal to :func:`draw`.

With the bundled font the pixels depend on Pillow alone. Under Pillow 11.3.0 the canonical files are
the published ones byte for byte; later versions draw letters slightly differently.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image

from vlm_eval.data.boards import drawing
from vlm_eval.data.boards.drawing import SCALE, SIZE, Canvas, Mark, Style
from vlm_eval.data.boards.games import GAMES, Board

STYLES: tuple[Style, ...] = ("canonical", "checkerboard", "glyph")
__all__ = ["SIZE", "STYLES", "Style", "draw", "render"]

# A sheet takes 0.9 MB; a run over all states of one game and style needs fewer than this.
_SHEETS = 128


def render(game: str, board: Board, style: Style, labels: tuple[str, str]) -> Image.Image:
    """Draw a board.

    Parameters
    ----------
    game
        Slug of the game.
    board
        The rows of cells.
    style
        ``canonical``, ``checkerboard`` or ``glyph``.
    labels
        The two players' letters. Shown in the glyph style, and in Tic-Tac-Toe and Dots and Boxes,
        whose canonical labels are letters too; the other drawings show discs.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, 384, 480, 448 or 480 pixels square (:data:`SIZE`).
    """
    pair = drawing.marks(game, style, labels)
    image = _sheet(game, style, None).copy()
    edges = _edges(game, style)
    for r, row in enumerate(board):
        for c, player in enumerate(row):
            if player:
                box = (edges[c], edges[r], edges[c + 1], edges[r + 1])
                image.paste(_sheet(game, style, pair[player - 1]).crop(box), box)
    return image


def draw(game: str, board: Board, style: Style, labels: tuple[str, str]) -> Image.Image:
    """Draw a board in one piece: what :func:`render` is defined by, forty times slower."""
    pair = drawing.marks(game, style, labels)
    canvas = drawing.ground(game, style)
    for r, row in enumerate(board):
        for c, player in enumerate(row):
            if player:
                drawing.put(canvas, game, style, (r, c), pair[player - 1])
    return _reduced(game, canvas)


@lru_cache(maxsize=_SHEETS)
def _sheet(game: str, style: Style, mark: Mark | None) -> Image.Image:
    """Return the reduced board with one mark in every cell, or none in any."""
    canvas = drawing.ground(game, style)
    if mark is not None:
        for r in range(canvas.cells):
            for c in range(canvas.cells):
                drawing.put(canvas, game, style, (r, c), mark)
    return _reduced(game, canvas)


@lru_cache(maxsize=len(GAMES) * len(STYLES))
def _edges(game: str, style: Style) -> list[int]:
    """Return the pixels of the reduced picture at which cells begin, and where the last ends."""
    canvas = drawing.ground(game, style)
    return [round(canvas.edge(i) / SCALE) for i in range(canvas.cells + 1)]


def _reduced(game: str, canvas: Canvas) -> Image.Image:
    return canvas.image.resize((SIZE[game], SIZE[game]), Image.Resampling.LANCZOS)
