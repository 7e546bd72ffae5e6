"""The embedded stand-ins: questions about drawn scenes, written in each benchmark's own schema.

They are read by the same readers as the real rows, so that a run on them shows the prompts, the
answer formats and the grouping of the benchmark. They measure nothing of what it measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from vlm_eval.core.hashing import derive_rng
from vlm_eval.core.types import ImageRef
from vlm_eval.data.scenes.objects import NAMES, Objects, objects_image, sample_objects
from vlm_eval.data.scenes.things import PAINTS
from vlm_eval.data.tables import CellTable

VERSION = 1
UpstreamRow: TypeAlias = dict[str, Any]

PLACES = ("left", "middle", "right")
ANNOTATORS = 10
DIRECTLY = "Please answer directly with only the letter of the correct option and nothing else."
BRIEFLY = "Please answer directly with a single word or number."
BRACES = "Answer with a number in curly brackets, e.g., {9}."


@dataclass(frozen=True)
class Asked:
    """A question about a scene: text, right and wrong answers, and what it is about."""

    text: str
    answer: str
    others: tuple[str, ...]
    topic: str

    def options(self, rng: np.random.Generator, count: int = 4) -> tuple[list[str], int]:
        """Return so many options, in random order, and the place of the right one."""
        wrong = rng.permutation(list(self.others))[: count - 1].tolist()
        order = rng.permutation([self.answer, *wrong]).tolist()
        return order, order.index(self.answer)


@dataclass(frozen=True)
class Scene:
    """A drawn scene, its number, and the randomness of its questions."""

    number: int
    objects: Objects
    rng: np.random.Generator

    @property
    def image(self) -> ImageRef:
        """The picture."""
        return objects_image(self.objects)

    def ask(self, topic: str | None = None) -> Asked:
        """Return a question; topics go round with the scene's number."""
        asks = {
            "count": self.count,
            "which": self.which,
            "colour": self.colour,
            "place": self.place,
        }
        chosen = topic or list(asks)[self.number % len(asks)]
        return asks[chosen]() or self.count()

    def count(self) -> Asked:
        """Ask for a number."""
        name, number = self._pick(list(self.objects.counts.items()))
        others = tuple(str(n) for n in range(6) if n != number)
        text = f"Count each {name} in the image. How many are there?"
        return Asked(text, str(number), others, "count")

    def which(self) -> Asked:
        """Ask which of several things is there."""
        absent = tuple(name for name in NAMES if name not in self.objects.names)
        name = self._pick(list(self.objects.names))
        return Asked("Which of these is in the image?", name, absent, "which")

    def colour(self) -> Asked | None:
        """Ask for the colour of the only thing of its kind; None if there is none."""
        item = self._single()
        if item is None:
            return None
        others = tuple(paint for paint in PAINTS if paint != item.colour)
        text = f"What colour is the {item.name} in the image?"
        return Asked(text, item.colour, others, "colour")

    def place(self) -> Asked | None:
        """Ask where the only thing of its kind is; None if there is none."""
        item = self._single()
        if item is None:
            return None
        here = PLACES[item.column]
        others = tuple(place for place in PLACES if place != here)
        text = f"In which third of the image is the {item.name}?"
        return Asked(text, here, others, "place")

    def presence(self) -> tuple[str, bool]:
        """Return a presence question, every other one about a thing that is absent."""
        present = self.number % 2 == 0
        pool = [name for name in NAMES if (name in self.objects.names) == present]
        return is_there(self._pick(pool)), present

    def _single(self) -> Any:
        counts = self.objects.counts
        alone = [item for item in self.objects.items if counts[item.name] == 1]
        return self._pick(alone) if alone else None

    def _pick(self, pool: list[Any]) -> Any:
        return pool[int(self.rng.integers(len(pool)))]


def is_there(name: str) -> str:
    """Return POPE's question about a thing."""
    return f"Is there {'an' if name[0] in 'aeiou' else 'a'} {name} in the image?"


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


ROWS: Mapping[str, Callable[[Scene], list[UpstreamRow]]] = {
    "hrbench4k": _hrbench, "hrbench8k": _hrbench,
    "hallusion_bench_image": _hallusion, "vstar_bench": _vstar, "vlms_are_biased": _biased,
    "mmmu_val": _mmmu, "mmstar": _mmstar, "seedbench_img": _seedbench,
    "realworldqa": _realworldqa, "mmvp": _mmvp, "naturalbench": _naturalbench,
    "scienceqa_img": _scienceqa, "ai2d": _ai2d, "vqav2_val": _vqav2, "textvqa": _annotators,
    "okvqa": _annotators, "gqa": _gqa, "chartqa": _chartqa, "docvqa": _docvqa,
}  # fmt: skip
"""For each benchmark, what makes rows of its schema from a scene."""
