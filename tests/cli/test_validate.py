import pytest

from vlm_eval.cli.main import main
from vlm_eval.tasks.index import shipped_tasks


@pytest.fixture
def validate(capsys):
    def validate(*arguments):
        status = main(["validate", *map(str, arguments)])
        return status, capsys.readouterr()

    return validate


def test_a_good_file_is_summed_up_for_a_pull_request(validate, write):
    status, captured = validate(write())
    assert (status, captured.err) == (0, "")
    for part in (
        "### toy 1.2.3: ok",
        "- file toy.yaml, digest ",
        "- 5 conditions: blur (1, 5), ask (direct, polite, reverse)",
        "- 3 samples rendered under each: s-a, s-c, s-b; 15 trials, 6 distinct images decoded",
        "- output choice, parser yes_no, metrics accuracy, paired_difference",
        "- 2 subtasks: red, blue",
        "- synthetic: a toy",
        "```text\ns-a under blur=1,ask=direct:\n<image>Is it rose?\n```",
    ):
        assert part in captured.out, part


def test_a_shipped_task_is_validated_by_name(validate):
    status, captured = validate("scene-presence")
    assert status == 0
    assert "### scene-presence 1.0.0: ok" in captured.out


def test_groups_and_folders_are_validated_whole(validate, write, folder):
    write()
    write(name="g.yaml", text="group: toys\ntasks: [toy]\n")
    write(name="_part.yaml", text="version: 1.0.0\n")
    status, captured = validate(folder, "--include_path", folder)
    assert status == 0
    assert "### toys: ok\n- file g.yaml\n- a group of toy\n" in captured.out
    assert "### toy 1.2.3: ok" in captured.out
    status, captured = validate("toys", "--include_path", folder)
    assert (status, captured.out.count("###")) == (0, 1)
    status, captured = validate("_part.yaml")
    assert "a shared part: validate the tasks that include it" in captured.out


def faults(captured):
    return [line for line in captured.out.splitlines() if line.startswith("- ")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("title: A toy", "titel: A"), ("chance: 0.5", "chance: 2"), ("tags:", "tgas:")],
            ["unknown key 'titel'; did you mean title?", "the key 'title' is missing",
             "key 'chance': Input should be less than",
             "unknown key 'tgas'; did you mean task or tags?"],
        ),
        (
            [("source: toy", "source: toi"), ("- accuracy", "- acuracy"), ("r: label", "r: labl")],
            ["unknown data source 'toi'; did you mean toy?", "unknown metric 'acuracy'",
             "unknown parser 'labl'"],
        ),
        (
            [("Is it {{ word }}?", "{{ wrod }}"), ("{{ answer }}", "{{ ansr }}"),
             ("Which word is it?", "{{ whihc }}")],
            ["'wrod' is undefined; did you mean word", "'ansr' is undefined; did you mean answer",
             "'whihc' is undefined"],
        ),
        (
            [("word: rose, answer: \"Yes\"", "word: stone, answer: \"Maybe\"")],
            ["the answer 'Maybe' is none of the choices 'Yes', 'No'",
             "the option 'stone' is there twice"],
        ),
        ([("colour:blue", "colour:broken")],
         ["broken, sample 's-c' (and 2 more trials): cannot be decoded"]),
        ([("choices: [Yes, No]", "choices: [good, bad]"),
          ('gold: "{{ answer }}"', "gold: \"{{ 'good' if answer == 'Yes' else 'bad' }}\"")],
         ["key 'parser': the parser makes None of the right answer 'good'"]),
        ([("option: kinds", "option: kind")],
         ["subtask toy-red: data source toy has no option 'kind'; did you mean kinds"]),
        ([("  table:\n", "  kinds: [green]\n  table:\n")], ["the data source has no rows"]),
        ([('"s-{{ id }}"', '"{{ kind }}"')], ["two samples have the id 'red'"]),
        ([("paper:", "paper: {\npaper:")], ["YAML: "]),
    ],
)  # fmt: skip
def test_every_fault_is_explained_with_its_place(validate, write, changes, expected):
    status, captured = validate(write(*changes))
    assert status == 2
    assert captured.err.startswith("vlm_eval: error: ")
    assert captured.err.count("\n") == 1
    first = captured.err.removeprefix("vlm_eval: error: ").partition(" (the first of")[0]
    assert any(first.strip()[:40] in line for line in faults(captured))
    for part in expected:
        assert sum(part in line for line in faults(captured)) == 1, (part, captured.out)
    assert all(
        "toy.yaml" in line or "broken" in line for line in faults(captured) if "fault" in line
    )


