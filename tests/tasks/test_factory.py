import pytest

from vlm_eval.core.errors import TaskError, UsageError
from vlm_eval.tasks.factory import find_faults, make_task
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.loader import load
from vlm_eval.tasks.yaml import Document

NAMES = [
    ("source: toy", "source: toi", "unknown data source 'toi'", "toy"),
    ("  source: toy", "  source: toy\n  tabel: []", "data source toy has no option 'tabel'",
     "table"),
    ("name: yes_no", "name: yes_on", "unknown parser 'yes_on'", "yes_no"),
    ("{name: label}", "{name: labl}", "unknown parser 'labl'", "label"),
    ("parser: label", "parser: lable", "unknown parser 'lable'", "label"),
    ("  - accuracy", "  - acuracy", "unknown metric 'acuracy'", "accuracy"),
    ("{name: paired_difference, factor: blur}", "{name: paired_difference, factr: blur}",
     "metric paired_difference has no option 'factr'", "factor"),
    ("factor: blur", "factor: blr", "a metric asks for the factor 'blr'", "blur"),
    ("name: gaussian_blur", "name: gausian_blur", "unknown transform 'gausian_blur'",
     "gaussian_blur"),
    ("kernel:", "kernl:", "transform gaussian_blur has no option 'kernl'", "kernel"),
    ("controls:\n  blur:", "controls:\n  blurr:", "'blurr' is no factor", "blur"),
    ("where: \"ask != 'polite'", "where: \"asks != 'polite'", "'asks' is undefined", "ask"),
    ("- when: \"ask ==", "- when: \"aks ==", "'aks' is undefined", "ask"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message", "nearest"), NAMES)
def test_an_unknown_name_is_placed_and_corrected(write, old, new, message, nearest):
    path = write((old, new))
    wrong = new.splitlines()[-1]
    number = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if wrong in text)
    with pytest.raises(TaskError) as caught:
        make_task(load(path))
    assert str(caught.value).startswith(f"toy.yaml:{number}: key '")
    assert message in str(caught.value)
    assert f"did you mean {nearest}" in str(caught.value)


OTHERS = [
    ("blur: [1]\n", "blur: [3]\n", "3 is no level of blur"),
    ("blur: [1, 5]", "blur: [1, 1]", "levels must be distinct"),
    ("blur: [1, 5]", "blur: [1, true]", "levels must be distinct"),
    ("or blur == 1", "and blur == 3", "no condition is left"),
    ("parser:\n  name: yes_no\n  literal: {name: label}\ncases", "cases", None),
    ("    parser: label\n", "", None),
    ('kernel: "{{ blur }}"', "kernel: 4", "the kernel must be odd"),
    ("factor: blur}", "factor: blur, baseline: 7}", "asks for the level 7 of 'blur'"),
]


@pytest.mark.parametrize(("old", "new", "message"), OTHERS)
def test_what_does_not_fit_together_is_found_before_any_data_is_read(write, old, new, message):
    task, faults = find_faults(load(write((old, new))))
    if message is None:
        assert faults == []
    else:
        assert task is None
        assert any(message in str(fault) for fault in faults), faults


def test_generated_text_needs_a_parser(write):
    path = write(
        ("parser:\n  name: yes_no\n  literal: {name: label}\n", ""), ("    parser: label\n", "")
    )
    _, faults = find_faults(load(path))
    assert [str(fault).partition(";")[0] for fault in faults] == [
        "toy.yaml:47: key 'cases[0].output': generated text needs a parser"
    ]


def test_all_faults_of_the_values_are_found_at_once(write):
    path = write(
        ("source: toy", "source: toi"), ("name: yes_no", "name: yes"), ("- accuracy", "- acuracy")
    )
    _, faults = find_faults(load(path))
    found = [fault.what.partition(" '")[0] for fault in faults]
    assert sorted(found) == ["unknown data source", "unknown metric", "unknown parser"]


def test_the_output_kind_can_be_changed_everywhere(load_toy):
    task = load_toy(output="generate")
    assert {task.ask(c).output.kind for c in task.conditions()} == {"generate"}
    task = load_toy(output="choice")
    assert {task.ask(c).output.kind for c in task.conditions()} == {"choice"}


def test_an_output_that_the_task_cannot_have_is_refused(load_toy):
    with pytest.raises(UsageError, match=r"unknown output 'chose'; did you mean choice\?"):
        load_toy(output="chose")
    free = ('      choices: ["{{ word }}", stone]\n', "")
    with pytest.raises(UsageError, match="task toy has no choices to score"):
        load_toy(free, output="choice")


@pytest.fixture
def pairs_document():
    return TaskIndex().document("mis")


def test_data_given_by_the_user_replace_the_files(load_toy):
    assert load_toy(data="some/folder").source.path == "some/folder"
    assert load_toy(data="hub:a/b").source.hub == "a/b"
    other = ("  source: toy\n", "  source: toy\n  hub: x/y\n")
    task = load_toy(other, data="some/folder")
    assert (task.source.path, task.source.hub) == ("some/folder", None)


def test_the_hub_is_the_one_that_the_task_names_else_its_sources_own(pairs_document):
    assert make_task(TaskIndex().document("vlmbias"), data="hub").source.hub == (
        "anvo25/vlms-are-biased"
    )
    boards = TaskIndex().document("vlm-fix-inverse")
    assert make_task(boards).source.hub is None
    assert make_task(boards, data="hub").source.hub == "maveryn/vlm-fix"
    with pytest.raises(UsageError, match="the task names no hub data set of its own"):
        make_task(pairs_document, data="hub")


def test_data_may_carry_options_of_the_source(pairs_document):
    task = make_task(pairs_document, data="a, folder,columns=winoground")
    assert (task.source.path, task.source.columns) == ("a, folder", "winoground")
    task = make_task(pairs_document, data="hub:a/b,columns=winoground,split=validation")
    assert (task.source.hub, task.source.split) == ("a/b", "validation")


def test_a_wrong_option_of_the_data_brings_the_nearest(pairs_document):
    with pytest.raises(UsageError, match=r"no option 'colums'; did you mean columns"):
        make_task(pairs_document, data="folder,colums=winoground")


def test_a_source_that_takes_no_data_says_so(write):
    text = "\n".join(line for line in write().read_text().splitlines() if "- {id:" not in line)
    path = write(("  source: toy\n  table:\n", "  source: scenes\n"), text=text)
    with pytest.raises(UsageError) as caught:
        make_task(load(path), data="some/folder")
    assert "--data toy=some/folder: the data source scenes has no path" in str(caught.value)


def test_slices_are_the_breakdown_of_metrics_that_have_none(load_toy):
    assert [metric.by for metric in load_toy().metrics] == [("kind",), ("kind",)]
    own = ("factor: blur}", "factor: blur, by: [ask]}")
    assert [metric.by for metric in load_toy(own).metrics] == [("kind",), ("ask",)]


def test_a_dumped_spec_makes_the_same_task(load_toy):
    task = load_toy(output="generate")
    again = make_task(Document(task.spec.model_dump(mode="json"), {(): "run.json"}))
    assert again.digest == task.digest
    assert again.spec == task.spec
