import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from vlm_eval.stats.multiplicity import adjust_family, holm
from vlm_eval.stats.paired import compare
from vlm_eval.stats.pairs import Trial, align
from vlm_eval.stats.results import Comparison

shares = st.floats(0, 1, allow_nan=False)


@pytest.mark.parametrize("m", [1, 2, 5, 20])
def test_holm_is_statsmodels(m: int) -> None:
    p = (np.random.default_rng(m).random(m) ** 3).round(2).tolist()
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist(), abs=1e-12)


@given(st.lists(shares, min_size=2, max_size=20))
def test_holm_is_monotone_and_never_smaller(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))
    assert max(adjusted) <= 1
    ordered = [a for _, a in sorted(zip(p, adjusted, strict=True))]
    assert ordered == sorted(ordered)


def test_holm_of_nothing() -> None:
    assert holm([]) == []


def comparison(losses: int, *, control: bool = False, n: int = 30) -> Comparison:
    base = {i: Trial(f"{i:02}", 1.0) for i in range(n)}
    other = {i: Trial(f"{i:02}", float(i >= losses)) for i in range(n)}
    return compare(
        align(base, other),
        name="accuracy",
        factor="blur",
        baseline=0,
        level=losses,
        where={},
        task="t",
        control=control,
    )


def test_family_leaves_out_controls_and_what_has_no_p() -> None:
    family = [comparison(8), comparison(0, control=True), comparison(5), comparison(0, n=0)]
    adjusted = adjust_family(family)
    assert [c.family for c in adjusted] == [2, 0, 2, 0]
    assert adjusted[0].p_adjusted == pytest.approx(2 * family[0].p)
    assert adjusted[2].p_adjusted == pytest.approx(family[2].p)
    assert adjusted[1].p_adjusted is None
    assert adjusted[1].p == 1.0
    assert adjusted[3].p_adjusted is None


def test_nothing_else_changes() -> None:
    before = comparison(8)
    (after,) = adjust_family([before])
    assert dataclasses.replace(after, p_adjusted=None, family=0) == before
