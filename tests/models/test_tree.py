from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.models.tree import TokenTree

sequences = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=8)


def test_common_beginnings_are_merged() -> None:
    tree = TokenTree.of([[5, 6, 7], [5, 6], [5, 8], [9]])
    assert tree.tokens == (5, 6, 7, 8, 9)
    assert tree.parents == (-1, 0, 1, 0, -1)
    assert tree.paths == ((0, 1, 2), (0, 1), (0, 3), (4,))


def test_a_node_sees_its_ancestors_and_itself() -> None:
    sees = TokenTree.of([[5, 6, 7], [5, 8]]).ancestry(5)
    assert sees.int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]


@given(sequences)
def test_every_sequence_reads_back_along_its_path(given: list[list[int]]) -> None:
    tree = TokenTree.of(given)
    sees = tree.ancestry(len(tree))
    for sequence, path in zip(given, tree.paths, strict=True):
        assert [tree.tokens[node] for node in path] == sequence
        for depth, node in enumerate(path):
            assert sees[node].nonzero().flatten().tolist() == sorted(path[: depth + 1])


@given(sequences)
def test_no_token_is_there_twice(given: list[list[int]]) -> None:
    distinct = {tuple(s[: i + 1]) for s in given for i in range(len(s))}
    assert len(TokenTree.of(given)) == len(distinct)


def test_no_sequences() -> None:
    tree = TokenTree.of([])
    assert len(tree) == 0
    assert torch.equal(tree.ancestry(2), torch.eye(2, dtype=torch.bool))
