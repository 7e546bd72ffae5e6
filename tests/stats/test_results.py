import dataclasses

import pytest

from vlm_eval.stats.paired import compare
from vlm_eval.stats.pairs import Trial, align
from vlm_eval.stats.results import Comparison


def comparison(base: dict[int, Trial], level: dict[int, Trial]) -> Comparison:
    pairs = align(base, level)
    return compare(pairs, name="m", factor="f", baseline=0, level=1, where={}, task="t")


def test_dropped_share_counts_every_reason() -> None:
    base = {i: Trial(str(i), 1.0) for i in range(10)}
    level = {i: Trial(str(i), None if i == 4 else 1.0) for i in range(2, 12)}
    result = comparison(base, level)
    assert result.n_pairs == 7
    assert result.dropped_share == pytest.approx(5 / 12)


def test_dropped_share_of_nothing_is_unknown() -> None:
    assert comparison({}, {}).dropped_share is None


def test_an_error_that_appears_is_a_flip_from_right_to_wrong() -> None:
    base = {i: Trial(str(i), 0.0) for i in range(5)}
    level = {i: Trial(str(i), float(i < 3)) for i in range(5)}
    errors = comparison(base, level).of_errors()
    assert (errors.right_to_wrong, errors.wrong_to_right) == (3, 0)
    assert errors.of_errors() == comparison(base, level)


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        comparison({}, {}).p = 0.0  # type: ignore[misc]
