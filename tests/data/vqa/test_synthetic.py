import pytest

from vlm_eval.core.types import ImageRef
from vlm_eval.data.scenes.objects import sample_objects
from vlm_eval.data.vqa.benchmarks import benchmarks
from vlm_eval.data.vqa.source import Vqa
from vlm_eval.data.vqa.synthetic import ROWS, Scene, stand_in


def scene(number):
    import numpy as np

    return Scene(number, sample_objects(0, number), np.random.default_rng(number))


def test_there_is_a_stand_in_for_every_benchmark():
    assert set(ROWS) == set(benchmarks())


@pytest.mark.parametrize("name", ROWS)
def test_a_stand_in_is_written_in_its_benchmarks_schema(name):
    table = stand_in(name, 9, seed=0)
    its = benchmarks()[name]
    assert its.layout(table.columns, where=table.name) == its.layouts[0]
    assert 9 <= len(table) < 9 + 4
    source = Vqa(benchmark=name, embedded=True, count=9)
    assert len(list(source.rows())) == len(table)  # all of it can be asked


@pytest.mark.parametrize("number", range(24))
def test_answers_are_true_of_the_scene(number):
    found = scene(number)
    objects = found.objects
    count = found.count()
    [name] = [n for n in objects.names if f"each {n} in" in count.text]
    assert int(count.answer) == objects.counts[name]
    which = found.which()
    assert which.answer in objects.names
    assert not set(which.others) & set(objects.names)
    colour, place = found.colour(), found.place()
    for asked, value in (
        (colour, lambda i: i.colour),
        (place, lambda i: ("left", "middle", "right")[i.column]),
    ):
        if asked is not None:
            [item] = [i for i in objects.items if f"the {i.name} " in asked.text.replace("?", " ")]
            assert asked.answer == value(item)
            assert asked.answer not in asked.others
    text, present = found.presence()
    assert present == any(f" {name} in" in text for name in objects.names)


def test_naturalbenchs_four_questions_are_right_by_its_design():
    table = stand_in("naturalbench", 16, seed=3)
    rows = [{c: table.cell(row, c) for c in table.columns} for row in range(len(table))]
    for first in range(0, len(rows), 4):
        group = rows[first : first + 4]
        pictures = [row["Image"].key for row in group]
        assert pictures[:2] == pictures[2:]
        assert pictures[0] != pictures[1]
        questions = [row["Question"] for row in group]
        assert questions[0] == questions[1] != questions[2] == questions[3]


def test_every_position_holds_the_right_answer_sometimes():
    for name in ("mmstar", "hrbench4k", "seedbench_img"):
        golds = {row["gold"] for row in Vqa(benchmark=name, embedded=True).rows()}
        assert golds == {"A", "B", "C", "D"}


def test_some_of_mmmu_has_several_pictures_and_some_is_open():
    rows = list(Vqa(benchmark="mmmu_val", embedded=True, count=16).rows())
    assert {len(row["shown"]) for row in rows} == {1, 2}
    assert {row["kind"] for row in rows} == {"mcq", "open"}
    pairs = [row for row in rows if len(row["shown"]) == 2]
    assert all(isinstance(row["image_2"], ImageRef) for row in pairs)
    assert all(row["image_1"].key != row["image_2"].key for row in pairs)
