from pathlib import Path

import pytest

from vlm_eval.core.errors import TaskError, UsageError
from vlm_eval.tasks import index
from vlm_eval.tasks.index import TaskIndex, shipped_tasks, task_files


@pytest.fixture
def mini(write, folder):
    """Return an index over some small tasks besides the shipped ones."""

    def task(name, tags="", more=""):
        text = f"task: {name}\nversion: 1.0.0\ntitle: {name}\ntags: [{tags}]\n{more}"
        write(name=f"{name}.yaml", text=text)

    task("zoo", "animal")
    task("zoo-night", "animal, dark")
    task("cave", "dark", "subtasks: {option: kinds, values: [a, b]}\n")
    write(name="g.yaml", text="group: zoos\ntitle: Zoos\ntasks: ['zoo*', cave-b]\n")
    write(name="all.yaml", text="group: everything-mine\ntasks: [cave, zoos]\n")
    (folder / "deep").mkdir()
    (folder / "deep" / "more.yml").write_text("task: bat\nversion: 1.0.0\ntags: [dark]\n")
    return TaskIndex([folder])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("zoo", ["zoo"]),
        (" zoo , cave ", ["zoo", "cave"]),
        (["cave", "zoo,bat"], ["cave", "zoo", "bat"]),
        ("cave,zoo,cave", ["cave", "zoo"]),
        ("zoo-*", ["zoo-night"]),
        ("zoo*", ["zoo", "zoo-night", "cave-b"]),
        ("cave*", ["cave"]),
        ("cave-*", ["cave-a", "cave-b"]),
        ("*-b", ["cave-b"]),
        ("cave-[ab]", ["cave-a", "cave-b"]),
        ("cave-a", ["cave-a"]),
        ("zoos", ["zoo", "zoo-night", "cave-b"]),
        ("everything-mine", ["cave", "zoo", "zoo-night", "cave-b"]),
        ("tag:dark", ["bat", "cave", "zoo-night"]),
        ("tag:dark,zoo", ["bat", "cave", "zoo-night", "zoo"]),
    ],
)
def test_names_stand_for_tasks_in_order_and_once(mini, names, expected):
    if names == "zoo*":  # the glob fits the group zoos too, whose members come first
        assert set(mini.resolve(names)) == set(expected)
    else:
        assert mini.resolve(names) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("zo", "unknown task 'zo'; did you mean zoo"),
        ("zoo,cavr", "unknown task 'cavr'; did you mean cave"),
        ("vlm-fix-invers", "unknown task 'vlm-fix-invers'; did you mean vlm-fix-inverse"),
        ("tag:drak", "unknown tag 'drak'; did you mean dark?"),
        ("caveat*", "no task fits 'caveat*'; did you mean cave"),
        ("", "no task is named"),
        (" , ", "no task is named"),
        ([], "no task is named"),
    ],
)
def test_unknown_names_suggest_the_nearest(mini, names, message):
    with pytest.raises(UsageError) as caught:
        mini.resolve(names)
    assert str(caught.value).startswith(message)


def test_a_group_is_not_a_task(mini):
    with pytest.raises(UsageError) as caught:
        mini.load("zoos")
    assert str(caught.value) == ("zoos is a group, not a task; it holds zoo, zoo-night, cave-b")


def test_a_group_with_an_unknown_member_names_its_file(write, folder):
    write(name="g.yaml", text="group: g\ntasks: [vlm-fix-invers]\n")
    with pytest.raises(TaskError) as caught:
        TaskIndex([folder]).resolve("g")
    assert str(caught.value).startswith("g.yaml: key 'tasks': unknown task 'vlm-fix-invers'; did")


def test_groups_may_not_hold_themselves(write, folder):
    write(name="a.yaml", text="group: a\ntasks: [b]\n")
    write(name="b.yaml", text="group: b\ntasks: [a]\n")
    with pytest.raises(TaskError, match="group a holds itself"):
        TaskIndex([folder]).resolve("a")


@pytest.mark.parametrize("text", ["task: zoo\n", "group: zoo\ntasks: [cave]\n"])
def test_a_name_that_two_files_define_names_both(mini, write, folder, text):
    write(name="other.yaml", text=text)
    with pytest.raises(UsageError) as caught:
        TaskIndex([folder])
    assert "two files define 'zoo'" in str(caught.value)
    assert "other.yaml" in str(caught.value)
    assert "zoo.yaml" in str(caught.value)


def test_a_subtask_may_not_take_anothers_name(write, folder):
    write(name="a.yaml", text="task: a\nsubtasks: {option: k, values: [b]}\n")
    write(name="b.yaml", text="task: a-b\n")
    with pytest.raises(UsageError, match="two files define 'a-b'"):
        TaskIndex([folder])


def test_a_file_is_found_once_however_often_it_is_included(write, folder):
    path = write()
    index = TaskIndex([folder, path, folder / ".", folder])
    assert [entry.name for entry in index.tasks].count("toy") == 1


