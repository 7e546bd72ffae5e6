"""The task files: ten conditions, the paper's prompts, and questions that the data decide."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vlm_eval.data.cityscapes.labels import CLASSES, CRITICAL
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.trials import expand

CONDITIONS = ["clean", "ll1", "ll2", "ll3", "mb1", "mb2", "mb3", "occ1", "occ2", "occ3"]


@pytest.fixture(scope="module")
def index():
    return TaskIndex()


def trials(index, name, data="embedded", limit=2):
    return list(expand(index.load(name, data=data), limit=limit))


def test_every_image_is_asked_ten_questions_under_ten_conditions(index):
    made = trials(index, "cityscapes-degraded")
    questions = ["description", "safety", *CRITICAL["fig4_8"]]
    count = Counter((t.condition["degradation"], t.condition["question"]) for t in made)
    assert count == {(c, q): 2 for c in CONDITIONS for q in questions}
    images = {(t.sample_id, t.condition["degradation"]): t.request.images for t in made}
    assert len({image[0].key for image in images.values()}) == 20
    for trial in made:
        assert trial.request.images == images[trial.sample_id, trial.condition["degradation"]]


def test_prompts_golds_and_lengths_are_as_stated(index):
    made = {t.condition["question"]: t for t in trials(index, "cityscapes-degraded", limit=1)}
    fields = made["car"].fields
    person = made["person"]
    assert person.prompt == (
        "<image>Is there a pedestrian visible in this image? Answer yes or no."
    )
    assert person.gold == ("Yes" if "person" in fields["present"] else "No")
    assert made["traffic light"].prompt.startswith("<image>Is there a traffic light visible")
    assert made["description"].prompt == "<image>Describe the driving scene in this image."
    assert made["description"].gold == ", ".join(sorted(fields["present"]))
    assert made["safety"].prompt == "<image>Based on this image, is it safe to proceed forward?"
    lengths = {q: made[q].request.decoding.max_new_tokens for q in made}
    assert (lengths["car"], lengths["safety"], lengths["description"]) == (16, 64, 256)


@pytest.mark.parametrize("preset", CRITICAL)
def test_the_preset_decides_what_is_asked(index, preset):
    made = trials(index, "cityscapes-degraded", data=f"embedded,critical={preset}", limit=1)
    asked = {t.condition["question"] for t in made}
    assert asked == {"description", "safety", *CRITICAL[preset]}
    prompts = {t.condition["question"]: t.prompt for t in made}
    if "rider" in prompts:
        assert "Is there a cyclist visible" in prompts["rider"]


def test_without_safety_labels_safety_is_not_asked(index):
    for name in ("cityscapes-degraded", "cityscapes-degraded-contrastive"):
        made = trials(index, name, data="embedded,safety=none")
        assert made
        assert "safety" not in {t.condition["question"] for t in made}


def test_the_contrastive_task_ranks_the_nineteen_classes(index):
    made = trials(index, "cityscapes-degraded-contrastive")
    assert len(made) == 2 * 10 * 2
    for trial in made:
        match = trial.request.match
        assert match.images == trial.request.images
        if trial.condition["question"] == "objects":
            assert trial.choices == CLASSES
            assert match.texts == tuple(f"a photo of a {name}." for name in CLASSES)
            assert trial.gold == trial.fields["largest"]
        else:
            assert match.texts == (
                "it is safe to proceed forward", "it is not safe to proceed forward",
            )  # fmt: skip
            assert trial.gold == trial.fields["safety"]


def test_it_runs_on_a_users_tree(index, mini):
    made = trials(index, "cityscapes-degraded", data=str(mini), limit=None)
    assert {t.sample_id for t in made} == {"testcity_000000_000019", "testcity_000001_000019"}
    golds = {t.sample_id: t.gold for t in made if t.condition["question"] == "person"}
    assert golds == {"testcity_000000_000019": "Yes", "testcity_000001_000019": "No"}


def test_degradations_are_those_of_the_paper():
    from vlm_eval.transforms.corruptions import LowLight, MotionBlur, Occlusion

    assert [MotionBlur(severity=s).kernel for s in (1, 2, 3)] == [7, 15, 25]
    assert [LowLight(severity=s).gamma for s in (1, 2, 3)] == [1.6, 2.2, 3.0]
    assert [Occlusion(severity=s).area for s in (1, 2, 3)] == [0.08, 0.15, 0.25]


def test_each_condition_shows_its_own_degradation(index):
    from vlm_eval.transforms.corruptions import Occlusion

    made = trials(index, "cityscapes-degraded", limit=1)
    shown = {t.condition["degradation"]: t.request.images[0].load() for t in made}
    clean = shown["clean"]
    brightness = {name: sum(image.convert("L").tobytes()) for name, image in shown.items()}
    assert brightness["clean"] > brightness["ll1"] > brightness["ll2"] > brightness["ll3"]
    assert abs(brightness["mb3"] / brightness["clean"] - 1) < 0.02
    black = {
        name: float((np.asarray(image) == 0).all(axis=-1).mean()) for name, image in shown.items()
    }
    for severity in (1, 2, 3):
        area = Occlusion(severity=severity).area
        assert black[f"occ{severity}"] == pytest.approx(area, abs=0.01)
    assert clean.size == shown["occ3"].size


def test_the_page_names_every_condition_and_prompt():
    page = (Path(__file__).parents[3] / "docs" / "tasks" / "cityscapes-degraded.md").read_text()
    for text in (
        "Is there a [c] visible in this image? Answer yes or no.",
        "Based on this image, is it safe to proceed forward?",
        "Describe the driving scene in this image.",
        "a photo of a {class}.",
        "do not compare",
    ):
        assert text in page
