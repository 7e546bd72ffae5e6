from vlm_eval.data.scenes.source import Scenes
from vlm_eval.data.scenes.street import sample_street


def test_rows_ask_about_distinct_objects_and_answer_by_the_scene():
    rows = list(Scenes(count=12, questions=5, seed=2).rows())
    assert len(rows) == 60
    for index in range(12):
        mine = [row for row in rows if row["scene_id"] == f"street-{index:04d}"]
        assert len({row["object"] for row in mine}) == 5
        present = sample_street(2, index).objects
        for row in mine:
            assert row["present"] == ("Yes" if row["object"] in present else "No")


def test_more_scenes_leave_the_first_ones_as_they_were():
    few, many = list(Scenes(count=3).rows()), list(Scenes(count=6).rows())
    assert [(r["object"], r["image"].key) for r in few] == [
        (r["object"], r["image"].key) for r in many[: len(few)]
    ]


def test_it_says_that_it_is_synthetic_and_digests_its_options():
    info = Scenes().info()
    assert info.synthetic
    assert "synthetic" in (info.notice or "")
    assert info.digest != Scenes(seed=1).info().digest


def test_image_keys_tell_pictures_apart():
    rows = list(Scenes(count=30, questions=1).rows())
    keys = {row["image"].key for row in rows}
    pixels = {row["image"].load().tobytes() for row in rows}
    assert len(keys) == len(pixels) == 30
