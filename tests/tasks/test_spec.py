import pytest
from pydantic import ValidationError

from vlm_eval.core.errors import TaskError
from vlm_eval.tasks.loader import load, task_spec
from vlm_eval.tasks.spec import Named, Prompt


@pytest.fixture
def spec(write):
    return task_spec(load(write()))


def test_a_condition_without_a_case_asks_what_the_task_says(spec):
    ask = spec.ask({"blur": 1, "ask": "polite"})
    assert (ask.prompt, ask.output, ask.gold) == (spec.prompt, spec.output, spec.gold)
    assert (ask.parser, ask.image) == (spec.parser, spec.image)
    assert ask.origin["gold"] == ("gold",)


def test_the_first_case_that_holds_replaces_whole_keys(spec):
    ask = spec.ask({"blur": 1, "ask": "reverse"})
    assert ask.gold == "{{ word }}"
    assert ask.output.kind == "generate"
    assert ask.output.max_new_tokens == 16, "the case's output is its own, not merged"
    assert ask.image.transform == ()
    assert ask.parser.name == "label"
    assert ask.parser.literal is None
    assert ask.origin["prompt"] == ("cases", 0, "prompt")


def test_a_case_may_leave_keys_alone(write):
    path = write(('    gold: "{{ word }}"\n', ""), ("    parser: label\n", ""))
    ask = task_spec(load(path)).ask({"blur": 1, "ask": "reverse"})
    assert ask.gold == "{{ answer }}"
    assert ask.parser.name == "yes_no"
    assert ask.origin["gold"] == ("gold",)


def test_only_the_first_case_counts(write):
    path = write(("metrics:", '  - {when: "True", gold: "second"}\nmetrics:'))
    spec = task_spec(load(path))
    assert spec.ask({"blur": 1, "ask": "reverse"}).gold == "{{ word }}"
    assert spec.ask({"blur": 1, "ask": "direct"}).gold == "second"


def test_a_case_that_asks_for_no_factor_is_an_error(spec, write):
    path = write(("when: \"ask == 'reverse'\"", "when: \"aks == 'reverse'\""))
    with pytest.raises(TaskError, match=r"'aks' is undefined; did you mean ask\?"):
        task_spec(load(path)).ask({"blur": 1, "ask": "direct"})


def test_what_the_condition_decides_is_decided_once(write):
    when = '" Please.", when: "ask == \'polite\'"'
    path = write(
        (when, f'{when}}}\n    - {{text: "Red?", when: "kind == \'red\' and blur == 1"'),
        ('kernel: "{{ blur }}"', 'kernel: "{{ blur }}", when: "blur > 1"'),
    )
    spec = task_spec(load(path))

    def parts(**condition):
        [(_, found)] = spec.ask(condition).turns
        return [(part.text, part.when, place) for part, place in found if part.text]

    sample_decides = ("Red?", "kind == 'red' and blur == 1", ("content", 3))
    asked = ("Is it {{ word }}?", None, ("content", 1))
    assert parts(blur=1, ask="direct") == [asked, sample_decides]
    please = (" Please.", None, ("content", 2))
    assert parts(blur=1, ask="polite") == [asked, please, sample_decides]
    assert spec.ask({"blur": 1, "ask": "direct"}).transforms == ()
    [(place, step)] = spec.ask({"blur": 5, "ask": "direct"}).transforms
    assert (place, step.name, step.when) == (0, "gaussian_blur", None)


def test_a_template_prompt_begins_with_the_image_of_the_task():
    prompt = Prompt(template="What is it?")
    [(role, parts)] = prompt.turns("photo")
    assert role == "user"
    assert [(part.image, part.text) for part, _ in parts] == [
        ("photo", None),
        (None, "What is it?"),
    ]
    [(_, parts)] = prompt.turns(None)
    assert [part.text for part, _ in parts] == ["What is it?"]


def test_messages_keep_their_roles_and_paths(spec):
    turns = list(spec.cases[0].prompt.turns("image"))
    assert [role for role, _ in turns] == ["system", "user"]
    assert [path for _, parts in turns for _, path in parts] == [
        ("messages", 0, "content", 0),
        ("messages", 1, "content", 0),
        ("messages", 1, "content", 1),
    ]


def test_a_bare_name_is_a_thing_without_options():
    assert Named.model_validate("accuracy").options() == {"name": "accuracy"}
    assert Named.model_validate({"name": "x", "a": [1]}).options() == {"name": "x", "a": [1]}


def test_specs_are_frozen(spec):
    with pytest.raises(ValidationError, match="frozen"):
        spec.title = "other"
