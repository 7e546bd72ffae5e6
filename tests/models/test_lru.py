from __future__ import annotations

from vlm_eval.models.lru import Lru


def test_a_value_is_made_once() -> None:
    made: list[str] = []
    memo: Lru[str, str] = Lru(2)
    for key in "aabab":
        assert memo.get(key, lambda key=key: made.append(key) or key.upper()) == key.upper()
    assert made == ["a", "b"]


def test_what_was_used_longest_ago_is_forgotten() -> None:
    made: list[str] = []
    memo: Lru[str, None] = Lru(2)
    for key in "abacab":  # at c, b was used longest ago
        memo.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]


def test_the_budget_counts_what_values_cost() -> None:
    memo: Lru[int, list[int]] = Lru(10, len)
    for size in (4, 5, 6):
        memo.get(size, lambda size=size: [0] * size)
    assert len(memo) == 1  # 5 and 6 do not fit together


def test_one_value_above_the_budget_is_kept_alone() -> None:
    memo: Lru[str, list[int]] = Lru(3, len)
    memo.get("small", lambda: [0])
    big = memo.get("big", lambda: [0] * 9)
    assert memo.get("big", list) is big
    assert len(memo) == 1


def test_looking_is_a_use_and_makes_nothing() -> None:
    memo: Lru[str, int] = Lru(2)
    assert memo.kept("a") is None
    memo.get("a", lambda: 1)
    memo.get("b", lambda: 2)
    assert memo.kept("a") == 1
    memo.get("c", lambda: 3)
    assert memo.kept("b") is None
    assert memo.kept("a") == 1
    assert len(memo) == 2
