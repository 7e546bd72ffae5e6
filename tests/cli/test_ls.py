import json

import pytest

from vlm_eval.cli.main import main


def ls(capsys, *arguments):
    assert main(["ls", *arguments]) == 0
    return capsys.readouterr().out


def listed(capsys, *arguments):
    return {row["name"]: row for row in json.loads(ls(capsys, *arguments, "--json"))}


def test_tasks_are_listed_and_subtasks_are_counted(capsys):
    out = ls(capsys)
    assert "vlm-fix-inverse " in out
    assert "1.0.0" in out
    assert "vlm-fix-inverse-tictactoe" not in out
    assert "subtasks: vlm_eval ls tasks --subtasks" in out


def test_subtasks_are_listed_on_request(capsys):
    out = ls(capsys, "tasks", "--subtasks")
    assert "vlm-fix-inverse-tictactoe" in out
    rows = listed(capsys, "tasks", "--subtasks")
    assert rows["vlm-fix-inverse-tictactoe"]["subtask_of"] == "vlm-fix-inverse"
    assert rows["vlm-fix-inverse"]["subtask_of"] is None
    assert set(rows["vlm-fix-inverse"]["tags"]) >= {"prior", "robustness"}
    assert rows["vlm-fix-inverse"]["file"].endswith("vlm-fix-inverse.yaml")


def test_included_folders_are_listed_too(capsys, write):
    rows = listed(capsys, "--include_path", str(write().parent))
    assert rows["toy"]["version"] == "1.2.3"
    assert rows["toy"]["title"] == "A toy"
    assert "toy" not in listed(capsys)


def test_groups_and_tags(capsys, write):
    assert listed(capsys, "groups")["vlm-fix"]["tasks"][0] == "vlm-fix-inverse"
    tags = listed(capsys, "tags", "--include_path", str(write().parent))
    assert tags["tag:tiny"]["tasks"] == ["toy"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("parsers", {"label", "letter", "vlm_fix", "yes_no"}),
        ("metrics", {"accuracy", "fixation", "minimal_pairs", "paired_difference", "versus_base"}),
        ("transforms", {"gaussian_blur", "identity", "reencode"}),
        ("sources", {"boards", "pairs", "scenes", "toy"}),
        ("models", {"tiny", "tiny-joint", "qwen2.5-vl", "llava-1.5", "gemma-3", "smolvlm"}),
    ],
)
def test_what_is_registered_is_listed_with_a_summary(capsys, toy, kind, names):
    rows = listed(capsys, kind)
    assert set(rows) >= names
    for name in names:
        assert all(isinstance(value, str) and value for value in rows[name].values())


@pytest.mark.parametrize("kind", ["parsers", "scorers", "metrics", "transforms", "sources"])
def test_summaries_are_free_of_markup(capsys, kind):
    assert not [row for row in listed(capsys, kind).values() if ":`" in row["summary"]]


@pytest.mark.parametrize("kind", ["tasks", "groups", "tags", "models", "parsers", "metrics"])
def test_tables_fit_100_columns(capsys, kind):
    assert max(map(len, ls(capsys, kind).splitlines())) <= 100


def test_a_broken_plugin_is_reported_and_stops_nothing(capsys, plugin):
    plugin("vlm_eval.parsers", odd="no_such_module:Odd")
    out = " ".join(ls(capsys, "parsers").split())
    assert "yes_no" in out
    assert "broken: parser 'odd' (no_such_module:Odd) does not load" in out


def test_a_broken_file_is_reported_and_stops_nothing(capsys, write, folder):
    write(name="bad.yaml", text="task: bad\ntask: worse\n")
    out = " ".join(ls(capsys, "--include_path", ".").split())
    assert "vlm-fix-inverse" in out
    assert "not read: bad.yaml:2: duplicate key 'task', first on line 1" in out


def test_titles_cannot_act_on_the_terminal(capsys, write):
    path = write(("title: A toy", 'title: "A \\e[2J toy"'))
    out = ls(capsys, "--include_path", str(path.parent))
    assert "\x1b" not in out
    assert r"A \x1b[2J toy" in out


def test_an_unknown_kind_is_refused(capsys):
    assert main(["ls", "task"]) == 2
    assert "invalid choice: 'task'" in capsys.readouterr().err


def test_scorers_and_the_group_of_all_tasks_are_listed(capsys):
    assert "exact" in listed(capsys, "scorers")
    assert listed(capsys, "groups")["all"]["tasks"] == ["*"]


def test_where_things_come_from_is_told_where_it_is_not_this_package(capsys, write, plugin):
    write()
    rows = listed(capsys, "--include_path", ".")
    assert rows["toy"]["from"] == "."
    assert rows["vlm-fix-inverse"]["from"] == "vlm_eval"
    assert ls(capsys, "--include_path", ".").splitlines()[-1] == "from .: toy"
    assert listed(capsys, "sources")["toy"]["from"] == "plugin_vlm_eval_sources_toy 1.0"
    assert listed(capsys, "sources")["scenes"]["from"] == "vlm_eval"
    assert "from plugin_vlm_eval_sources_toy 1.0: toy" in ls(capsys, "sources")
    assert "from " not in ls(capsys, "metrics").splitlines()[-1]
