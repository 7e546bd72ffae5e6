"""Trials that are asked after another one, and trials that exist for some samples only."""

import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import Match
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand, make_trial, samples, trial_faults

DEPENDENT = """\
task: dependent
version: 1.0.0
title: The question names what was answered first
data:
  source: toy
  table:
    - {id: a, options: [rose, stone, sky], image: "colour:red", answer: rose}
    - {id: b, options: [rose, stone], image: "colour:blue", answer: stone}
sample_id: "{{ id }}"
factors:
  overlay: [clean, third, mislead]
applies: "overlay != 'third' or options | length > 2"
follows: {when: "overlay == 'mislead'", condition: {overlay: clean}}
image:
  transform:
    - {name: gaussian_blur, kernel: "{{ 1 if overlay == 'clean' else 3 }}"}
prompt:
  content:
    - {image: image, when: "overlay != 'third'"}
    - {text: "What is it?"}
    - {text: " It is {{ options | reject('equalto', first_answer) | first }}.",
       when: "overlay == 'mislead'"}
output:
  kind: choice
  choices: "{{ options }}"
  match: {images: [image], texts: "{{ options }}"}
gold: "{{ answer }}"
parser: label
metrics:
  - accuracy
  - {name: paired_difference, factor: overlay}
"""


@pytest.fixture
def load(write):
    def load(*changes):
        path = write(*changes, name="dependent.yaml", text=DEPENDENT)
        return TaskIndex([path.parent]).load("dependent")

    return load


def test_a_trial_exists_where_it_applies(load):
    found = [(t.sample_id, t.condition["overlay"]) for t in expand(load())]
    assert found == [
        ("a", "clean"), ("a", "third"), ("a", "mislead"), ("b", "clean"), ("b", "mislead"),
    ]  # fmt: skip


def test_without_its_answer_the_first_is_taken_to_be_right(load):
    trials = {(t.sample_id, t.condition["overlay"]): t for t in expand(load())}
    mislead = trials["a", "mislead"]
    assert mislead.prompt == "<image>What is it? It is stone."
    assert mislead.fields["first_answer"] == "rose"
    assert mislead.follow.condition == {"overlay": "clean"}
    assert trials["b", "mislead"].prompt == "<image>What is it? It is rose."
    assert trials["a", "clean"].follow is None
    assert "first_answer" not in trials["a", "clean"].fields


def test_it_is_rendered_again_with_the_answer(load):
    mislead = next(t for t in expand(load()) if t.follow)
    again = mislead.follow.render("stone")
    assert again.prompt == "<image>What is it? It is rose."
    assert again.fields["first_answer"] == "stone"
    assert again.request.id != mislead.request.id
    assert mislead.follow.render("rose").request.id == mislead.request.id
    assert (again.sample_id, again.condition) == (mislead.sample_id, mislead.condition)


def test_validation_renders_it_for_every_answer(load):
    task = load()
    sample = next(samples(task))
    trials, faults = trial_faults(task, sample, {"overlay": "mislead"})
    assert faults == []
    assert [t.fields["first_answer"] for t in trials] == ["rose", "stone", "sky"]
    assert trial_faults(task, list(samples(task))[1], {"overlay": "third"}) == ([], [])
    task = load(
        ("first_answer) | first", "first_answer) | list)[1]"), (" It is {{ ", " It is {{ (")
    )
    [_, sample] = samples(task)
    trials, faults = trial_faults(task, sample, {"overlay": "mislead"})
    assert trials == []
    assert "key 'prompt.content[2]" in str(faults[0])


def test_an_answer_may_reach_a_transform(load):
    task = load(("1 if overlay == 'clean' else 3", "5 if first_answer is defined else 1"))
    clean, _, mislead, *_ = expand(task)
    assert clean.request.images != mislead.request.images