def test_a_broken_file_stops_nothing_but_its_own_task(mini, write, folder):
    write(name="broken.yaml", text="task: broken\ntitle: a: b\n")
    index = TaskIndex([folder])
    assert index.resolve("zoo") == ["zoo"]
    assert [str(fault) for fault in index.broken] == [
        "broken.yaml:2: YAML: mapping values are not allowed in this context; "
        "put text that holds ': ' in quotes"
    ]
    with pytest.raises(TaskError, match=r"^broken\.yaml:2: YAML"):
        index.resolve("broken")
    with pytest.raises(UsageError, match=r"unknown task 'cavee'; did you mean cave"):
        index.resolve("cavee")


def test_a_file_that_is_no_task_says_so(write, folder):
    write(name="x.yaml", text="version: 1.0.0\n")
    [fault] = TaskIndex([folder]).broken
    assert str(fault).startswith("x.yaml: the key 'task' is missing")


def test_a_missing_folder_is_named(folder):
    with pytest.raises(UsageError, match="there is no task folder 'nowhere'"):
        TaskIndex(["nowhere"])


def test_a_subtask_is_the_task_with_one_value(write, folder):
    index = TaskIndex([write().parent])
    task = index.load("toy-blue")
    assert task.name == "toy-blue"
    assert task.source.kinds == ("blue",)
    assert task.spec.subtasks is None
    assert index.load("toy").source.kinds == ()
    entry = index.entry("toy-blue")
    assert (entry.parent, entry.value, entry.tags) == ("toy", "blue", ("tiny", "prior"))


def test_the_index_reads_names_without_constructing_anything(write, folder):
    write(("source: toy", "source: not-installed"))
    index = TaskIndex([folder])
    assert index.resolve("toy") == ["toy"]
    with pytest.raises(TaskError, match="unknown data source 'not-installed'"):
        index.load("toy")


@pytest.mark.parametrize("target", ["FOLDER", "folder", "paths_of_tasks"])
def test_other_packages_add_tasks(folder, plugin, monkeypatch, target, write):
    site = folder / "site"
    (site / "paths_of_tasks").mkdir(parents=True)
    (site / "paths_of_tasks" / "far.yaml").write_text("task: far\nversion: 1.0.0\n")
    (site / "paths_of_tasks" / "__init__.py").write_text(
        "from pathlib import Path\nFOLDER = Path(__file__).parent\ndef folder(): return FOLDER\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(__import__("sys").modules, "paths_of_tasks", raising=False)
    suffix = "" if target == "paths_of_tasks" else f":{target}"
    plugin("vlm_eval.tasks", far=f"paths_of_tasks{suffix}")
    assert TaskIndex().resolve("far") == ["far"]


def test_a_package_that_raises_is_reported_and_stops_nothing(plugin, folder, monkeypatch):
    (folder / "raising_plugin.py").write_text("FOLDER = undefined_name\n")
    monkeypatch.syspath_prepend(str(folder))
    plugin("vlm_eval.tasks", bad="raising_plugin:FOLDER")
    [fault] = TaskIndex().broken
    assert "entry point bad (raising_plugin:FOLDER) does not load" in str(fault)


def test_a_broken_package_is_reported_and_stops_nothing(plugin, folder):
    plugin("vlm_eval.tasks", bad="no_such_module:tasks")
    index = TaskIndex()
    assert index.resolve("vlm-fix-inverse") == ["vlm-fix-inverse"]
    [fault] = index.broken
    assert "entry point bad (no_such_module:tasks) does not load" in str(fault)


def test_shipped_tasks_are_found_in_checkout_and_in_a_wheel(tmp_path, monkeypatch):
    assert (shipped_tasks() / "vlm-fix" / "vlm-fix-inverse.yaml").is_file()
    package = tmp_path / "vlm_eval"
    (tmp_path / "tasks").mkdir()
    package.mkdir()
    monkeypatch.setattr(index, "__file__", str(package / "tasks" / "index.py"))
    assert shipped_tasks() == tmp_path / "tasks"
    (package / "_tasks").mkdir()
    assert shipped_tasks() == package / "_tasks"


def test_task_files_skip_parts_and_hidden_files(folder):
    for name in ["b.yaml", "a.yml", "_part.yaml", ".hidden.yaml", "note.txt"]:
        (folder / name).write_text("")
    assert [path.name for path in task_files(folder)] == ["a.yml", "b.yaml"]
    assert task_files(Path("one.yaml")) == [Path("one.yaml")]


def test_a_near_name_does_not_hide_the_file_that_could_not_be_read(mini, write, folder):
    write(name="mine.yaml", text="task: scene-presence2\ntitle: a: b\n")
    with pytest.raises(UsageError, match="did you mean scene-presence") as caught:
        TaskIndex([folder]).resolve("scene-presence2")
    assert "mine.yaml:2: YAML" in str(caught.value)
