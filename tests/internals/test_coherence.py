"""Margins by band on clean trials: as the metric has them, of any model, about any images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vlm_eval
from vlm_eval.core.errors import TaskError
from vlm_eval.core.types import (
    Answer,
    Failure,
    ImageRef,
    Match,
    Message,
    Picture,
    Request,
    Response,
    Text,
)  # fmt: skip
from vlm_eval.internals.base import Study
from vlm_eval.internals.coherence import Coherence
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.tasks.index import TaskIndex

CUTOFFS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
# The second shows several images a question; its samples with one are as good.
TASKS = [("pope-perturbed", "pope-frequency", 5), ("mmmu-perturbed", "mmmu-frequency", 5)]


@pytest.fixture(scope="module", params=TASKS, ids=lambda task: task[0])
def both(request, tmp_path_factory) -> tuple[Any, dict[Any, Any], Path]:
    """Return the findings on a perturbed task, and the metric's estimates of its frequency task."""
    perturbed, frequency, limit = request.param
    folder = tmp_path_factory.mktemp("runs")
    options = {"limit": limit, "progress": False, "device": "cpu"}
    run = folder / "perturbed"
    vlm_eval.evaluate(
        "tiny", perturbed, data={perturbed: "embedded"}, output_path=run, capture=False, **options
    )
    by_band = vlm_eval.evaluate(
        "tiny", frequency, data={frequency: "embedded"}, output_path=folder / "frequency", **options
    )[frequency]
    found = vlm_eval.analyze(run, "coherence")
    return found, {(e.name, *sorted(e.where.items())): e for e in by_band.estimates}, run


def test_it_is_the_metric_of_the_frequency_task(both) -> None:
    found, metric, _ = both
    compared = 0
    for e in found.estimates:
        where = dict(e.where)
        if e.name == "band_margin" and "cutoff" in where:
            where = {"band": f"{where['pass']}_{where['cutoff']}"}
        other = metric[e.name, *sorted(where.items())]
        assert (e.n, e.clusters, e.unit, e.signed) == (
            other.n, other.clusters, other.unit, other.signed,
        )  # fmt: skip
        for value, same in ((e.value, other.value), (e.low, other.low), (e.high, other.high)):
            if e.name != "smoothness" or same is e.value is None:  # a bootstrap of its own
                assert value == pytest.approx(same, abs=2e-4), (e.name, where)
        compared += e.value is not None
    assert len(found.estimates) == 14 + 2 * 6 + 1 + 2
    assert compared >= 14 + 2 * 6 + 1
    assert found.facts["clean answers that differ from the run's"] == 0
    assert found.of("synergy", cutoff=1.0)[0].value == pytest.approx(0, abs=1e-12)
    assert found.synthetic


def test_what_was_asked_is_not_asked_again_and_the_rest_is(both) -> None:
    found, _, run = both
    path = run / "analysis" / f"coherence-{found.task}" / "ledger.jsonl"
    first, *lines = path.read_text().splitlines()
    before = [json.loads(line)["key"] for line in lines]
    assert len(before) == len(set(before)) == found.facts["questions"]
    assert vlm_eval.analyze(run, "coherence") == found
    assert path.read_text().splitlines() == [first, *lines]
    path.write_text("\n".join([first, *lines[:7], lines[7][:20]]))  # as if it had been killed
    again = vlm_eval.analyze(run, "coherence")
    assert {json.loads(line)["key"] for line in path.read_text().splitlines()[1:]} == set(before)
    for one, other in zip(again.estimates, found.estimates, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-4)


def test_the_figure_shows_gap_and_synergy_over_the_cutoff(both) -> None:
    from vlm_eval.internals.panels import views

    found, *_ = both
    first, second = views(found)
    assert [line.name for line in first.lines] == ["coherence gap", "synergy"]
    assert [line.name for line in second.lines] == ["low", "high"]
    assert first.axis == second.axis == CUTOFFS
    assert {first.unit, second.unit} == {"nats"}


@pytest.mark.parametrize(
    "name", ["pope-perturbed", "repope-perturbed", "seedbench-perturbed", "mmmu-perturbed"]
)
def test_perturbed_tasks_carry_it(name) -> None:
    named = {one.name: one.options() for one in TaskIndex().load(name).spec.analyses}
    assert named["coherence"]["samples"] == 100


def contrast(image: ImageRef) -> float:
    return float(np.asarray(image.load(), float).std(axis=(0, 1)).sum())