def test_the_answer_is_not_known_where_nothing_is_followed(load):
    with pytest.raises(TaskError, match="'first_answer' is undefined"):
        list(expand(load(("What is it?", "{{ first_answer }}"))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("condition: {overlay: clean}", "condition: {overlay: cleen}"),
            "no condition overlay=cle",
        ),
        (("condition: {overlay: clean}", "condition: {ovrlay: clean}"), "no condition"),
        (("condition: {overlay: clean}", "condition: {overlay: mislead}"), "follows one itself"),
        (("\"overlay == 'mislead'\", c", "\"overlay == 'misled'\", c"), "holds under no condition"),
        (("\"overlay == 'mislead'\", c", "\"ovrlay == 'mislead'\", c"), "'ovrlay' is undefined"),
    ],
)
def test_what_is_followed_must_exist(load, change, message):
    with pytest.raises(TaskError, match=message) as caught:
        load(change)
    assert "key 'follows" in str(caught.value)


def test_what_is_followed_must_apply_to_the_sample(load):
    task = load(("condition: {overlay: clean}", "condition: {overlay: third}"))
    with pytest.raises(TaskError, match="overlay=third does not apply") as caught:
        list(expand(task))
    assert "sample 'b'" in caught.value.where


def test_a_field_must_not_hide_the_answer(load):
    with pytest.raises(TaskError, match="a field 'first_answer' too"):
        list(expand(load(("{id: a,", "{id: a, first_answer: x,"))))


def test_the_options_of_each_sample_are_its_own(load):
    assert [t.choices for t in expand(load())][-1] == ("rose", "stone")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("[rose]", "choices must be two or more"),
        ("[rose, rose]", "is there twice"),
        ('[rose, " "]', "the option is empty"),
        ("rose", "gives no list of texts"),
        ("[1, 2]", "gives no list of texts"),
        ("[stone, sky]", "'rose' is none of the choices"),
    ],
)
def test_options_that_are_no_choice_are_named(load, options, message):
    with pytest.raises(TaskError, match=message) as caught:
        list(expand(load(("[rose, stone, sky]", options))))
    assert "sample 'a'" in caught.value.where


def test_one_template_of_choices_must_be_an_expression(load):
    with pytest.raises(TaskError, match="must be a list"):
        load(('choices: "{{ options }}"', "choices: rose"))


def test_a_contrastive_model_gets_an_image_and_a_text_for_each_option(load):
    clean, third, *_ = expand(load())
    assert clean.request.match == Match(clean.request.images, ("rose", "stone", "sky"))
    assert third.request.images == ()
    assert len(third.request.match.images) == 1, "it compares even what is not in the prompt"
    blurred = third.request.match.images[0].key
    assert blurred != clean.request.images[0].key, "its images are transformed too"


def test_texts_for_a_match_may_be_a_list_of_templates(load):
    task = load(
        ('texts: "{{ options }}"', 'texts: ["a {{ options[0] }}", "a {{ options[1] }}"]'),
        ("[rose, stone, sky]", "[rose, stone]"),
    )
    assert next(expand(task)).request.match.texts == ("a rose", "a stone")


@pytest.mark.parametrize(
    "match",
    [
        'images: [image], texts: ["a"]',
        "images: [image, image], texts: [a, b]",
        'images: [image, image], texts: "{{ options }}"',
    ],
)
def test_a_match_needs_one_against_one_a_choice(load, match):
    task = load(('images: [image], texts: "{{ options }}"', match))
    with pytest.raises(TaskError, match=r"images and .* texts for 3 choices"):
        next(expand(task))


def test_only_questions_with_a_match_have_other_ids(load):
    line = '  match: {images: [image], texts: "{{ options }}"}\n'
    with_it, without = next(expand(load())), next(expand(load((line, ""))))
    assert without.request.match is None
    assert with_it.request.id != without.request.id
    other = next(
        expand(load(('texts: "{{ options }}"', 'texts: "{{ options | reverse | list }}"')))
    )
    assert other.request.id != with_it.request.id


def test_generated_answers_need_no_match(load, write):
    path = write(name="dependent.yaml", text=DEPENDENT)
    task = TaskIndex([path.parent]).load("dependent", output="generate")
    assert next(expand(task)).request.match is None


def test_a_match_without_choices_is_a_fault(load):
    with pytest.raises(TaskError, match="a match needs choices"):
        load(("kind: choice\n", "kind: generate\n"), ('  choices: "{{ options }}"\n', ""))


def test_make_trial_says_that_there_is_none(load):
    task = load()
    [_, sample] = samples(task)
    assert make_trial(task, sample, {"overlay": "third"}) is None
