"""The example package, installed as a user would install it and used from the command line."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
FROM = "vlm-eval-plugin-example 0.1.0"
ADDED = {
    "tasks": "plugin-task",
    "sources": "arrows",
    "transforms": "mirror",
    "parsers": "side",
    "scorers": "spelled",
    "metrics": "left_share",
    "models": "plugin-model:...",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder in which the example is installed, and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--no-index", "--no-cache-dir", "--disable-pip-version-check", "--target", str(folder),
        str(EXAMPLE),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def vlm_eval(site, tmp_path):
    """Return a function that runs the command in an empty folder, with the example installed."""
    path = os.pathsep.join([str(site), str(ROOT)])

    def vlm_eval(*arguments):
        command = [sys.executable, "-m", "vlm_eval", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    return vlm_eval


def test_it_adds_to_every_group_and_all_of_it_travels(site):
    (found,) = importlib.metadata.distributions(path=[str(site)])
    groups = {point.group for point in found.entry_points}
    assert groups == {f"vlm_eval.{kind}" for kind in ADDED}
    assert (site / "vlm_eval_plugin_example" / "tasks" / "plugin-task.yaml").is_file()


@pytest.mark.parametrize("kind", ADDED)
def test_what_it_adds_is_listed_with_where_it_comes_from(vlm_eval, kind):
    done = vlm_eval("ls", kind, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name for name, row in rows.items() if row["from"] != "vlm_eval"} == {ADDED[kind]}
    assert rows[ADDED[kind]]["from"] == FROM


def test_the_list_for_people_says_so_too(vlm_eval):
    assert f"from {FROM}: plugin-task" in vlm_eval("ls").stdout


def test_its_task_is_validated_and_asked_of_its_model(vlm_eval, tmp_path):
    done = vlm_eval("validate", "plugin-task")
    assert (done.returncode, done.stderr) == (0, "")
    assert "### plugin-task 1.0.0: ok" in done.stdout

    done = vlm_eval("--model", "plugin-model", "--tasks", "plugin-task", "--output_path", "out")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    estimates = {
        (e["name"], tuple(e["where"].items())): e["value"]
        for e in results["tasks"]["plugin-task"]["estimates"]
    }
    # It always says left, and half of the arrows point there, drawn as well as mirrored.
    assert estimates["left_share", ()] == 1.0
    assert estimates["accuracy", ()] == estimates["spelled", ()] == 0.5
    assert estimates["accuracy", (("points_to", "left"), ("view", "mirrored"))] == 0.0
    assert estimates["accuracy", (("points_to", "right"), ("view", "mirrored"))] == 1.0
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["model"]["word"] == "left"
    kinds = {
        "data source": "sources", "transform": "transforms", "parser": "parsers",
        "scorer": "scorers", "metric": "metrics", "task": "tasks",
    }  # fmt: skip
    used = {f"{kind} {ADDED[key]}": FROM for kind, key in kinds.items()}
    assert run["sessions"][0]["plugins"] == {**used, "model backend plugin-model": FROM}


def test_its_model_is_among_the_names_that_are_suggested(vlm_eval):
    done = vlm_eval("--model", "plugin-modl", "--tasks", "plugin-task")
    assert done.returncode == 2
    assert "unknown model 'plugin-modl'; did you mean plugin-model" in done.stderr