def test_a_fault_of_many_trials_is_told_once(validate, write):
    _, captured = validate(write(("Is it {{ word }}?", "{{ wrod }}")))
    [line] = [line for line in faults(captured) if "wrod" in line]
    assert line.startswith("- toy.yaml:29: key 'prompt.content[1]', sample 's-a' under blur=1")
    assert "(and 8 more trials)" in line


def test_a_level_that_the_source_does_not_know_has_its_place(validate, tmp_path):
    folder = shipped_tasks() / "vlm-fix"
    for name in ("_vlm_fix.yaml", "vlm-fix-inverse.yaml"):
        text = (folder / name).read_text().replace("vlm-fix-inverse", "boards")
        (tmp_path / name).write_text(
            text.replace("image_first, text_first", "image_first, text_frst")
        )
    _, captured = validate(tmp_path / "vlm-fix-inverse.yaml")
    [line] = [line for line in faults(captured) if "'text_frst'" in line]
    assert "vlm-fix-inverse.yaml:8: key 'factors.order', sample 'tictactoe-1' under" in line
    assert "factor 'order' has no level 'text_frst' here; did you mean text_first" in line


def test_good_and_bad_files_are_told_apart(validate, write):
    bad = write(("task: toy", "task: bad"), ("chance: 0.5", "chance: 9"), name="bad.yaml")
    status, captured = validate(write(), bad)
    assert status == 2
    assert "### toy 1.2.3: ok" in captured.out
    assert "### bad.yaml: 1 fault(s)" in captured.out
    [line] = [line for line in faults(captured) if "'chance'" in line]
    assert captured.err == f"vlm_eval: error: {line.removeprefix('- ')}\n"


def test_the_error_line_is_the_first_fault_and_their_number(validate, write):
    bad = write(("chance: 0.5", "chance: 9"), ("kind: choice", "kind: chose"))
    _, captured = validate(bad)
    assert captured.err.startswith("vlm_eval: error: toy.yaml:")
    assert "key 'chance'" in captured.err
    assert captured.err.endswith("(the first of 2 faults in 1 of 1 file(s))\n")


def test_a_folder_without_task_files_is_no_success(validate, tmp_path):
    (tmp_path / "none").mkdir()
    status, captured = validate(tmp_path / "none")
    assert status == 2
    assert "no task file in" in captured.err


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("slices: [kind]", "slices: [kinds]"), "key 'slices': a metric asks for the field"),
        (("- accuracy", "- {name: accuracy, score: acuracy}"), "key 'metrics[0]': a metric asks"),
    ],
)
def test_what_no_metric_can_find_is_a_fault(validate, write, change, place):
    status, captured = validate(write(change))
    assert status == 2
    assert place in captured.err
    assert "did you mean" in captured.err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("nowhere.yaml", "nowhere.yaml: cannot be read: No such file or directory"),
        ("toyy", "unknown task 'toyy'"),
    ],
)
def test_what_is_not_there_is_named(validate, folder, argument, message):
    status, captured = validate(argument)
    assert status == 2
    assert message in captured.out + captured.err


def test_a_taken_name_is_a_fault(validate, write):
    text = write(("task: toy", "task: scene-presence")).read_text()
    status, captured = validate(write(name="mine.yaml", text=text))
    assert status == 2
    assert "two files define 'scene-presence'" in captured.err
