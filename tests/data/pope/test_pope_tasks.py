"""The shipped tasks on POPE and on questions with options, under perturbation."""

import json
from collections import Counter

import numpy as np
import pytest

from vlm_eval.cli.main import main
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand
from vlm_eval.transforms.overlay import TextOverlay

SHIFTS = [f"{sign}{n}" for sign in ("-", "") for n in (4, 8, 12, 16)]
APART = {"clean", "identity", "reencode", "white", "gray", "text_only"}


def by_level(name, *, sample=0):
    """Return the trials of one sample by level."""
    task = TaskIndex().load(name, data="embedded")
    found: dict[str, dict] = {}
    for trial in expand(task, limit=sample + 1):
        found.setdefault(trial.sample_id, {})[trial.condition["perturbation"]] = trial
    return list(found.values())[sample]


def pixels(trial):
    return np.asarray(trial.request.images[0].load())


def kinds(levels):
    names = {"translate", "pad_crop", "scale_pad", "scale", "rotate", "overlay"}
    return Counter(
        max((name for name in names if level.startswith(name)), key=len)
        for level in levels
        if level not in APART
    )


@pytest.mark.parametrize("name", ["pope-perturbed", "repope-perturbed", "pope-perturbed-random"])
def test_pope_has_24_perturbed_instances(name):
    trials = by_level(name)
    assert trials.keys() > APART
    assert kinds(trials) == {
        "translate": 8, "pad_crop": 8, "scale": 1, "scale_pad": 2, "rotate": 2, "overlay": 3
    }  # fmt: skip


@pytest.mark.parametrize("name", ["seedbench-perturbed", "mmmu-perturbed"])
def test_a_question_with_four_options_has_30_perturbed_instances(name):
    task = TaskIndex().load(name, data="embedded")
    count = Counter()
    options = {}
    for trial in expand(task, limit=16):
        count[trial.sample_id] += trial.condition["perturbation"] not in APART
        options[trial.sample_id] = len(trial.choices)
    assert {(options[sample], n) for sample, n in count.items()} <= {(2, 24), (3, 27), (4, 30)}
    assert 4 in options.values()


def test_the_levels_are_the_paper_s():
    trials = by_level("seedbench-perturbed")
    assert {f"translate_{n}" for n in SHIFTS} | {f"pad_crop_{n}" for n in SHIFTS} < set(trials)
    width, height = 224, 224
    sizes = {level: trials[level].request.images[0].load().size for level in trials
             if level != "text_only"}  # fmt: skip
    assert sizes["scale_0.9"] == (round(0.9 * width), round(0.9 * height))
    assert sizes["pad_crop_16"] == (width + 32, height + 32)
    assert sizes["pad_crop_-16"] == (width - 32, height - 32)
    assert sizes["rotate_30"] == sizes["rotate_-30"] > (width, height)
    for level in ("clean", "identity", "reencode", "translate_8", "scale_pad_white", "white"):
        assert sizes[level] == (width, height)


def test_transforms_do_what_their_levels_say():
    trials = by_level("pope-perturbed")
    clean = pixels(trials["clean"])
    for level in ("identity", "reencode"):
        assert (pixels(trials[level]) == clean).all()
    assert (pixels(trials["translate_12"]) == np.roll(clean, 12, axis=1)).all()
    assert (pixels(trials["translate_-4"]) == np.roll(clean, -4, axis=1)).all()
    assert (pixels(trials["pad_crop_4"])[4:-4, 4:-4] == clean).all()
    assert (pixels(trials["pad_crop_-8"]) == clean[8:-8, 8:-8]).all()
    assert (pixels(trials["scale_pad_black"])[0] == 0).all()
    assert (pixels(trials["scale_pad_white"])[0] == 255).all()
    assert (pixels(trials["white"]) == 255).all()
    assert len(np.unique(pixels(trials["gray"]))) == 1
    assert trials["text_only"].request.images == ()


def test_the_misleading_overlay_names_what_the_model_did_not_choose():
    trials = by_level("pope-perturbed")
    clean = trials["clean"].request.images[0].load()
    for said, named in (("Yes", "No"), ("No", "Yes")):
        made = trials["overlay_semantic_1"].follow.render(said)
        assert made.follow.condition == {"perturbation": "clean"}
        wanted = TextOverlay(text=f"Answer is {named}")(clean, 0)
        assert (pixels(made) == np.asarray(wanted)).all()


