"""The tasks of blur-decay-vqa: what the protocol (spec A2) says they must be."""

import pytest

from vlm_eval.core.types import Answer, Picture
from vlm_eval.data.vqa.benchmarks import benchmarks
from vlm_eval.runner.api import evaluate
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import score
from vlm_eval.tasks.trials import expand

INDEX = TaskIndex()
FAMILY = [e.name for e in INDEX.tasks if e.name.startswith("blur-decay-") and e.parent is None]
SUITE = (  # A2.7: six of the paper's twelve, and six of ours
    "repope", "hrbench4k", "hrbench8k", "hallusion_bench_image", "vstar_bench", "vlms_are_biased",
    "mmmu_val", "mmstar", "seedbench_img", "realworldqa", "mmvp", "naturalbench", "scienceqa_img",
)  # fmt: skip
KERNELS = (1, 5, 11, 21, 31, 41, 51, 61)
TERMINALS = ("mean", "gray", "text_only")


def load(name):
    return INDEX.load(name, data="embedded")


def trials(name, limit=2):
    return list(expand(load(name), limit=limit))


def test_the_group_is_the_suite():
    assert INDEX.resolve("blur-decay-vqa") == [f"blur-decay-{name}" for name in SUITE]


@pytest.mark.parametrize("name", FAMILY)
def test_the_levels_are_the_protocols(name):
    task = load(name)
    assert task.factors["blur"] == (*KERNELS, *TERMINALS, "reencode")
    assert task.spec.controls == {"blur": ("reencode",)}
    spaces = task.factors["space"]
    suite = name.removeprefix("blur-decay-") in SUITE
    assert spaces[0] == "native"
    assert not suite or spaces == ("native", "normalized")


@pytest.mark.parametrize("name", FAMILY)
def test_the_defaults_of_a_task_are_those_of_its_benchmark(name):
    options = INDEX.load(name).spec.data.options()
    if options["name"] == "vqa" and "hub" in options:
        assert options["hub"] == benchmarks()[options["benchmark"]].hub


@pytest.mark.parametrize("name", FAMILY)
def test_the_question_is_the_same_at_every_level_and_only_the_image_goes(name):
    found = trials(name)
    for sample in {trial.sample_id for trial in found}:
        own = [t for t in found if t.sample_id == sample and not t.condition.get("options_order")]
        texts = {t.prompt.replace("<image>", "") for t in own}
        assert len(texts) == 1
        assert len({(t.gold, t.choices) for t in own}) == 1
        pictures = {t.condition["blur"]: len(t.request.images) for t in own}
        assert pictures.pop("text_only") == 0
        assert len(set(pictures.values())) == 1


def test_a_level_is_computed_from_the_original_and_shared_levels_are_asked_once():
    found = trials("blur-decay-mmstar", 1)
    keys = {(t.condition["blur"], t.condition["space"]): t.request.id for t in found}
    for level in (1, *TERMINALS, "reencode"):
        assert keys[level, "native"] == keys[level, "normalized"]
    blurred = {keys[level, space] for level in KERNELS[1:] for space in ("native", "normalized")}
    assert len(set(keys.values())) == 5 + len(blurred) == 19
    images = {t.condition["blur"]: t.request.images[0].load() for t in found if t.request.images}
    assert images[1].tobytes() == images["reencode"].tobytes()
    assert images["gray"].getcolors() == [(224 * 224, (127, 127, 127))]
    assert len(images["mean"].getcolors()) == 1


def test_all_pictures_of_a_question_are_blurred_alike():
    found = [t for t in trials("blur-decay-mmmu_val", 4) if len(t.request.images) == 2]
    assert found
    for trial in found:
        parts = trial.request.messages[0].parts
        assert [type(part) for part in parts].count(Picture) == 2
        if trial.condition["blur"] == "gray":
            assert all(len(p.image.load().getcolors()) == 1 for p in parts if type(p) is Picture)


TOKENS = {"vlms_are_biased": 32, "mmmu_val-open": 64, "docvqa": 32}


@pytest.mark.parametrize("name", FAMILY)
def test_answers_are_generated_greedily_with_the_protocols_budget(name):
    decoding = trials(name, 1)[0].request.decoding
    wanted = TOKENS.get(name.removeprefix("blur-decay-"), 16)
    assert (decoding.temperature, decoding.max_new_tokens) == (0.0, wanted)


