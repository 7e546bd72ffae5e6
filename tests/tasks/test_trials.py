import json

import pytest

from vlm_eval.core.errors import DataError, TaskError, UsageError
from vlm_eval.core.types import Decoding
from vlm_eval.tasks.trials import expand, samples, trial_faults


def trials(task, **options):
    return list(expand(task, **options))


def by_condition(found, **levels):
    return [t for t in found if all(t.condition[k] == v for k, v in levels.items())]


def test_every_sample_is_asked_under_every_condition(load_toy):
    task = load_toy()
    found = trials(task)
    assert len(found) == 3 * 5
    assert [t.sample_id for t in found[::5]] == ["s-a", "s-b", "s-c"]
    assert [dict(t.condition) for t in found[:5]] == task.conditions()
    assert {t.sample_id: t.cluster for t in found} == {"s-a": "red", "s-b": "red", "s-c": "blue"}


def test_a_trial_says_what_is_asked(load_toy):
    [plain, *_] = trials(load_toy())
    assert plain.prompt == "<image>Is it rose?"
    assert (plain.gold, plain.choices) == ("Yes", ("Yes", "No"))
    assert plain.request.choices == ("Yes", "No")
    assert plain.request.decoding is None
    assert plain.task == "toy"
    polite = by_condition(trials(load_toy()), ask="polite")[0]
    assert polite.prompt == "<image>Is it rose? Please."


def test_a_case_is_asked_in_its_own_way(load_toy):
    reverse = by_condition(trials(load_toy()), ask="reverse", blur=5)[0]
    assert reverse.prompt == "[system] Be brief.\n[user] Which word is it?<image>"
    assert [message.role for message in reverse.request.messages] == ["system", "user"]
    assert reverse.choices == ("rose", "stone"), "options for the parser"
    assert reverse.request.choices is None
    assert reverse.request.decoding == Decoding(max_new_tokens=16)
    assert reverse.gold == "rose"


def test_fields_are_those_of_the_condition_without_images(load_toy):
    found = trials(load_toy())[3]
    assert found.fields == {
        "id": "a", "kind": "red", "word": "rose", "answer": "Yes", "blur": 5, "ask": "direct",
        "seen": {"blur": 5, "ask": "direct"},
    }  # fmt: skip
    assert json.loads(json.dumps(found.fields)) == found.fields


def test_transforms_depend_on_the_condition(load_toy):
    found = trials(load_toy())
    sharp, blurred = (by_condition(found, ask="direct", blur=b)[0].request.images for b in (1, 5))
    assert sharp[0].key != blurred[0].key
    assert sharp[0].load().size == blurred[0].load().size == (40, 30)
    polite = by_condition(found, ask="polite")[0].request.images
    assert polite[0].key == sharp[0].key, "one image, changed alike, is one image"


def test_a_request_id_says_all_that_is_asked_and_nothing_else(load_toy):
    def ids(*changes, **options):
        return {t.request.id for t in trials(load_toy(*changes), **options)}

    first = ids()
    # 3 samples x (direct sharp, direct blurred, polite), and 2 images with the reverse question.
    assert len(first) == 11
    assert ids() == first
    assert ids(("title: A toy", "title: Another")) == first
    assert ids(("- accuracy", "- parse_failures")) == first
    assert ids(("slices: [kind]\n", "")) == first
    assert ids(decoding={"temperature": 0.0}) == first
    assert not ids(("version: 1.2.3", "version: 1.2.4")) & first
    assert len(ids(("Is it {{ word }}?", "Is it {{ word }}!")) & first) == 2
    assert len(ids(("choices: [Yes, No]", "choices: [No, Yes]")) & first) == 2
    assert len(ids(("{{ blur }}", "{{ blur + 2 }}")) & first) == 2
    assert len(ids(("Be brief.", "Be long.")) & first) == 9
    assert len(ids(decoding={"max_new_tokens": 3}) & first) == 9
    assert not {t.request.id for t in trials(load_toy(name="toy-red"))} & first


