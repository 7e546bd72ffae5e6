"""Where a task's data lies: what --data and groups say, and what is said where there is none."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from vlm_eval.cli.main import main
from vlm_eval.core.errors import MissingData, UsageError
from vlm_eval.core.options import configurable
from vlm_eval.data.base import SourceInfo
from vlm_eval.runner.again import with_data
from vlm_eval.runner.api import evaluate, load_tasks
from vlm_eval.runner.folder import RunFolder
from vlm_eval.runner.summarise import tasks_of
from vlm_eval.tasks.index import TaskIndex

TASK = """\
task: NAME
version: 1.0.0
title: Held elsewhere
data: {source: held, hub: owner/own}
sample_id: "{{ id }}"
prompt: {template: "Yes or No?"}
output: {kind: choice, choices: ["Yes", "No"]}
gold: "Yes"
parser: label
metrics: [accuracy]
"""


@configurable
class Held:
    """Has rows only where it is told to draw them."""

    path: str | None = None
    hub: str | None = None
    embedded: bool = False
    split: str = "test"

    def info(self):
        self._check()
        return SourceInfo("digest", synthetic=True)

    def rows(self):
        self._check()
        yield {"id": "drawn"}

    def fields(self, row, condition):  # noqa: ARG002
        return row

    def _check(self):
        if not self.embedded:
            raise MissingData("there is no copy of HELD", layout="DIR/held.json", hub=self.hub)


@pytest.fixture
def held(plugin, monkeypatch, folder, write):
    plugin("vlm_eval.sources", held="held_source:Held")
    monkeypatch.setitem(sys.modules, "held_source", SimpleNamespace(Held=Held))
    for name in ("one", "two"):
        write(name=f"{name}.yaml", text=TASK.replace("NAME", name))
    write(name="both.yaml", text="group: both\ntasks: [one, two]\ndata: embedded\n")
    write(name="plain.yaml", text="group: plain\ntasks: [one]\n")
    write(name="outer.yaml", text="group: outer\ntasks: [plain, two]\ndata: embedded\n")
    return folder


def place(held, names, **data):
    tasks = load_tasks(names, [held], data, None)
    return {t.name: (t.source.path, t.source.hub, t.source.embedded) for t in tasks}


OWN, DRAWN = (None, "owner/own", False), (None, None, True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("some/folder", ("some/folder", None, False)),
        ("hub:owner/other", (None, "owner/other", False)),
        ("hub", OWN),
        ("embedded", DRAWN),
        ("./embedded", ("./embedded", None, False)),
    ],
)
def test_each_place_excludes_the_others(held, given, expected):
    assert place(held, "one,two", one=given) == {"one": expected, "two": OWN}


def test_options_of_the_source_may_follow_any_place(held):
    for given in ("embedded,split=val", "hub,split=val", "hub:a/b,split=val", "x,split=val"):
        [task] = load_tasks("one", [held], {"one": given}, None)
        assert task.source.split == "val"


def test_a_group_may_choose_embedded_data(held):
    assert place(held, "both") == {"one": DRAWN, "two": DRAWN}
    assert place(held, "plain,both") == {"one": OWN, "two": DRAWN}
    assert place(held, "both,one") == {"one": OWN, "two": DRAWN}
    assert place(held, "outer") == {"one": DRAWN, "two": DRAWN}
    assert place(held, "both", one="x") == {"one": ("x", None, False), "two": DRAWN}
    assert place(held, "both", both="hub") == {"one": OWN, "two": OWN}


def test_a_glob_names_each_task_once_and_no_part_of_one_beside_it(held, write):
    write(name="toy.yaml")
    write(name="parts.yaml", text="group: toy-parts\ntasks: [toy-red, toy-blue]\n")
    index = TaskIndex([held])
    assert index.resolve("to*") == ["toy"]
    assert index.resolve("toy-*") == ["toy-red", "toy-blue"]


def test_a_place_that_there_is_not_is_refused(held, write):
    write(name="toy.yaml")
    with pytest.raises(UsageError, match="names no hub data set of its own"):
        load_tasks("toy", [held], {"toy": "hub"}, None)
    with pytest.raises(UsageError, match="names none; write hub:OWNER/NAME"):
        load_tasks("one", [held], {"one": "hub:"}, None)
    with pytest.raises(UsageError, match="the data source toy has no stand-in to draw"):
        load_tasks("toy", [held], {"toy": "embedded"}, None)


def test_missing_data_is_one_line_and_nothing_is_written(held, capsys):
    command = ["--model", "mock", "--tasks", "one", "--include_path", str(held)]
    assert main([*command, "--output_path", str(held / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "task one: there is no copy of HELD; " in captured.err
    assert "--data one=PATH (DIR/held.json)" in captured.err
    assert "--data one=embedded" in captured.err
    assert "Traceback" not in captured.err
    assert not (held / "out").exists()
    assert main(["show", "one", "--include_path", str(held)]) == 2
    assert "task one: there is no copy of HELD" in capsys.readouterr().err
    assert main([*command, "--data", "one=embedded", "--output_path", str(held / "out")]) == 0


def test_validation_uses_the_stand_in_where_there_is_no_data(held, capsys):
    assert main(["validate", str(held / "one.yaml")]) == 0
    out = capsys.readouterr().out
    assert "### one 1.0.0: ok" in out
    assert "checked on embedded data: there is no copy of HELD" in out


def test_the_place_of_each_tasks_data_is_recorded_wherever_it_was_said(held):
    results = evaluate(
        "mock", "both,plain", include_path=[held], data={"one": "embedded,split=val"},
        output_path=held / "out", progress=False,
    )  # fmt: skip
    places = {name: entry["data"]["place"] for name, entry in results.run["tasks"].items()}
    assert places == {"one": "embedded,split=val", "two": "embedded"}
    assert results.run["sessions"][0]["options"]["data"] == {"one": "embedded,split=val"}
    assert results.run["sessions"][0]["plugins"] == {
        "data source held": "plugin_vlm_eval_sources_held 1.0"
    }
    [task] = [task for task in tasks_of(RunFolder(held / "out")) if task.name == "two"]
    found, why = with_data(task, results.run, None)
    assert (found is not None, why) == (True, "")
    assert found.source.embedded
