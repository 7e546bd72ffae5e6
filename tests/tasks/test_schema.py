import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from vlm_eval.tasks.index import shipped_tasks
from vlm_eval.tasks.schema import task_schema
from vlm_eval.tasks.yaml import read

DOCUMENT = Path(__file__).parents[2] / "docs" / "task.schema.json"


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(task_schema())


def test_it_is_a_schema_of_2020_12(validator):
    Draft202012Validator.check_schema(task_schema())
    assert task_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_committed_schema_is_the_exported_one():
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == task_schema(), (
        "run: vlm_eval schema > docs/task.schema.json"
    )


@pytest.mark.parametrize(
    "path", sorted(shipped_tasks().rglob("*.yaml")), ids=lambda path: path.name
)
def test_every_shipped_file_fits(validator, path):
    assert [error.message for error in validator.iter_errors(read(path).data)] == []


@pytest.mark.parametrize(
    "change",
    [
        ("task: toy", "taks: toy"),
        ("version: 1.2.3", "version: 1.2"),
        ("title: A toy\n", ""),
        ("kind: choice", "kind: other"),
        ("- {image: image}\n", "- {image: image, txt: x}\n"),
        ("max_new_tokens: 8", "max_new_tokens: 0"),
        ("factors:", "factor:"),
        ("  source: toy\n", ""),
        ("role: system", "role: robot"),
    ],
)
def test_it_refuses_what_the_loader_refuses(validator, write, change):
    assert validator.is_valid(read(write()).data)
    assert not validator.is_valid(read(write(change)).data)


def test_an_including_file_may_leave_out_what_it_includes(validator):
    assert validator.is_valid({"task": "a", "include": "_b.yaml"})
    assert not validator.is_valid({"task": "a"})
    assert validator.is_valid({"version": "1.0.0"}), "a shared part"
    assert validator.is_valid({"group": "g", "tasks": ["a"]})
    assert not validator.is_valid({"group": "g"})
    assert not validator.is_valid({"group": "g", "tasks": ["a"], "prompt": {}})


def test_every_key_is_explained():
    for name, schema in task_schema()["$defs"].items():
        for key, value in schema.get("properties", {}).items():
            assert value.get("description"), f"{name}.{key}"