def test_the_same_question_has_the_same_id(load_toy):
    same = ('word: brick, answer: "No"', 'word: rose, answer: "Yes"')
    found = trials(load_toy(same))
    assert [t.request.id for t in found[:5]] == [t.request.id for t in found[5:10]]


@pytest.mark.parametrize(("limit", "expected"), [(1, "a"), (2, "ac"), (3, "acb"), (9, "acb")])
def test_a_limit_takes_samples_in_turn_from_each_slice(load_toy, limit, expected):
    found = [sample.id for sample in samples(load_toy(), limit=limit)]
    assert found == [f"s-{letter}" for letter in expected]
    assert len(trials(load_toy(), limit=limit)) == 5 * len(expected)


def test_without_slices_a_limit_takes_the_first(load_toy):
    task = load_toy(("slices: [kind]\n", ""))
    assert [sample.id for sample in samples(task, limit=2)] == ["s-a", "s-b"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(load_toy, limit):
    with pytest.raises(UsageError, match=f"--limit {limit} must be 1 or more"):
        trials(load_toy(), limit=limit)


def test_decoding_is_the_tasks_with_the_users_changes(load_toy):
    task = load_toy(output="generate")
    [plain, *_] = trials(task)
    assert plain.request.decoding == Decoding(8, 0.0, 1.0, (".",))
    [changed, *_] = trials(task, decoding={"max_new_tokens": "32", "temperature": 0.5})
    assert changed.request.decoding == Decoding(32, 0.5, 1.0, (".",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_tokens": 3}, "unknown decoding option 'max_tokens'; did you mean max_new_tokens?"),
        ({"kind": "choice"}, "unknown decoding option 'kind'; known: max_new_tokens"),
        ({"max_new_tokens": 0}, "decoding option 'max_new_tokens': Input should be greater"),
        ({"temperature": -1}, "decoding option 'temperature': "),
        ({"temperature": "hot"}, "decoding option 'temperature': Input should be a valid number"),
        ({"top_p": 0}, "decoding option 'top_p': "),
        ({"top_p": 1.5}, "decoding option 'top_p': "),
    ],
)
def test_a_wrong_decoding_option_is_named(load_toy, given, message):
    with pytest.raises(UsageError) as caught:
        trials(load_toy(), decoding=given)
    assert str(caught.value).startswith(message)


FAULTS = [
    ("Is it {{ word }}?", "Is it {{ wrod }}?", "key 'prompt.content[1]', sample 's-a' under "
     "blur=1,ask=direct: 'wrod' is undefined; did you mean word"),
    ("when: \"ask == 'polite'\"", "when: \"aks == 'polite'\"",
     "key 'prompt.content[2].when', sample 's-a' under blur=1,ask=direct: 'aks' is undefined"),
    ("- {image: image}\n", "- {image: picture}\n", "key 'prompt.content[0]', sample 's-a' under "
     "blur=1,ask=direct: 'picture' is no image field; known: image"),
    ("- {image: image}\n", "- {image: word}\n", "'word' is no image field"),
    ("Is it {{ word }}?", "{{ '' }}", "the text is empty"),
    ('gold: "{{ answer }}"', 'gold: "{{ word }}"', "key 'gold', sample 's-a' under blur=1,"
     "ask=direct: the answer 'rose' is none of the choices 'Yes', 'No'"),
    ('    gold: "{{ word }}"', '    gold: "{{ wrd }}"',
     "key 'cases[0].gold', sample 's-a' under blur=1,ask=reverse: 'wrd' is undefined"),
    ('["{{ word }}", stone]', '["{{ word }}", rose]', "key 'cases[0].output.choices[1]', sample "
     "'s-a' under blur=1,ask=reverse: the option 'rose' is there twice"),
    ('["{{ word }}", stone]', '["{{ word }}", "{{ \'\' }}"]', "the option is empty"),
    ("choices: [\"{{ word }}\", stone]\n    gold: \"{{ word }}\"",
     "max_new_tokens: 4\n    gold: \" \"", "the answer is empty"),
    ('sample_id: "s-{{ id }}"', 'sample_id: "s-{{ ids }}"', "key 'sample_id': 'ids' is undefined"),
    ('sample_id: "s-{{ id }}"', 'sample_id: "{{ blur }}"', "key 'sample_id': 'blur' is undefined"),
    ('sample_id: "s-{{ id }}"', 'sample_id: "{{ kind }}"', "two samples have the id 'red'"),
    ('cluster: "{{ kind }}"', 'cluster: "{{ \'\' }}"', "key 'cluster': renders to nothing"),
    ('kernel: "{{ blur }}"', 'kernel: "{{ blurr }}"', "key 'image.transform[0]', sample 's-a' under"
     " blur=1,ask=direct: 'blurr' is undefined; did you mean blur"),
    ('kernel: "{{ blur }}"', 'kernel: "{{ word }}"', "key 'image.transform[0]', sample 's-a' "),
    ("content: [{text: \"Which word is it?\"}, {image: image}]",
     "content: [{text: x, when: \"blur > 9\"}]", "the user's turn is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), FAULTS)
def test_a_fault_names_file_line_key_sample_and_condition(load_toy, old, new, message):
    task = load_toy((old, new))
    with pytest.raises(TaskError) as caught:
        trials(task)
    assert str(caught.value).startswith("toy.yaml:")
    assert message in str(caught.value)


def test_a_field_that_is_no_json_value_is_named(load_toy, monkeypatch):
    task = load_toy()
    rows = [{**row, "when": {1, 2}} for row in task.source.rows()]
    monkeypatch.setattr(type(task.source), "rows", lambda _: iter(rows))
    with pytest.raises(DataError, match=r"^sample 's-a': fields that are no JSON values: when"):
        trials(task)


def test_all_faults_of_a_trial_are_found_at_once(load_toy):
    task = load_toy(
        ("Is it {{ word }}?", "{{ wrod }}"),
        ('gold: "{{ answer }}"', 'gold: "{{ ansr }}"'),
        ("- {image: image}\n", "- {image: imge}\n"),
    )
    [sample, *_] = samples(task)
    trials, faults = trial_faults(task, sample, {"blur": 1, "ask": "direct"})
    assert trials == []
    assert sorted(fault.what for fault in faults) == [
        "'ansr' is undefined", "'imge' is no image field", "'wrod' is undefined",
    ]  # fmt: skip
    trials, faults = trial_faults(task, sample, {"blur": 1, "ask": "reverse"})
    assert [trial.sample_id for trial in trials] == [sample.id]
    assert faults == []


def test_random_transforms_follow_the_seed_and_the_image(load_toy, plugin, monkeypatch, tmp_path):
    (tmp_path / "noise_plugin.py").write_text(
        "import numpy as np\n"
        "from typing import ClassVar\n"
        "from PIL import Image\n"
        "from vlm_eval.core.options import configurable\n"
        "@configurable\n"
        "class Noise:\n"
        "    uses_seed: ClassVar[bool] = True\n"
        "    def __call__(self, image, seed):\n"
        "        rng = np.random.default_rng(seed)\n"
        "        return Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin("vlm_eval.transforms", noise="noise_plugin:Noise")
    task = load_toy(('{name: gaussian_blur, kernel: "{{ blur }}"}', "noise"))
    first, again, other = (trials(task, seed=s) for s in (0, 0, 1))

    def pixels(trial):
        return trial.request.images[0].load().tobytes()

    assert pixels(first[0]) == pixels(again[0])
    assert pixels(first[0]) != pixels(other[0])
    assert first[0].request.images[0].key != other[0].request.images[0].key
    assert pixels(first[0]) == pixels(first[1]), (
        "two questions about one image see it changed alike"
    )
    assert pixels(first[0]) != pixels(first[10]), "two images do not"
