import re
from pathlib import Path

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.tasks.loader import group_spec, load, spec_faults, task_spec

TOY = (Path(__file__).parents[1] / "toy.yaml").read_text()


def faults(path):
    return [str(fault) for fault in spec_faults(load(path))]


def test_the_toy_task_has_no_fault_and_every_key_of_the_format(write):
    document = load(write())
    assert spec_faults(document) == []
    spec = task_spec(document)
    # What makes trials depend on each other or not exist has a task of its own, test_follows.py.
    assert spec.model_fields_set == set(type(spec).model_fields) - {
        "applies",
        "follows",
        "capture",
        "analyses",
    }
    assert spec.output.choices == ("Yes", "No")
    assert spec.factors == {"blur": (1, 5), "ask": ("direct", "polite", "reverse")}
    assert [part.text for part in spec.prompt.content] == [None, "Is it {{ word }}?", " Please."]


def known_keys():
    """Yield line number and name of every key of the toy task that the format itself defines."""
    for number, line in enumerate(TOY.splitlines(), start=1):
        if re.match(r" {4,}- \{id|  (blur|ask|table|source):|    - \{name", line):
            continue
        for match in re.finditer(r"(?:^|[ {])([a-z_]+):(?= |$)", line):
            if match[1] not in {"name", "factor", "literal"}:
                yield number, match[1], match.start(1)


@pytest.mark.parametrize(("number", "key", "column"), list(known_keys()))
def test_a_misspelt_key_is_named_with_its_line_and_the_right_spelling(write, number, key, column):
    lines = TOY.splitlines()
    line = lines[number - 1]
    lines[number - 1] = f"{line[:column]}{key[:-1]}q{key[-1]}{line[column + len(key) :]}"
    found = faults(write(text="\n".join(lines)))
    wrong = f"{key[:-1]}q{key[-1]}"
    unknown = [fault for fault in found if "unknown key" in fault]
    assert len(unknown) == 1
    assert unknown[0].startswith(f"toy.yaml:{number}: unknown key '")
    assert wrong in unknown[0]
    assert re.search(rf"did you mean .*\b{key}\b", unknown[0])


WRONG_VALUES = [
    ("version: 1.2.3", "version: 1.2", "version: 1.2", "key 'version': Input should be a valid "
     "string (got 1.2); put it in quotes"),
    ("version: 1.2.3", "version: new", "version: new", "key 'version': String should match"),
    ("task: toy", "task: My Toy", "task: My Toy", "key 'task': String should match"),
    ("chance: 0.5", "chance: 1.5", "chance: 1.5", "key 'chance': Input should be less than"),
    ("chance: 0.5", "chance: half", "chance: half", "key 'chance': Input should be a valid number"),
    ("[Yes, No]", "[Yes, Yes]", "output:", "key 'output': choices must be distinct"),
    ("[Yes, No]", "[Yes]", "output:", "key 'output': choices must be two or more"),
    ("[Yes, No]", '[Yes, " "]', "output:", "key 'output': a choice is empty"),
    ("  choices: [Yes, No]\n", "", "output:", "key 'output': a choice output needs choices"),
    ("[Yes, No]", "\n  - Yes\n  - true", "  - true", "key 'output.choices[1]': Input should be a "
     "valid string (got True); put it in quotes"),
    ("kind: choice", "kind: chose", "kind: chose", "key 'output.kind': Input should be 'choice'"),
    ("tokens: 8", "tokens: 0", "tokens: 0", "key 'output.max_new_tokens': Input should be greater"),
    ("- {image: image}\n", "- {image: image, text: x}\n", "- {image: image, text: x}",
     "key 'prompt.content[0]': a part is either an image or a text"),
    ("prompt:\n  content:", "prompt:\n  template: x\n  content:", "prompt:",
     "key 'prompt': a prompt has exactly one of content, template and messages"),
    ("it {{ word }}?", "it {{ word ?", "it {{ word ?",
     "key 'prompt.content[1].text': template syntax: "),
    ("ask == 'polite'\"}", "ask = 'polite'\"}", "ask = 'polite'",
     "key 'prompt.content[2].when': template syntax: "),
    ("role: user", "role: assistant", "    prompt:",
     "key 'cases[0].prompt': the last message must be the user's"),
    ("role: user", "role: human", "role: human", "key 'cases[0].prompt.messages[1].role': "),
    ("blur: [1, 5]", "blur: []", "blur: []", "key 'factors.blur': Tuple should have at least 1"),
    ("blur: [1, 5]", "blur:\n  - 1\n  - [5]", "  - [5]", "key 'factors.blur[1]': Input should be"),
    ("blur: [1, 5]", "b-lur: [1, 5]", "b-lur: [1, 5]", "key 'factors.b-lur': String should match"),
    ("- accuracy", "- {name: 3}", "- {name: 3}",
     "key 'metrics[0].name': Input should be a valid string (got 3); put it in quotes"),
    ("  source: toy\n", "", "data:", "the key 'data.source' is missing"),
    ("blur: [1, 5]", "blur: 5", "blur: 5", "key 'factors.blur': must be a list (got 5)"),
    ("temperature: 0", "temperature: inf", "temperature: inf", "key 'output.temperature'"),
    ("stop: [\".\"]", "stop: ['']", "stop:", "key 'output.stop[0]': String should have"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), WRONG_VALUES)
