import numpy as np
import pytest

from vlm_eval.data.pairs.synthetic import SIZE, THEMES, pairs, sample_pair


def common_head(one, two):
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), len(one))


@pytest.mark.parametrize("subset", ["mis", "mic"])
def test_captions_differ_in_one_place_only(subset):
    for row in pairs(subset, 24, 0):
        one, two = (row[f"caption_{side}"].split() for side in (0, 1))
        head, tail = common_head(one, two), common_head(one[::-1], two[::-1])
        assert head + tail >= 4
        assert 1 <= len(one) - head - tail <= 2
        assert 1 <= len(two) - head - tail <= 2


@pytest.mark.parametrize("subset", ["mis", "mic"])
def test_the_two_images_differ_visibly_and_share_their_setting(subset):
    for row in pairs(subset, 16, 3):
        zero, one = (np.asarray(row[f"image_{side}"].load()).astype(int) for side in (0, 1))
        assert zero.shape == (SIZE, SIZE, 3)
        differs = (np.abs(zero - one).max(-1) > 30).mean()
        assert 0.005 < differs < 0.5, row["category"]
        assert np.array_equal(zero[:8], one[:8])


def test_a_pair_does_not_depend_on_how_many_are_drawn():
    few, many = list(pairs("mis", 4, 7)), list(pairs("mis", 9, 7))
    for a, b in zip(few, many, strict=False):
        assert a["image_0"].key == b["image_0"].key
        assert a["caption_1"] == b["caption_1"]
        assert a["image_0"].load().tobytes() == b["image_0"].load().tobytes()


def test_keys_are_distinct_across_sides_subsets_and_seeds():
    rows = [row for subset in THEMES for seed in (0, 1) for row in pairs(subset, 16, seed)]
    keys = [row[f"image_{side}"].key for row in rows for side in (0, 1)]
    assert len(set(keys)) == len(keys) == 128


def test_mis_has_a_safe_and_an_unsafe_side_and_mic_two_places():
    for row in pairs("mis", 8, 0):
        assert (row["label_0"], row["label_1"]) == ("safe", "unsafe")
    for row in pairs("mic", 8, 0):
        assert row["label_0"] != row["label_1"]


def test_consecutive_pairs_go_round_the_themes():
    themes = [sample_pair("mic", 0, index).theme for index in range(16)]
    assert themes == [*range(8), *range(8)]
