import pytest

from vlm_eval.tasks.factory import make_task
from vlm_eval.tasks.loader import load


def test_conditions_are_the_product_where_they_exist(load_toy):
    task = load_toy()
    assert [tuple(c.values()) for c in task.conditions()] == [
        (1, "direct"), (1, "polite"), (1, "reverse"), (5, "direct"), (5, "reverse"),
    ]  # fmt: skip
    assert all(list(c) == ["blur", "ask"] for c in task.conditions())


def test_a_task_without_factors_has_one_condition(write):
    text = (
        "task: toy\nversion: 1.0.0\ntitle: T\ndata: {source: toy}\nsample_id: x\n"
        "prompt: {template: Hello?}\noutput: {kind: choice, choices: [a, b]}\n"
        "gold: a\nmetrics: [accuracy]\n"
    )
    task = make_task(load(write(text=text)))
    assert task.conditions() == [{}]
    assert task.chance is None
    assert task.parser(task.ask({})) is None
    assert task.literal(task.ask({})) is None


CHANGES = [
    ("title: A toy", "title: Another"),
    ("version: 1.2.3", "version: 1.2.4"),
    ("Is it {{ word }}?", "Is it {{ word }}!"),
    ("max_new_tokens: 8", "max_new_tokens: 9"),
    ("word: sky", "word: sea"),
]


def test_the_digest_depends_on_the_merged_spec_and_on_nothing_else(load_toy, write):
    digest = load_toy().digest
    assert load_toy().digest == digest
    assert load_toy(("tags:", "# a comment\ntags:")).digest == digest
    assert load_toy(data="elsewhere").digest == digest
    assert len({digest, *(load_toy(change).digest for change in CHANGES)}) == len(CHANGES) + 1
    assert load_toy(output="generate").digest != digest


def test_an_include_makes_the_same_task(write):
    whole = make_task(load(write()))
    text = (write()).read_text()
    head, tail = text.split("chance: 0.5\n")
    write(name="_base.yaml", text="chance: 0.5\n" + tail)
    split = make_task(load(write(name="toy.yaml", text="include: _base.yaml\n" + head)))
    assert split.digest == whole.digest


def test_info_says_what_a_reader_of_results_must_know(load_toy):
    task = load_toy()
    info = task.info()
    assert info["task"] == "toy"
    assert info["version"] == "1.2.3"
    assert info["digest"] == task.digest
    assert info["factors"] == {"blur": [1, 5], "ask": ["direct", "polite", "reverse"]}
    assert info["conditions"] == 5
    assert info["chance"] == 0.5
    assert info["paper"]["arxiv"] == "2601.00001"
    assert info["data"]["synthetic"] is True
    assert info["data"]["notice"] == "synthetic: a toy"


@pytest.mark.parametrize(("ask", "kind"), [("direct", "YesNo"), ("reverse", "Label")])
def test_each_condition_has_its_own_parser(load_toy, ask, kind):
    task = load_toy()
    assert type(task.parser(task.ask({"blur": 1, "ask": ask}))).__name__ == kind