def test_a_wrong_value_is_named_with_its_line_and_key(write, old, new, line, message):
    path = write((old, new))
    numbers = [i for i, text in enumerate(path.read_text().splitlines(), 1) if line in text]
    found = faults(path)
    assert any(fault.startswith(f"toy.yaml:{n}: {message}") for n in numbers for fault in found), (
        found
    )


def test_all_faults_of_the_keys_are_found_at_once(write):
    path = write(
        ("title: A toy", "titel: A toy"), ("chance: 0.5", "chance: 2"), ("kind: choice", "kind: x")
    )
    found = faults(path)
    for part in ("unknown key 'titel'", "'title' is missing", "key 'chance'", "key 'output.kind'"):
        assert sum(part in fault for fault in found) == 1
    with pytest.raises(TaskError) as caught:
        task_spec(load(path))
    assert str(caught.value) in found


def test_a_value_that_is_of_no_kind_is_told_once(write):
    assert len(faults(write(("blur: [1, 5]", "blur: [1, null]")))) == 1


def test_an_include_is_merged_at_every_depth(write):
    write(name="_base.yaml", text="a: {b: {c: 1, d: 2}, e: [1, 2]}\nf: {g: 1}\nh: 1\n")
    path = write(name="t.yaml", text="include: _base.yaml\na: {b: {d: 3}, e: [4]}\nf: null\ni: 5\n")
    document = load(path)
    assert document.data == {"a": {"b": {"c": 1, "d": 3}, "e": [4]}, "h": 1, "i": 5}
    assert document.place(("a", "b", "c")) == "_base.yaml:1"
    assert document.place(("a", "b", "d")) == "t.yaml:2"
    assert document.place(("h",)) == "_base.yaml:3"


def test_a_fault_in_an_included_file_names_that_file(write):
    write(name="_base.yaml", text=TOY.replace("task: toy\n", "").replace("chance: 0.5", "chanc: 1"))
    path = write(name="t.yaml", text="include: _base.yaml\ntask: t\n")
    assert faults(path) == ["_base.yaml:21: unknown key 'chanc'; did you mean chance?"]


def test_includes_may_nest_but_not_circle(write):
    write(name="_a.yaml", text="include: _b.yaml\nx: 1\n")
    write(name="_b.yaml", text="x: 2\ny: 2\n")
    path = write(name="t.yaml", text="include: _a.yaml\nz: 3\n")
    assert load(path).data == {"x": 1, "y": 2, "z": 3}
    write(name="_b.yaml", text="include: _a.yaml\n")
    with pytest.raises(TaskError) as caught:
        load(path)
    assert str(caught.value) == (
        "_b.yaml: an include goes in a circle: _a.yaml includes _b.yaml includes _a.yaml"
    )


@pytest.mark.parametrize("name", ["../_base.yaml", "/etc/passwd", "sub/_b.yaml", "..", "", 3])
def test_an_include_stays_in_its_folder(write, name):
    path = write(name="t.yaml", text=f"task: t\ninclude: {name!r}\n".replace("'3'", "3"))
    with pytest.raises(TaskError, match=r"^t\.yaml:2: key 'include' is "):
        load(path)


def test_a_missing_include_suggests_the_nearest_file(write):
    write(name="_base.yaml", text="x: 1\n")
    path = write(name="t.yaml", text="task: t\ninclude: _bse.yaml\n")
    with pytest.raises(TaskError) as caught:
        load(path)
    assert str(caught.value) == (
        "t.yaml:2: key 'include': there is no file '_bse.yaml' here; did you mean _base.yaml?"
    )


def test_group_files(write):
    spec = group_spec(load(write(name="g.yaml", text="group: g\ntitle: G\ntasks: [toy, 'x*']\n")))
    assert (spec.group, spec.title, spec.tasks) == ("g", "G", ("toy", "x*"))
    path = write(name="g.yaml", text="group: g\ntaks: [toy]\n")
    assert faults(path) == [
        "g.yaml:2: unknown key 'taks'; did you mean tasks?",
        "g.yaml: the key 'tasks' is missing",
    ]


def test_of_a_misspelt_key_that_is_missed_the_spelling_comes_first(write):
    with pytest.raises(TaskError, match="unknown key 'promt'; did you mean prompt") as caught:
        task_spec(load(write(("\nprompt:", "\npromt:"))))
    assert "missing" not in str(caught.value)
    assert faults(write(("  source: toy", "  sorce: toy"))) == [
        "toy.yaml:7: the key 'data.source' is missing; is 'sorce' meant to be it?"
    ]
