import json

import pytest
from PIL import Image

from vlm_eval.core.errors import DataError, MissingData, TaskError
from vlm_eval.core.options import build
from vlm_eval.core.types import Answer
from vlm_eval.data.base import SOURCES
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import expand

ITEMS = {
    "0": {"filename": "1.jpg", "caption": "A cat on a mat.", "negative_caption": "A mat on a cat."},
    "7": {"filename": "2.jpg", "caption": "A red bus.", "negative_caption": "A blue bus."},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "val2017").mkdir()
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / "val2017" / name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "swap_obj.json").write_text(json.dumps(ITEMS))
    (tmp_path / "add_att.json").write_text(json.dumps([ITEMS["7"]]))
    return tmp_path


def source(**options):
    return build(SOURCES, {"name": "sugarcrepe", **options}, where=None)


def test_all_files_that_are_there_are_read(folder):
    rows = list(source(path=str(folder)).rows())
    assert [row["id"] for row in rows] == ["add_att-0", "swap_obj-0", "swap_obj-7"]
    assert rows[1]["caption"] == "A cat on a mat."
    assert rows[1]["negative_caption"] == "A mat on a cat."
    assert (rows[1]["subset"], rows[1]["form"], rows[1]["filename"]) == (
        "swap_obj",
        "swap",
        "1.jpg",
    )
    assert rows[1]["image"].load().size == (8, 8)
    assert source(path=str(folder)).info().synthetic is False


@pytest.mark.parametrize("subsets", ["swap_obj", ["swap_obj"]])
def test_subsets_and_single_files_are_chosen(folder, subsets):
    assert len(list(source(path=str(folder), subsets=subsets).rows())) == 2
    file = folder / "data" / "swap_obj.json"
    images = str(folder / "val2017")
    assert len(list(source(path=str(file), images=images).rows())) == 2
    assert len(list(source(path=str(folder), subsets="swap_obj+add_att").rows())) == 3


def test_faults_name_file_and_item(folder):
    with pytest.raises(TaskError, match="unknown subset 'swap_obx'; did you mean swap_obj"):
        source(path=str(folder), subsets="swap_obx")
    with pytest.raises(DataError, match=r"no swap_att\.json in it"):
        list(source(path=str(folder), subsets="swap_att").rows())
    (folder / "val2017" / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"2\.jpg: there is no such image file; .*val2017"):
        list(source(path=str(folder), subsets="swap_obj").rows())
    file = folder / "data" / "swap_obj.json"
    file.write_text(json.dumps({"3": {**ITEMS["0"], "caption": " "}}))
    with pytest.raises(DataError, match=r"swap_obj\.json, item 3: caption is empty"):
        list(source(path=str(folder), subsets="swap_obj").rows())
    file.write_text(json.dumps({"3": {**ITEMS["0"], "caption": "A mat on a cat."}}))
    with pytest.raises(DataError, match="both captions are"):
        list(source(path=str(folder), subsets="swap_obj").rows())
    file.write_text("{")
    with pytest.raises(DataError, match="not readable JSON"):
        list(source(path=str(folder), subsets="swap_obj").rows())


def test_an_image_outside_the_folder_is_refused(folder):
    Image.new("RGB", (8, 8)).save(folder / "secret.jpg")
    items = {"0": {**ITEMS["0"], "filename": "../secret.jpg"}}
    (folder / "data" / "swap_obj.json").write_text(json.dumps(items))
    with pytest.raises(DataError, match="leaves the data folder"):
        list(source(path=str(folder), subsets="swap_obj").rows())


def test_without_data_the_error_says_what_to_give():
    with pytest.raises(MissingData, match=r"swap_obj\.json .*val2017.*=embedded"):
        list(source().rows())


def test_the_stand_in_says_so_and_either_side_is_shown():
    made = source(embedded=True, count=8)
    assert made.info().synthetic
    assert "not SugarCrepe" in made.info().notice
    rows = list(made.rows())
    assert len({row["id"] for row in rows}) == 8
    assert all(row["caption"] != row["negative_caption"] for row in rows)


def asked(folder, **options):
    extra = "".join(f",{key}={value}" for key, value in options.items())
    task = TaskIndex().load("sugarcrepe", data=f"{folder}{extra}")
    return task, list(expand(task))


def test_the_task_asks_in_the_published_words_in_both_orders(folder):
    _, trials = asked(folder, subsets="swap_obj")
    first, second = trials[:2]
    assert first.prompt == (
        "<image>Which caption best describes the image?\n(1) A cat on a mat.\n"
        " (2) A mat on a cat.\nOutput (1) or (2)."
    )
    assert second.prompt == (
        "<image>Which caption best describes the image?\n(1) A mat on a cat.\n"
        " (2) A cat on a mat.\nOutput (1) or (2)."
    )
    assert (first.gold, second.gold) == ("(1)", "(2)")
    assert first.request.match.texts == ("A cat on a mat.", "A mat on a cat.")
    assert second.request.match.texts == ("A mat on a cat.", "A cat on a mat.")
    assert first.cluster == "1.jpg"


@pytest.mark.parametrize(("orders", "count"), [("both", 4), ("fixed", 2), ("hash", 2)])
def test_orders_are_an_option_of_the_data(folder, orders, count):
    _, trials = asked(folder, subsets="swap_obj", orders=orders)
    assert len(trials) == count
    if orders == "fixed":
        assert {trial.condition["order"] for trial in trials} == {"positive_first"}


@pytest.mark.parametrize(
    ("text", "right"),
    [("(1)", True), ("1", True), ("(2)", False), ("A cat on a mat.", True), ("Neither", False)],
)
def test_generated_answers_are_parsed(folder, text, right):
    task = TaskIndex().load("sugarcrepe", data=f"{folder},subsets=swap_obj", output="generate")
    trial = next(expand(task))
    found = score(
        task,
        condition=trial.condition,
        gold=trial.gold,
        choices=trial.choices,
        outcome=Answer(text=text),
        fields=trial.fields,
    )
    assert found.scores["accuracy"] == float(right)


def test_a_tie_is_wrong(folder):
    task, trials = asked(folder, subsets="swap_obj")
    for trial in trials:
        found = score(
            task,
            condition=trial.condition,
            gold=trial.gold,
            choices=trial.choices,
            outcome=Answer(logprobs=(0.25, 0.25), finish="scored"),
            fields=trial.fields,
        )
        assert found.scores["accuracy"] == 0
