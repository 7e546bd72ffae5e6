"""The embedded stand-ins: questions about drawn scenes, written in each benchmark's own schema.

They are read by the same readers as the real rows, so that a run on them shows the prompts, the
answer formats and the grouping of the benchmark. They measure nothing of what it measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import ImageRef
from vlm_eval.data.scenes.objects import objects_image, sample_objects
from vlm_eval.data.tables import CellTable
from vlm_eval.data.vqa.scene_questions import Scene, is_there

VERSION = 1
UpstreamRow: TypeAlias = dict[str, Any]

ANNOTATORS = 10
DIRECTLY = "Please answer directly with only the letter of the correct option and nothing else."
BRIEFLY = "Please answer directly with a single word or number."
BRACES = "Answer with a number in curly brackets, e.g., {9}."


def stand_in(name: str, count: int, seed: int) -> CellTable:
    """Return a stand-in in the benchmark's schema.

    Parameters
    ----------
    name
        The benchmark's name.
    count
        Rows, rounded up to whole groups.
    seed
        Fixes every scene; row i does not depend on the count.
    """
    make = ROWS[name]
    rows: list[UpstreamRow] = []
    scene = 0
    while len(rows) < count:
        rng = derive_rng(seed, "vqa", name, scene)
        rows += make(Scene(scene, sample_objects(seed, scene), rng))
        scene += 1
    lines = tuple(f"row {number}" for number in range(1, len(rows) + 1))
    return CellTable(
        f"{name} stand-in", tuple(rows[0]), lines, lambda row, column: rows[row].get(column), ()
    )


def _letter(place: int) -> str:
    return "ABCD"[place]


def _hrbench(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask()
    options, place = asked.options(scene.rng)
    while len(options) < 4:
        options.append(("nowhere", "everywhere")[len(options) - 3])
    rows = []
    for cycle in range(4):  # all four orders by rotation, as published
        turned = options[cycle:] + options[:cycle]
        row = {"index": scene.number * 4 + cycle, "question": asked.text, "image": scene.image}
        row |= dict(zip("ABCD", turned, strict=True))
        row |= {"answer": _letter((place - cycle) % 4), "cycle_category": str(cycle)}
        rows.append({**row, "category": "single" if asked.topic == "colour" else "cross"})
    return rows


def _hallusion(scene: Scene) -> list[UpstreamRow]:
    text, present = scene.presence()
    row: UpstreamRow = {
        "category": "VS",
        "subcategory": "map",
        "set_id": scene.number // 2,
        "figure_id": "1",
    }
    row |= {"question_id": scene.number % 2, "question": text, "gt_answer": str(int(present))}
    return [{**row, "image": scene.image}]


def _vstar(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask("colour" if scene.number % 2 else "place")
    options, place = asked.options(scene.rng)
    lines = [f"({_letter(i)}) {option}" for i, option in enumerate(options)]
    category = "direct_attributes" if asked.topic == "colour" else "relative_position"
    row = {"category": category, "question_id": scene.number, "label": _letter(place)}
    return [{**row, "text": "\n".join([asked.text, *lines]), "image": scene.image}]


def _biased(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask("count")
    row: UpstreamRow = {
        "ID": f"drawn_{scene.number:04d}",
        "topic": "Drawn scenes",
        "sub_topic": asked.topic,
    }
    row |= {"prompt": f"{asked.text} {BRACES}", "type_of_question": "Q1", "image": scene.image}
    bias = str(int(asked.answer) + 1)
    return [{**row, "ground_truth": asked.answer, "expected_bias": bias}]


def _mmmu(scene: Scene) -> list[UpstreamRow]:
    row: UpstreamRow = {"id": f"validation_Drawing_{scene.number + 1}", "subfield": "Scenes"}
    row |= {f"image_{number}": None for number in range(1, 8)} | {"image_1": scene.image}
    if scene.number % 8 == 7:
        asked = scene.ask("count")
        row |= {"question": f"<image 1> {asked.text}", "options": "[]"}
        return [{**row, "answer": asked.answer, "question_type": "open"}]
    if scene.number % 4 == 3:
        return [row | _mmmu_two_pictures(scene)]
    asked = scene.ask()
    options, place = asked.options(scene.rng)
    row |= {"question": f"{asked.text} <image 1>", "options": repr(options)}
    return [{**row, "answer": _letter(place), "question_type": "multiple-choice"}]


def _mmmu_two_pictures(scene: Scene) -> UpstreamRow:
    other = Scene(scene.number, sample_objects(-1 - scene.number, scene.number), scene.rng)
    asked = other.which()
    options, place = asked.options(scene.rng)
    question = "Compare <image 1> with <image 2>. Which of these is in the second image?"
    row = {"image_2": other.image, "question": question, "options": repr(options)}
    return {**row, "answer": _letter(place), "question_type": "multiple-choice"}


def _mmstar(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask()
    options, place = asked.options(scene.rng)
    inline = ", ".join(f"{_letter(i)}: {option}" for i, option in enumerate(options))
    row = {"index": scene.number, "question": f"{asked.text}\nOptions: {inline}"}
    row |= {"answer": _letter(place), "category": asked.topic, "l2_category": asked.topic}
    return [{**row, "image": scene.image}]


def _seedbench(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask()
    options, place = asked.options(scene.rng)
    texts = [*options, ""][:4]
    row = {"question_id": f"drawn_{scene.number}", "question": asked.text, "data_type": "image"}
    row |= dict(zip(("choice_a", "choice_b", "choice_c", "choice_d"), texts, strict=True))
    row |= {"answer": _letter(place), "question_type_id": asked.topic}
    return [{**row, "image": [scene.image]}]


def _realworldqa(scene: Scene) -> list[UpstreamRow]:
    if scene.number % 3 == 2:
        asked = scene.ask("count" if scene.number % 2 else "colour")
        row = {"question": f"{asked.text} {BRIEFLY}", "answer": asked.answer}
        return [{**row, "image": scene.image}]
    asked = scene.ask()
    options, place = asked.options(scene.rng, 3)
    lines = [f"{_letter(i)}. {option}" for i, option in enumerate(options)]
    question = "\n".join([asked.text, "", *lines, DIRECTLY])
    return [{"question": question, "answer": _letter(place), "image": scene.image}]


def _mmvp(scene: Scene) -> list[UpstreamRow]:
    """Two scenes, one question: a thing is in the one and not in the other."""
    first, second, name, _ = _different(scene)
    row = {"Question": f"Is the {name} in the image or not?"}
    row["Options"] = "(a) It is in the image (b) It is not in the image"
    answers = ((first, "(a)"), (second, "(b)"))
    return [
        {**row, "Index": 2 * scene.number + 1 + k, "Correct Answer": answer, "image": image}
        for k, (image, answer) in enumerate(answers)
    ]


def _naturalbench(scene: Scene) -> list[UpstreamRow]:
    first, second, only_first, only_second = _different(scene)
    if scene.number % 2:
        kind = "multiple_choice"
        ask = "Which of these is in the image?\nOption: A: {}; B: {};"
        questions = [ask.format(only_first, only_second), ask.format(only_second, only_first)]
    else:
        kind = "yes_no"
        questions = [is_there(only_first), is_there(only_second)]
    asked = [(question, image) for question in questions for image in (first, second)]
    return [
        {"Index": 4 * scene.number + k, "Question": q, "Image": image, "Question_Type": kind}
        for k, (q, image) in enumerate(asked)
    ]


def _different(scene: Scene) -> tuple[ImageRef, ImageRef, str, str]:
    """Return two pictures, a thing that is in the first alone, and one in the second alone."""
    one, attempt = scene.objects, 0
    while True:
        other = sample_objects(-1 - scene.number, attempt)
        left = [name for name in one.names if name not in other.names]
        right = [name for name in other.names if name not in one.names]
        if left and right:
            return scene.image, objects_image(other), left[0], right[0]
        attempt += 1


def _scienceqa(scene: Scene) -> list[UpstreamRow]:
    row = _listed(scene, "choices")
    hint = "The image shows things in a drawn scene." if scene.number % 2 else ""
    return [{**row, "hint": hint, "subject": "natural science", "topic": "scenes"}]


def _ai2d(scene: Scene) -> list[UpstreamRow]:
    row = _listed(scene, "options")
    return [{**row, "answer": str(row["answer"])}]


def _listed(scene: Scene, column: str) -> UpstreamRow:
    asked = scene.ask()
    options, place = asked.options(scene.rng)
    return {"question": asked.text, column: options, "answer": place, "image": scene.image}


def _annotators(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask()
    answers = [asked.answer] * (ANNOTATORS - 1) + [asked.others[0]]
    row = {"question_id": scene.number, "question": asked.text, "answers": answers}
    return [{**row, "image": scene.image}]


def _vqav2(scene: Scene) -> list[UpstreamRow]:
    row = _annotators(scene)[0]
    answers = [{"answer": text, "answer_id": i + 1} for i, text in enumerate(row["answers"])]
    answer_type = "number" if row["answers"][0].isdigit() else "other"
    row |= {"answers": answers, "question_type": "what", "answer_type": answer_type}
    return [{**row, "multiple_choice_answer": answers[0]["answer"]}]


def _gqa(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask()
    row = {"id": str(scene.number), "question": asked.text, "answer": asked.answer}
    return [{**row, "imageId": scene.image}]


def _chartqa(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask("count")
    kind = ("human_test", "augmented_test")[scene.number % 2]
    row = {"type": kind, "question": asked.text, "answer": asked.answer}
    return [{**row, "image": scene.image}]


def _docvqa(scene: Scene) -> list[UpstreamRow]:
    asked = scene.ask()
    row = {"questionId": str(scene.number), "question": asked.text, "answers": [asked.answer]}
    return [{**row, "image": scene.image}]


def _blink(scene: Scene) -> list[UpstreamRow]:
    """One picture, or two of which one shows a thing."""
    row: UpstreamRow = {"idx": f"val_Drawing_{scene.number + 1}"}
    row |= {f"image_{number}": None for number in range(1, 5)} | {"image_1": scene.image}
    if scene.number % 2:
        first, second, name, other = _different(scene)
        right = scene.number // 2 % 2
        wanted = (name, other)[right]
        question, options = f"Which image shows {_a(wanted)}?", ["the first", "the second"]
        row |= {"image_1": first, "image_2": second, "sub_task": "Visual_Correspondence"}
    else:
        asked = scene.ask()
        options, right = asked.options(scene.rng)
        question, row["sub_task"] = asked.text, asked.topic.capitalize()
    return [row | _laid_out(question, options, right)]


def _cv_bench(scene: Scene) -> list[UpstreamRow]:
    kind, source, topic = (
        ("2D", "ADE20K", "count"), ("2D", "COCO", "place"), ("3D", "Omni3D", "colour"),
    )[scene.number % 3]  # fmt: skip
    asked = scene.ask(topic)
    options, right = asked.options(scene.rng)
    row = {"idx": scene.number, "type": kind, "source": source, "task": asked.topic.capitalize()}
    return [row | {"image": scene.image} | _laid_out(asked.text, options, right)]


def _laid_out(question: str, options: list[str], right: int) -> UpstreamRow:
    lines = [f"({_letter(i)}) {option}" for i, option in enumerate(options)]
    prompt = "\n".join([question, "Select from the following choices.", *lines])
    return {"prompt": prompt, "choices": options, "answer": f"({_letter(right)})"}


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _mmbench(scene: Scene) -> list[UpstreamRow]:
    """A question in every order of its options, as published."""
    asked = scene.ask()
    options, place = asked.options(scene.rng, 2 if scene.number % 4 == 3 else 4)
    rows = []
    for turn in range(len(options)):
        turned = options[turn:] + options[:turn]
        row: UpstreamRow = {"index": scene.number + turn * 1_000_000, "question": asked.text}
        row |= dict(zip("ABCD", [*turned, *("nan",) * 4][:4], strict=True))
        row |= {"answer": _letter((place - turn) % len(options)), "image": scene.image}
        row |= {"hint": "nan", "category": asked.topic, "L2-category": "drawn", "source": "drawn"}
        rows.append(row)
    return rows


def _mme(scene: Scene) -> list[UpstreamRow]:
    """Two questions about one picture, the right answers yes and no."""
    category = ("existence", "count", "count", "numerical_calculation")[scene.number % 4]
    if category == "existence":
        asked = [is_there(scene.objects.names[0]), is_there(scene.which().others[0])]
    else:
        name, number = next(iter(scene.objects.counts.items()))
        times, what = (2, "twice the number") if category != "count" else (1, "the number")
        claims = (times * number, times * (number + 1))
        asked = [f"Is {what} of each {name} in the image {claim}?" for claim in claims]
    row = {"question_id": f"{category}/{scene.number:04d}.png", "category": category}
    return [
        {**row, "question": f"{question} Please answer yes or no.", "answer": answer}
        | {"image": scene.image}
        for question, answer in zip(asked, ("Yes", "No"), strict=True)
    ]


def _vizwiz(scene: Scene) -> list[UpstreamRow]:
    row = _annotators(scene)[0]
    kind = "number" if row["answers"][0].isdigit() else "other"
    return [{**row, "question_id": f"VizWiz_val_{scene.number:08d}", "category": kind}]


ROWS: Mapping[str, Callable[[Scene], list[UpstreamRow]]] = {
    "hrbench4k": _hrbench, "hrbench8k": _hrbench,
    "hallusion_bench_image": _hallusion, "vstar_bench": _vstar, "vlms_are_biased": _biased,
    "mmmu_val": _mmmu, "mmstar": _mmstar, "seedbench_img": _seedbench,
    "realworldqa": _realworldqa, "mmvp": _mmvp, "naturalbench": _naturalbench,
    "scienceqa_img": _scienceqa, "ai2d": _ai2d, "vqav2_val": _vqav2, "textvqa": _annotators,
    "okvqa": _annotators, "gqa": _gqa, "chartqa": _chartqa, "docvqa": _docvqa,
    "vizwiz_val": _vizwiz, "blink": _blink, "cv_bench": _cv_bench, "mmbench_en": _mmbench,
    "mme": _mme,
}  # fmt: skip
"""For each benchmark, what makes rows of its schema from a scene."""
