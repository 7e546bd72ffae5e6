import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.hashing import canonical_json, derive_rng, derive_seed, digest, digest_bytes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


@given(values)
def test_canonical_json_round_trips(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(mapping):
    backwards = dict(reversed(list(mapping.items())))
    assert digest(mapping) == digest(backwards)


def test_nan_has_no_canonical_text():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_digests_are_sha256():
    assert digest_bytes(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_seeds_depend_on_every_name_and_on_where_names_end():
    seeds = {
        derive_seed(0, "a", "bc"),
        derive_seed(0, "ab", "c"),
        derive_seed(0, "abc"),
        derive_seed(1, "abc"),
        derive_seed(0, "abc", 0),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_seeds_are_the_same_on_every_machine_and_in_every_process():
    assert derive_seed(7, "sample", "blur") == int(
        hashlib.sha256(b'[7,"sample","blur"]').hexdigest()[:16], 16
    )


def test_generators_of_one_name_agree_and_of_two_names_differ():
    one, same = derive_rng(3, "x").random(4), derive_rng(3, "x").random(4)
    other = derive_rng(3, "y").random(4)
    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()
