"""Several statistics of the same resamples, and replicates without a value."""

import numpy as np
import pytest

from vlm_eval.core.hashing import derive_rng
from vlm_eval.stats.bootstrap import cluster_bootstrap, cluster_bootstraps, spread


def totals(clusters=40):
    rng = np.random.default_rng(3)
    return np.stack([rng.integers(0, 4, clusters), rng.integers(1, 5, clusters)], 1) * 1.0


def ratio(drawn):
    return drawn[:, 0] / drawn[:, 1]


def test_each_is_what_it_is_alone():
    def both(drawn):
        return np.column_stack([ratio(drawn), drawn[:, 1]])

    found = cluster_bootstraps(totals(), both, derive_rng(0, "x"), 500)
    assert found[0] == cluster_bootstrap(totals(), ratio, derive_rng(0, "x"), 500)
    assert found[1] == cluster_bootstrap(totals(), lambda t: t[:, 1], derive_rng(0, "x"), 500)


def test_wide_totals_give_the_same_in_batches():
    wide = np.column_stack([totals(), np.zeros((40, 3_000))])
    narrow = cluster_bootstraps(totals(), lambda t: t[:, :1], derive_rng(0, "x"), 300)
    assert cluster_bootstraps(wide, lambda t: t[:, :1], derive_rng(0, "x"), 300) == narrow


def test_one_cluster_says_nothing():
    (found,) = cluster_bootstraps(totals(1), lambda t: t[:, :1], derive_rng(0, "x"))
    assert found == (None, None, None)


def test_a_replicate_without_a_value_might_have_been_anything():
    values = np.linspace(0, 1, 1_000)
    few, many = values.copy(), values.copy()
    few[500:510] = np.nan
    many[500:600] = np.nan
    assert spread(values).low == pytest.approx(0.025, abs=0.002)
    assert spread(few).se is None
    assert spread(few).low == pytest.approx(0.015, abs=0.002)  # ten of them below
    assert spread(few).high == pytest.approx(0.985, abs=0.002)
    assert spread(many) == (None, None, None)
