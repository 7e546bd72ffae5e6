"""The files for contributors: workflows, templates and citation say what is true here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vlm_eval.cli.main import COMMANDS, main
from vlm_eval.tasks.index import TaskIndex

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "contributing-a-task.md",
    ROOT / "docs" / "writing-tasks.md",
    ROOT / "examples" / "plugin" / "README.md",
    GITHUB / "PULL_REQUEST_TEMPLATE.md",
]
PAPERS = {"2604.12119", "2602.18729", "2601.08355", "2602.06652", "2606.06890"}


def read(path):
    # Every scalar is text, so that the key "on" is no truth value.
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts only


@pytest.mark.parametrize("name", ["ci.yml", "tasks.yml"])
def test_workflows_only_read_and_name_what_is_here(name):
    workflow = read(GITHUB / "workflows" / name)
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request" in workflow["on"]
    assert "pull_request_target" not in workflow["on"]
    (job,) = workflow["jobs"].values()
    assert job["env"]["VLM_EVAL_TORCH"] in (ROOT / "run").read_text()
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        # What others may choose enters through the environment, never as a piece of script.
        assert "${{" not in step.get("run", "")
        for script in re.findall(r"(?:\./run|\.ci/\w+|\.github/[\w-]+)", step.get("run", "")):
            assert os.access(ROOT / script, os.X_OK), script


def test_the_workflow_of_tasks_runs_where_tasks_change():
    workflow = read(GITHUB / "workflows" / "tasks.yml")
    assert workflow["on"]["pull_request"]["paths"] == ["tasks/**"]
    runs = "\n".join(step.get("run", "") for step in workflow["jobs"]["validate"]["steps"])
    assert "./run setup" in runs
    assert ".github/validate-tasks" in runs
    assert "GITHUB_STEP_SUMMARY" in runs


@pytest.fixture
def repository(tmp_path):
    """Return a repository whose ``main`` holds two task folders, and a function that runs CI's."""
    folder = tmp_path / "clone"
    for name in ("scenes", "vlm-fix"):
        shutil.copytree(ROOT / "tasks" / name, folder / "tasks" / name)
    (folder / ".github").mkdir()
    shutil.copy(GITHUB / "validate-tasks", folder / ".github")
    (folder / "vlm_eval").symlink_to(ROOT / "vlm_eval")
    command = tmp_path / "bin" / "vlm_eval"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vlm_eval "$@"\n')
    command.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }

    def git(*arguments):
        names = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *names, *arguments], cwd=folder, env=environment, check=True,
                       capture_output=True)  # fmt: skip

    def validate():
        git("add", ".")
        git("commit", "--quiet", "--allow-empty", "--message", "change")
        return subprocess.run([".github/validate-tasks", "main~0"], cwd=folder, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip

    git("init", "--quiet", "--initial-branch", "main")
    git("add", ".")
    git("commit", "--quiet", "--message", "main")
    git("switch", "--quiet", "--create", "change")
    return folder, validate


def test_ci_validates_the_folders_that_change_and_no_others(repository):
    folder, validate = repository
    done = validate()
    assert (done.returncode, done.stdout) == (0, "No task file changed.\n")
    file = folder / "tasks" / "scenes" / "scene-presence.yaml"
    (folder / "tasks" / "a $(touch x)\nb").mkdir()
    odd = folder / "tasks" / "a $(touch x)\nb" / "odd.yaml"
    odd.write_text(file.read_text().replace("task: scene-presence", "task: odd"))
    shutil.rmtree(folder / "tasks" / "vlm-fix")
    (folder / "tasks" / "group.yaml").write_text("group: mine\ntasks: [odd]\n")
    done = validate()
    assert (done.returncode, done.stderr) == (0, "")
    assert "**2 task files, all ok**" in done.stdout
    assert {"### odd 1.0.0: ok", "### mine: ok"} <= set(done.stdout.splitlines())
    assert not (folder / "x").exists()


def test_ci_fails_on_a_fault(repository):
    folder, validate = repository
    file = folder / "tasks" / "scenes" / "scene-presence.yaml"
    file.write_text(file.read_text().replace("chance: 0.5", "chance: 5"))
    done = validate()
    assert done.returncode == 2
    assert "key 'chance'" in done.stdout
    assert done.stderr.startswith("vlm_eval: error: tasks/scenes/scene-presence.yaml:")


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")), ids=str)
def test_issue_forms_are_complete(path):
    form = read(path)
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": "true"}
        return
    assert form["name"]
    assert form["description"]
    fields = [item for item in form["body"] if item["type"] != "markdown"]
    assert len({item["id"] for item in fields}) == len(fields) > 0
    assert all(item["attributes"]["label"] for item in fields)
    assert any(item.get("validations", {}).get("required") == "true" for item in fields)


def test_the_citation_agrees_with_the_package_and_with_the_task_files():
    citation = read(ROOT / "CITATION.cff")
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in project
    assert f'license = "{citation["license"]}"' in project
    assert citation["authors"] == [{"name": "the vlm_eval authors"}]
    index = TaskIndex()
    documents = [index.document(entry.name).data for entry in index.tasks]
    papers = {d["paper"]["arxiv"]: d["paper"]["title"] for d in documents if "paper" in d}
    cited = {
        reference["identifiers"][0]["value"].removeprefix("arXiv:"): reference
        for reference in citation["references"]
    }
    assert set(cited) == PAPERS
    for arxiv, reference in cited.items():
        assert reference["title"] == papers[arxiv]
        assert reference["url"] == f"https://arxiv.org/abs/{arxiv}"
        assert reference["type"] == "article"
        assert reference["authors"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_name_commands_and_files_that_exist(page, capsys):
    text = page.read_text()
    for command in re.findall(r"(?:^|`)vlm_eval ([a-z][a-z-]+)", text, re.MULTILINE):
        assert command in COMMANDS, command
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|tests|vlm_eval|\.github)/[\w./-]+)`", text):
        if not re.search("NAME|FAMILY|pope-drawn|pope_drawn", target):
            assert (ROOT / target).exists(), target
    for option in re.findall(r"vlm_eval validate [^`\n]*(--\w+)", text):
        assert main(["validate", "--help"]) == 0
        assert option in capsys.readouterr().out