def test_overlays_name_the_labels_of_the_other_options_in_order():
    trials = by_level("seedbench-perturbed", sample=1)
    clean = trials["clean"].request.images[0].load()
    options = trials["clean"].choices
    assert len(options) == 4
    for number, letter in enumerate("ACD", start=1):
        made = trials[f"overlay_semantic_{number}"].follow.render(options[1])
        wanted = TextOverlay(text=f"Answer is {letter}")(clean, 0)
        assert (pixels(made) == np.asarray(wanted)).all()


def test_the_three_overlays_of_a_phrase_differ_in_its_box_alone():
    trials = by_level("pope-perturbed")
    made = {kind: trials[f"overlay_{kind}_1"].follow.render("Yes") for kind in
            ("semantic", "empty", "random")}  # fmt: skip
    changed = {kind: (pixels(t) != pixels(trials["clean"])).any(axis=2) for kind, t in made.items()}
    box = changed["empty"]
    rows, columns = np.nonzero(box)
    assert (pixels(made["empty"])[rows, columns] == 255).all()
    inside = np.zeros_like(box)
    inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    assert not (changed["semantic"] & ~inside).any()
    assert not (changed["random"] & ~inside).any()
    assert (pixels(made["semantic"]) != pixels(made["random"])).any()


def test_the_prompts_are_the_paper_s():
    trials = by_level("pope-perturbed")
    question = trials["clean"].fields["question"]
    words = f"Question: {question}\nAnswer with exactly one word: Yes or No."
    assert trials["clean"].prompt == f"<image>{words}"
    assert trials["text_only"].prompt == words
    assert trials["clean"].choices == ("Yes", "No")
    trials = by_level("seedbench-perturbed")
    fields, choices = trials["clean"].fields, trials["clean"].choices
    lines = [f"{letter}. {text}" for letter, text in zip("ABCD", choices, strict=False)]
    words = "\n".join(
        [f"Question: {fields['question']}", "Options:", *lines,
         "Please select the correct answer from the options above."]
    )  # fmt: skip
    assert trials["clean"].prompt == f"<image>{words}"
    assert trials["text_only"].prompt == words
    assert trials["clean"].gold in choices


def test_images_are_interleaved_where_mmmu_names_them():
    task = TaskIndex().load("mmmu-perturbed", data="embedded")
    several = 0
    for trial in expand(task, limit=24):
        if trial.condition["perturbation"] != "clean":
            continue
        assert (
            trial.prompt.count("<image>") == len(trial.request.images) == len(trial.fields["shown"])
        )
        assert trial.prompt.replace("<image>", "").startswith("Question: ")
        assert trial.prompt.endswith("Please select the correct answer from the options above.")
        several += len(trial.request.images) > 1
    assert several


def test_pope_asks_as_lmms_eval_does():
    task = TaskIndex().load("pope", data="embedded")
    trial = next(expand(task, limit=1))
    question = trial.fields["question"]
    assert trial.prompt == f"<image>{question}\nAnswer the question using a single word or phrase."
    assert (trial.request.decoding.max_new_tokens, trial.request.decoding.temperature) == (128, 0)
    assert TaskIndex().load("pope-popular", data="embedded").source.split == ("popular",)


def results(folder):
    (task,) = json.loads((folder / "results.json").read_text())["tasks"].values()
    return {(e["name"], *sorted(e["where"].items())): e["value"] for e in task["estimates"]}


def test_a_deterministic_model_does_not_flip_under_the_controls(tmp_path):
    out = tmp_path / "run"
    arguments = ["--model", "tiny", "--tasks", "pope-perturbed", "--limit", "3"]
    arguments += ["--data", "pope-perturbed=embedded", "--output_path", str(out)]
    assert main(arguments) == 0
    found = results(out)
    for control in ("identity", "reencode"):
        assert found["ifr", ("perturbation", control)] == 0
    assert found["ifr_any",] is not None


def test_a_constant_model_has_the_values_that_the_definitions_give(tmp_path):
    out = tmp_path / "run"
    arguments = ["--model", "mock:constant=Yes", "--tasks", "pope-perturbed", "--limit", "24"]
    arguments += ["--data", "pope-perturbed=embedded", "--output_path", str(out)]
    assert main(arguments) == 0
    found = results(out)
    assert found["ifr_any",] == found["iv_any",] == found["visual_entropy",] == 0
    assert found["right_to_right",] == found["wrong_to_wrong",] == 0.5
    for level in ("clean", "rotate_30", "white", "text_only"):
        rates = ("accuracy", "precision", "recall", "f1", "yes_ratio", "fpr")
        at = [found[name, ("perturbation", level)] for name in rates]
        assert at == pytest.approx([0.5, 0.5, 1, 2 / 3, 1, 1])
    assert found["fpr_change",] == found["recall_change",] == 0