class Sharp:
    """Says Yes with the contrast of the images, No with 1; a "broken" text breaks it at any."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def loglikelihood(self, requests: Sequence[Request]) -> Iterator[Response]:
        for request in requests:
            self.asked.append(request)
            spread = sum(map(contrast, (request.match or request).images))
            if spread and Text("broken") in request.messages[0].parts:
                yield Response(request.id, Failure("bug", "it broke"), 0.0)
            else:
                yield Response(request.id, Answer(logprobs=(spread, 1.0)), 0.0)


def picture(number: int) -> ImageRef:
    pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return ImageRef(f"p{number}", lambda: Image.fromarray(pixels))


def question(number: int, text: str, *, images: int, match: bool) -> Request:
    shown = [picture(10 * number + i) for i in range(images)]
    parts = (*map(Picture, shown), Text(text))
    matched = Match(tuple(shown), ("yes", "no")) if match else None
    return Request(f"r{number}", (Message("user", parts),), ("Yes", "No"), match=matched)


def study(folder: Path, model: Any, texts: Sequence[str], *, images=2, match=False) -> Study:
    pairs = []
    for number, text in enumerate(texts):
        for level in ("clean", "moved"):
            request = question(number, text, images=images, match=match)
            request = dataclasses.replace(request, id=f"{request.id}-{level}")
            row = TableRow(
                f"s{number}", f"c{number}", {"move": level}, {}, "Yes", "Yes", {"accuracy": 1.0},
                choices=("Yes", "No"), logprobs=(9.0, 1.0), request=request.id,
            )  # fmt: skip
            pairs.append((SimpleNamespace(request=request), row))

    def trials(wanted: Any) -> Iterator[Any]:
        return ((trial, row) for trial, row in pairs if wanted(row))

    def track(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        return items

    def load(*, inside: bool) -> Any:
        assert not inside, "any model will do"
        return model

    rows = tuple(row for _, row in pairs)
    return Study(
        task=SimpleNamespace(name="toy"), table=Table("toy", {"move": ("clean", "moved")}, rows),
        model="m", folder=folder, trials=trials, load=load, track=track, seed=0,
        synthetic=False, notice=None,
    )  # fmt: skip


@pytest.mark.parametrize("match", [False, True])
def test_every_image_of_a_question_is_filtered_and_its_text_is_not(tmp_path, match) -> None:
    model = Sharp()
    found = Coherence(cutoffs=(0.3,))(study(tmp_path, model, ["which?"], match=match))
    assert model.asked[0].id == "r0-clean"
    assert len({request.id for request in model.asked}) == len(model.asked) == 4
    assert {request.messages[0].parts[-1] for request in model.asked} == {Text("which?")}
    for shown in zip(*(request.images for request in model.asked), strict=True):
        clean, low, high, mean = (np.asarray(image.load(), float) for image in shown)
        assert np.abs(low + high - mean - clean).mean() < 8  # clipped, and rounded
        assert mean.std(axis=(0, 1)).max() == 0
        assert 0 < low.std() < clean.std()
    assert all(not match or r.match.images == r.images for r in model.asked)
    m0, m_low, m_high, m_mean = (sum(map(contrast, r.images)) - 1 for r in model.asked)
    (gap,), (synergy,) = found.of("coherence_gap"), found.of("synergy")
    assert gap.value == pytest.approx(m0 - max(m_low, m_high))
    assert synergy.value == pytest.approx(m0 - (m_low + m_high - m_mean))


def test_what_cannot_be_answered_is_left_out_and_said(tmp_path) -> None:
    model = Sharp()
    one = study(tmp_path, model, ["which?", "broken"])
    found = Coherence(cutoffs=(0.3,))(one)
    (gap,) = found.of("coherence_gap", cutoff=0.3)
    assert (gap.n, found.facts["chosen"]) == (1, 2)
    assert found.notes[-1].startswith("3 questions about a band were not answered")
    asked = len(model.asked)
    Coherence(cutoffs=(0.3,))(one)
    assert len(model.asked) == asked + 3, "a failure is no result: it is asked again"


def test_tasks_without_images_or_options_are_refused(tmp_path) -> None:
    with pytest.raises(TaskError, match="no clean trial that shows an image"):
        Coherence()(study(tmp_path, Sharp(), ["which?"], images=0))
    one = study(tmp_path, Sharp(), ["which?"])
    rows = tuple(dataclasses.replace(row, choices=None, logprobs=None) for row in one.table.rows)
    with pytest.raises(TaskError, match="no clean trial has options") as error:
        Coherence()(dataclasses.replace(one, table=dataclasses.replace(one.table, rows=rows)))
    assert "coherence needs" in str(error.value.hint)


def test_samples_are_drawn_and_cutoffs_rise(tmp_path) -> None:
    found = Coherence(cutoffs=(0.5,), samples=2)(study(tmp_path, Sharp(), ["a", "b", "c", "d"]))
    assert found.of("synergy")[0].n == 2
    assert found.facts["clean trials"] == 4
    with pytest.raises(ValueError, match="cutoffs must rise"):
        Coherence(cutoffs=(0.5, 0.5))


def test_a_model_that_shows_no_inside_will_do(write, folder) -> None:
    write()
    run = folder / "run"
    vlm_eval.evaluate("mock", "toy", include_path=[folder], output_path=run, progress=False)
    found = vlm_eval.analyze(run, "coherence", cutoffs=[0.25, 1])
    assert found.of("synergy", cutoff=1.0)[0].n > 0