SAID = [  # task, what is said of a gold answer, whether it is right
    ("mmstar", "{gold}", True),
    ("mmstar", "({gold}) because", True),
    ("mmstar", "I cannot tell.", None),
    ("hallusion_bench_image", "{gold}, it is so.", True),
    ("repope", "{gold}.", True),
    ("naturalbench", "{gold}.", True),
    ("vlms_are_biased", "{{{gold}}}", True),
    ("vlms_are_biased", "The number is {gold}.", True),
    ("vlms_are_biased", "2 or 3", None),
    ("realworldqa", "{gold}.", True),
    ("gqa", "The {gold}", False),
    ("gqa", "{gold}!", True),
    ("chartqa", "{gold}", True),
    ("docvqa", "{gold}", True),
    ("vizwiz_val", "{gold}", True),
    ("blink", "({gold}) it is", True),
    ("cv_bench", "{gold}", True),
    ("mmbench_en", "{gold}.", True),
    ("mme", "{gold}, it is.", True),
    ("textvqa", "{gold}.", True),
    ("vqav2_val", "{gold}", True),
    ("mmmu_val-open", "The answer is {gold}.", True),
]


@pytest.mark.parametrize(("name", "said", "right"), SAID)
def test_what_is_said_is_found_and_scored(name, said, right):
    task = load(f"blur-decay-{name}")
    trial = next(iter(expand(task, limit=1)))
    outcome = Answer(text=said.format(gold=trial.gold))
    found = score(
        task, condition=trial.condition, gold=trial.gold, choices=trial.choices, outcome=outcome,
        fields=trial.fields,
    )  # fmt: skip
    assert (found.answer is None) == (right is None)
    accuracy = found.scores["accuracy"]
    assert accuracy > 0.8 if right else accuracy == 0


def test_an_option_is_found_by_its_text_and_by_the_samples_own_letters_only():
    task = load("blur-decay-mmstar")
    trial = next(iter(expand(task, limit=1)))
    assert len(trial.choices) == 4

    def answer(text):
        return score(
            task, condition=trial.condition, gold=trial.gold, choices=trial.choices,
            outcome=Answer(text=text), fields=trial.fields,
        ).answer  # fmt: skip

    # The first question asks for a number: "1" is the option with that text, not the first one.
    assert all(text.isdigit() for text in trial.fields["options"])
    for letter, text in zip(trial.choices, trial.fields["options"], strict=True):
        assert answer(text) == answer(letter) == letter
    assert answer("E") is None


def test_both_orders_of_the_options_have_the_same_content():
    task = load("blur-decay-option-order")
    assert task.factors["options_order"] == (0, 1)
    found = trials("blur-decay-option-order", 3)
    for sample in {t.sample_id for t in found}:
        contents = {
            (t.fields["answer"], t.fields["content"][t.choices.index(t.gold)])
            for t in found
            if t.sample_id == sample
        }
        golds = {t.gold for t in found if t.sample_id == sample}
        assert len(contents) == 1
        assert len(golds) == 2


def test_the_control_is_there_for_every_lettered_benchmark_of_the_suite():
    values = INDEX.load("blur-decay-option-order", data="embedded").spec.subtasks.values
    for name in values:
        task = load(f"blur-decay-option-order-{name}")
        assert next(iter(expand(task, limit=1))).fields["benchmark"] == name


def test_without_data_the_message_names_what_is_needed():
    task = INDEX.load("blur-decay-mmvp", data="/nowhere/at/all")
    with pytest.raises(Exception, match="task blur-decay-mmvp: there is no copy of MMVP") as caught:
        list(task.rows())
    assert "--data blur-decay-mmvp=hub:lmms-lab-eval/MMVP" in str(caught.value)
    assert "--data blur-decay-mmvp=embedded" in str(caught.value)


@pytest.mark.parametrize(("name", "said"), [("repope", "Yes"), ("mmstar", "B"), ("docvqa", "red")])
def test_a_constant_answer_is_wholly_invariant_and_no_better_than_chance_says(name, said, tmp_path):
    task = f"blur-decay-{name}"
    [found] = evaluate(
        f"mock:constant={said}",
        task,
        data={task: "embedded"},
        limit=6,
        output_path=tmp_path / "run",
    ).tasks
    values = {
        (estimate.name, *estimate.where.items()): estimate.value for estimate in found.estimates
    }
    where = [("space", "native")] if name != "docvqa" else []
    for score_name in ("C", "Ebar", "C_null", "C_default"):
        assert values[(score_name, *where)] == 1
    assert values[("C_excess", *where)] == 0
    assert values[("C_offdefault", *where)] is None  # every sample answers the default
    assert values[("AccInv", *where)] == values[("AccDeg", *where)]
    for kernel in KERNELS[1:]:
        assert values[("E", *where, ("blur", kernel))] == 1
    placebo = [v for key, v in values.items() if key[0] == "E_terminal" and "reencode" in str(key)]
    assert placebo
    assert set(placebo) == {1}
