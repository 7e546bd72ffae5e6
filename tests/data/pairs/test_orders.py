import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.pairs.orders import is_asked


def test_both_asks_both_and_fixed_the_first():
    assert [is_asked("both", place, "p0", "i2c", 0, 0) for place in (0, 1)] == [True, True]
    assert [is_asked("fixed", place, "p0", "i2c", 0, 0) for place in (0, 1)] == [True, False]


@given(st.text(), st.sampled_from(["i2c", "c2i"]), st.sampled_from([0, 1]), st.integers())
def test_hash_asks_exactly_one_that_of_the_parity_of_sha_256(name, question, side, seed):
    asked = [is_asked("hash", place, name, question, side, seed) for place in (0, 1)]
    assert sorted(asked) == [False, True]
    text = f"{name}|{question}|{side}|{seed}".encode("utf-8", "surrogatepass")
    assert asked.index(True) == int(hashlib.sha256(text).hexdigest(), 16) % 2


def test_the_hash_is_balanced_and_depends_on_the_seed():
    first = [is_asked("hash", 0, f"p{i}", "i2c", 0, 0) for i in range(2000)]
    assert sum(first) == pytest.approx(1000, abs=120)
    assert first != [is_asked("hash", 0, f"p{i}", "i2c", 0, 1) for i in range(2000)]
