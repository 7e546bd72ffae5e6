import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from vlm_eval.cli import new_task
from vlm_eval.cli.main import main
from vlm_eval.core.errors import UsageError
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

ROOT = Path(__file__).parents[2]
FILES = {
    "tasks/my-task/my-task.yaml",
    "tasks/my-task/data/metadata.jsonl",
    "tasks/my-task/data/images/p1.png",
    "tasks/my-task/data/images/p2.png",
    "tests/tasks/test_my_task.py",
    "docs/tasks/my-task.md",
}


@pytest.fixture
def new(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def new(*arguments):
        status = main(["new-task", *arguments])
        return status, capsys.readouterr()

    return new


def tree(folder):
    """Return the files below a folder, and the folders, with a slash."""
    return {
        str(path.relative_to(folder)) + ("/" if path.is_dir() else "") for path in folder.rglob("*")
    }


def test_it_writes_a_task_its_data_its_test_and_its_page(new, tmp_path):
    status, captured = new("my-task")
    assert (status, captured.err) == (0, "")
    assert {path for path in tree(tmp_path) if not path.endswith("/")} == FILES
    for path in FILES:
        assert f"written: {path}\n" in captured.out
    for text in (path for path in FILES if not path.endswith(".png")):
        assert "@NAME@" not in (tmp_path / text).read_text()
        assert (tmp_path / text).read_text().isascii()


def test_it_validates_at_once(new, tmp_path, capsys):
    new("my-task")
    assert main(["validate", "tasks/my-task"]) == 0
    assert "### my-task 1.0.0: ok" in capsys.readouterr().out


def test_its_samples_are_balanced_and_share_pictures(new, tmp_path):
    new("my-task")
    trials = list(expand(TaskIndex(["tasks"]).load("my-task")))
    assert len(trials) == 4 * 4
    assert {trial.cluster for trial in trials} == {"p1", "p2"}
    for wording in ("present", "absent"):
        golds = [trial.gold for trial in trials if trial.condition["wording"] == wording]
        assert golds.count("Yes") == golds.count("No") == 4


def test_the_pictures_show_what_the_table_says(new, tmp_path):
    new("my-task")
    corners = {}
    for name in ("p1", "p2"):
        with Image.open(tmp_path / f"tasks/my-task/data/images/{name}.png") as image:
            # A corner of the box lies outside the disc of the same width; the middle is in both.
            corners[name] = image.getpixel((42, 42)) == image.getpixel((80, 80))
            assert image.getpixel((80, 80)) != image.getpixel((2, 2))
    assert corners == {"p1": False, "p2": True}


def test_its_test_passes_and_notices_another_prompt(new, tmp_path):
    new("my-task")

    def run():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, check=False)

    assert run().returncode == 0
    file = tmp_path / "tasks/my-task/my-task.yaml"
    file.write_text(file.read_text().replace("Please answer Yes or No", "Answer Yes or No"))
    done = run()
    assert done.returncode == 1
    assert b"1 failed, 3 passed" in done.stdout


def test_what_it_says_to_do_next_works(new, tmp_path, capsys):
    _, captured = new("my-task", "--out", "some where")
    commands = [line.strip() for line in captured.out.splitlines() if line.startswith("  ")]
    assert commands[0] == "vlm_eval validate 'some where/tasks/my-task'"
    assert commands[1] == "vlm_eval show my-task --include_path 'some where/tasks'"
    assert commands[-1] == "pytest 'some where/tests/tasks/test_my_task.py'"
    assert main(["show", "my-task", "--include_path", "some where/tasks"]) == 0


def test_in_a_clone_no_folder_has_to_be_named(new, tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    monkeypatch.setattr(new_task, "shipped_tasks", lambda: tmp_path / "tasks")
    _, captured = new("my-task")
    assert "  vlm_eval --model tiny --tasks my-task\n" in captured.out


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("My Task", "did you mean my-task?"),
        ("-x", "no option"),
        ("_x", "did you mean x?"),
        ("a/b", "did you mean a-b?"),
        ("..", "a letter or digit first"),
        ("", "a letter or digit first"),
        ("t\n", "did you mean t?"),
        ("t\x1b[2J", "did you mean t-2j?"),
        ("übung", "did you mean bung?"),
    ],
)
def test_a_bad_name_is_refused_with_the_rule(new, tmp_path, name, hint):
    status, captured = new(name)
    assert status == 2
    if not name.startswith("-"):
        assert "lower case letters, digits, dash, underscore and dot" in captured.err
        assert hint in captured.err
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("name", ["scene-presence", "vlm-fix", "vlm-fix-inverse-reversi"])
def test_the_name_of_a_task_or_group_is_taken(new, tmp_path, name):
    status, captured = new(name)
    assert status == 2
    assert f"there is a task or group '{name}' already" in captured.err
    assert tree(tmp_path) == set()


def test_a_name_of_the_included_folders_is_taken_too(new, tmp_path):
    new("my-task", "--out", "a")
    status, captured = new("my-task", "--out", "b", "--include_path", "a/tasks")
    assert status == 2
    assert "already" in captured.err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("path", ["tasks/my-task", *sorted(FILES)])
def test_nothing_is_overwritten_and_nothing_else_is_written(new, tmp_path, path):
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.symlink_to("nowhere")
    before = tree(tmp_path)
    status, captured = new("my-task")
    assert status == 2
    assert "is there already" in captured.err
    assert tree(tmp_path) == before


def test_a_folder_that_is_none_is_refused(new, tmp_path):
    (tmp_path / "file").write_text("")
    status, captured = new("my-task", "--out", "file")
    assert status == 2
    assert "--out file: is no folder" in captured.err


def test_a_fault_halfway_leaves_nothing_behind(new, tmp_path):
    (tmp_path / "docs").write_text("a file where a folder must be")
    status, captured = new("my-task")
    assert status == 2
    assert captured.err.startswith("vlm_eval: error: docs")
    assert tree(tmp_path) == {"docs"}


def test_names_with_dots_make_a_module_name(tmp_path):
    assert Path("tests/tasks/test_a_b_c.py") in new_task.scaffold("a.b-c")


def test_a_name_is_checked_by_the_rule_of_task_files():
    with pytest.raises(UsageError):
        new_task._check_name("A")
    new_task._check_name("0.a_b-c")
