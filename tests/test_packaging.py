"""What is installed is what is here: tasks, font, checkpoints, types, both commands."""

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_every_task_file_travels_in_the_wheel(wheel):
    files = (path for path in (ROOT / "tasks").rglob("*") if path.is_file())  # data of tasks too
    shipped = {str(path.relative_to(ROOT / "tasks")) for path in files}
    packed = {
        name.removeprefix("vlm_eval/_tasks/")
        for name in wheel.namelist()
        if name.startswith("vlm_eval/_tasks/")
    }
    assert shipped == packed
    assert "vlm-fix/vlm-fix-inverse.yaml" in packed


def test_font_checkpoints_presets_and_types_travel_too(wheel):
    names = set(wheel.namelist())
    for name in (
        "vlm_eval/assets/fonts/DejaVuSans-Bold.ttf",
        "vlm_eval/assets/fonts/LICENSE-DejaVu.txt",
        "vlm_eval/assets/new_task/task.yaml.in",
        "vlm_eval/models/presets.yaml",
        "vlm_eval/models/tiny/checkpoints/tiny/model.safetensors",
        "vlm_eval/models/tiny/checkpoints/tiny-joint/model.safetensors",
        "vlm_eval/py.typed",
    ):
        assert name in names
    assert not any(name.startswith(("tasks/", "tests/")) for name in names)


def test_both_spellings_of_the_command_are_declared(wheel):
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/entry_points.txt"))
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(name).decode())
    commands = dict(parser["console_scripts"])
    assert commands == dict.fromkeys(["vlm_eval", "vlm-eval"], "vlm_eval.cli.main:main")


def test_the_distribution_has_a_name_of_its_own(wheel):
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    assert "Name: paired-vlm-eval\n" in metadata
    assert "License-Expression: Apache-2.0" in metadata
