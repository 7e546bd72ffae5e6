import math

import pytest

from vlm_eval.core.errors import DataError
from vlm_eval.stats.pairs import Trial, align


def test_sides_are_joined_by_id_and_never_by_position() -> None:
    base = {"a": Trial("1", 1.0, "x"), "b": Trial("2", 0.0, "y"), "c": Trial("3", 1.0, "x")}
    level = {"c": Trial("3", 1.0, "x"), "a": Trial("1", 0.0, "y"), "b": Trial("2", 0.0, "z")}
    pairs = align(base, level)
    assert pairs.baseline.tolist() == [1.0, 0.0, 1.0]
    assert pairs.level.tolist() == [0.0, 0.0, 1.0]
    assert pairs.changed.tolist() == [True, True, False]
    assert pairs.count == 3
    assert sum(pairs.dropped.values()) == 0


def test_what_is_dropped_is_counted_with_its_reason() -> None:
    base = {"a": Trial("1", 1.0), "b": Trial("2", None), "c": Trial("3", 1.0), "d": Trial("4", 1.0)}
    level = {"b": Trial("2", 1.0), "c": Trial("3", None), "d": Trial("4", 0.0), "e": Trial("5", 0)}
    pairs = align(base, level)
    assert pairs.dropped == {"baseline_missing": 1, "level_missing": 1, "failed": 2}
    assert (pairs.baseline.tolist(), pairs.level.tolist()) == ([1.0], [0.0])


def test_unparsed_is_an_outcome_of_its_own() -> None:
    base = {i: Trial(str(i), 0.0, answer) for i, answer in enumerate(["no", None, None, "no"])}
    level = {i: Trial(str(i), 0.0, answer) for i, answer in enumerate([None, "no", None, "no"])}
    pairs = align(base, level)
    assert pairs.changed.tolist() == [True, True, False, False]
    assert pairs.unparsed_baseline.tolist() == [False, True, True, False]
    assert pairs.unparsed_level.tolist() == [True, False, True, False]


def test_a_pair_in_two_clusters_is_refused() -> None:
    with pytest.raises(DataError, match=r"pair 'a': its cluster is '1' .* '2'"):
        align({"a": Trial("1", 1.0)}, {"a": Trial("2", 1.0)})


def test_nan_is_refused_rather_than_dropped_silently() -> None:
    with pytest.raises(ValueError, match="finite"):
        align({"a": Trial("1", math.nan)}, {"a": Trial("1", 1.0)})


def test_nothing_to_pair() -> None:
    pairs = align({}, {"a": Trial("1", 1.0)})
    assert pairs.count == 0
    assert pairs.dropped == {"baseline_missing": 1, "level_missing": 0, "failed": 0}
