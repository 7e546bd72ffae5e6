from itertools import islice

import numpy as np
import pytest

from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.render import render
from vlm_eval.data.boards.states import benchmark_states
from vlm_eval.models.tiny import pictures as draw


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("style", ["canonical", "checkerboard"])
def test_composed_boards_equal_the_benchmarks_drawings(game, style):
    boards = list(islice(draw.sample_boards(game, "train", 3), 3))
    composed = draw.Artist(game, style).draw(np.array(boards))
    for board, picture in zip(boards, composed, strict=True):
        drawn = draw.shrink(render(game, board, style, GAMES[game].labels))
        assert np.abs(drawn.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("game", GAMES)
def test_no_benchmark_board_is_ever_trained_or_tuned_on(game):
    held = {state.board for state in benchmark_states(game)}
    assert len(held) == 300
    for split in ("train", "validation"):
        boards = list(islice(draw.sample_boards(game, split, 0), 400 if split == "train" else 40))
        assert not held & set(boards)
    assert all(draw.split_of(game, board) == "benchmark" for board in held)


@pytest.mark.parametrize("game", GAMES)
def test_winners_alternate(game):
    boards = islice(draw.sample_boards(game, "train", 1), 10)
    assert [GAMES[game].winner(board) for board in boards] == [1, 2] * 5


@pytest.mark.parametrize("game", GAMES)
def test_every_cell_has_a_patch_that_names_it(game):
    board = next(draw.sample_boards(game, "train", 2))
    patches, facts = draw.board_targets(game, np.array([board]))
    n = GAMES[game].size
    cells = {(r, c): kind for kind, r, c, _ in patches[0].reshape(-1, 4) if r >= 0}
    assert set(cells) == {(r, c) for r in range(n) for c in range(n)}
    for (r, c), kind in cells.items():
        name = draw.PATCH_KINDS[kind]
        expected = "empty" if board[r][c] == 0 else f"{game} {GAMES[game].labels[board[r][c] - 1]}"
        assert name == expected
    assert facts[0, 0] == GAMES[game].winner(board) - 1
    assert (facts[0, 1:] == -1).all()


def test_street_patches_name_only_objects_that_are_there():
    streets = draw.sample_streets(20, 8)
    pictures = draw.street_pictures(streets)
    for street, patches in zip(streets, pictures.patches, strict=True):
        shown = {draw.PATCH_KINDS[kind] for kind in np.unique(patches[..., 0])} - {"nothing"}
        assert shown <= set(street.objects)


def test_pair_patches_mark_what_differs_on_both_sides():
    pairs = draw.sample_pairs(16, 2)
    pictures = draw.pair_pictures(pairs)
    for index, pair in enumerate(pairs):
        zero, one = pictures.patches[2 * index : 2 * index + 2, ..., 0]
        assert np.array_equal(zero > 0, one > 0)
        assert (zero > 0).any()
        assert draw.PATCH_KINDS[zero.max()] == f"{pair.subset} {pair.theme} 0"
        assert draw.PATCH_KINDS[one.max()] == f"{pair.subset} {pair.theme} 1"
