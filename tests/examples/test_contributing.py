"""docs/contributing-a-task.md, done: its files are written and its commands run, in its order."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing-a-task.md"
# A file ("`path`:", then a block), or commands.
STEP = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`:\n\n)?^(?P<fence>`{3,})(?P<kind>\w+)\n(?P<text>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


def git(folder, *arguments):
    """Run git with a name of its own and no settings of the machine's."""
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return what a contributor has: a checkout on ``main`` with a remote, and the commands."""
    home = tmp_path_factory.mktemp("contributor")
    folder = home / "clone"
    folder.mkdir()
    # Below a link the package is where the link is, so that it finds the tasks beside it.
    (folder / "vlm_eval").symlink_to(ROOT / "vlm_eval")
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    for name in ("tasks", "docs/tasks", ".github"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "tests" / "tasks").mkdir(parents=True)
    git(home, "init", "--quiet", "--bare", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "main")
    git(folder, "remote", "add", "origin", "../origin.git")
    (home / "bin").mkdir()
    for command in ("vlm_eval", "pytest"):
        script = home / "bin" / command
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {command} "$@"\n')
        script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def outputs(clone):
    """Follow the page, and return what each block of commands printed."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "PATH": f"{clone.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(clone),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "A"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@example.org"),
    }
    found = {}
    for step in STEP.finditer(PAGE.read_text()):
        if step["file"]:
            path = clone / step["file"]
            assert path.is_file(), f"{path} is not made by new-task"
            path.write_text(step["text"])
            continue
        assert step["kind"] == "bash", f"what is a block of {step['kind']}?"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", step["text"]],
            cwd=clone, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{step['text']}\n{done.stdout}\n{done.stderr}"
        found[step["text"]] = done.stdout
    return found


def output(outputs, part):
    (found,) = (text for commands, text in outputs.items() if part in commands)
    return found


def test_every_block_runs_and_nothing_is_left_of_the_scaffold(outputs, clone):
    assert len(outputs) == 8
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"runs/", "show/"} == set(changed) - {"??"}
    assert sorted(path.name for path in (clone / "tasks" / "pope-drawn").iterdir()) == [
        "pope-drawn.yaml"
    ]


def test_the_task_validates_and_so_does_what_ci_runs(outputs):
    assert "### pope-drawn 1.0.0: ok" in output(outputs, "show pope-drawn")
    summary = "**1 task file, all ok**"
    assert output(outputs, "git push").startswith(summary)
    assert output(outputs, "--format markdown").startswith(summary)


def test_a_model_that_says_yes_scores_what_the_page_says(outputs, clone):
    results = json.loads((clone / "runs" / "always-yes" / "results.json").read_text())
    task = results["tasks"]["pope-drawn"]
    values = {(e["name"], json.dumps(e["where"])): e["value"] for e in task["estimates"]}
    for blur in (1, 25):
        where = json.dumps({"blur": blur})
        assert values["recall", where] == values["yes_ratio", where] == 1.0
        assert 0.4 < values["accuracy", where] < 0.6
    assert {c["difference"] for c in task["comparisons"]} == {0.0}


def test_the_task_is_pushed(outputs, clone):
    heads = subprocess.run(
        ["git", "ls-remote", "--heads", "../origin.git"],
        cwd=clone, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert heads.endswith("refs/heads/task-pope-drawn\n")
