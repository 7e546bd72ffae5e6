import numpy as np

from vlm_eval.data.vlmbias.alias import alias_prompt
from vlm_eval.data.vlmbias.synthetic import SIZE, THINGS, drawn


def test_every_thing_is_drawn_with_a_count_that_is_not_the_known_one():
    rows = list(drawn(45, seed=0))
    assert len(rows) == 90
    assert len({row["ID"] for row in rows}) == 90
    for row in rows:
        assert abs(int(row["ground_truth"]) - int(row["expected_bias"])) == 1
        assert row["image"].load().size == (SIZE, SIZE)
    assert {row["topic"] for row in rows} == {"Animals", "Logos", "Flags", "Game Boards"}


def test_every_prompt_has_an_alias_form():
    assert all(alias_prompt(row["topic"], row["prompt"]) for row in drawn(len(THINGS), 0))


def test_a_picture_depends_on_its_number_and_seed_alone():
    one, other = list(drawn(3, 5)), list(drawn(12, 5))
    assert [row["image"].key for row in one] == [row["image"].key for row in other[:6]]
    assert one[0]["image"].key == one[1]["image"].key  # two questions about one picture
    assert [row["image"].key for row in drawn(3, 6)] != [row["image"].key for row in one]


def runs(line):
    """Return the number of stretches of equal pixels in a line of a picture."""
    return 1 + int((np.abs(np.diff(line.astype(int), axis=0)).sum(axis=1) > 30).sum())


def test_counts_are_those_of_the_picture():
    for row in drawn(45, seed=1):
        pixels = np.asarray(row["image"].load())
        if row["sub_topic"] == "Striped flag":
            column = pixels[int(0.16 * SIZE) : int(0.84 * SIZE), SIZE // 2]
            assert runs(column) == int(row["ground_truth"])
        if row["prompt"].startswith("How many legs"):
            feet = pixels[int(0.85 * SIZE)]
            assert runs(feet) == 2 * int(row["ground_truth"]) + 1


def test_originals_have_the_known_count_and_change_nothing_else():
    plain, both = list(drawn(9, 0)), list(drawn(9, 0, originals=True))
    assert len(both) == 2 * len(plain)
    altered = [row for row in both if row["ID"].startswith("drawn")]
    assert [{**row, "image": row["image"].key} for row in altered] == [
        {**row, "image": row["image"].key} for row in plain
    ]
    for row in both:
        original = row["ID"].startswith("original")
        assert (row["ground_truth"] == row["expected_bias"]) == original
    assert len({row["image"].key for row in both}) == 18
