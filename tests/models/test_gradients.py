"""Scores as functions of pixels, and whole attacks, on several architectures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vlm_eval.core.errors import TaskError
from vlm_eval.internals.attack import Attack
from vlm_eval.internals.base import Study
from vlm_eval.metrics.table import Table, TableRow

from .questions import ask, picture

ARCHITECTURES = ["qwen2_5_vl", "qwen3_vl", "llava", "gemma3", "paligemma", "llava_onevision"]


def untracked(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return items


def study(folder: Path, model: Any, count: int = 3, images: int = 1) -> Study:
    """A study of requests about pictures, answered by the model itself."""
    choices = ("red", "the loser of the board", "blue")
    requests = []
    for i in range(count):
        parts = [picture(10 * i + k, 112, 84) for k in range(images)]
        requests.append(ask(f"r{i}", *parts, "which player is it?", choices=choices))
    found = {response.request_id: response for response in model.loglikelihood(requests)}
    rows = []
    for request in requests:
        logprobs = found[request.id].outcome.logprobs
        answer = choices[int(np.argmax(logprobs))]
        rows.append(
            TableRow(
                f"s-{request.id}", f"c-{request.id}", {"blur": 1}, {}, "red", answer,
                {"accuracy": float(answer == "red")}, choices=choices, logprobs=logprobs,
                request=request.id,
            )
        )  # fmt: skip
    dirty = dataclasses.replace(rows[0], condition={"blur": 5}, request="never asked again")

    def trials(wanted: Any = None) -> Iterator[Any]:
        for request, row in zip(requests, rows, strict=True):
            if wanted is None or wanted(row):
                yield SimpleNamespace(request=request), row

    return Study(
        task=SimpleNamespace(name="toy"), table=Table("toy", {"blur": (1, 5)}, (*rows, dirty)),
        model="random", folder=folder, trials=trials, load=lambda: model,
        track=untracked, seed=0, synthetic=False, notice=None,
    )  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_attacks_work_unchanged_on_architectures(backend, tmp_path, name) -> None:
    one = study(tmp_path, backend(name), count=2)
    found = Attack(steps=3)(one)
    assert found.facts["attacked"] == 2
    assert found.facts["clean answers that differ from the run's"] == 0
    for mode in ("pixel", "low", "high"):
        (change,) = found.of("score_change", mode=mode)
        assert change.value < 0, "the likelihood of the clean answer must fall"
        (largest,) = found.of("largest_change", mode=mode)
        assert 0 < largest.value <= 4 + 1e-3
        (low,) = found.of("low_frequency_share", mode=mode)
        assert 0 <= low.value <= 1
        rates = {n: found.of(n, mode=mode)[0].value for n in
                 ("success", "flip", "flip_without_decrease")}  # fmt: skip
        assert rates["success"] + rates["flip_without_decrease"] == pytest.approx(rates["flip"])
        before, after = (found.of(f"margin_{n}", mode=mode)[0].value for n in ("before", "after"))
        assert before > 0
        assert after < before or rates["flip"] == 0
    assert not found.of("leakage", mode="pixel")
    (low,), (high,) = (found.of("low_frequency_share", mode=mode) for mode in ("low", "high"))
    assert low.value > 0.5 > high.value


@pytest.mark.parametrize("name", ["qwen2_5_vl", "llava_onevision"])
def test_scores_of_pixels_are_those_of_the_run_and_their_gradient_is_right(backend, name) -> None:
    model = backend(name)
    request = ask("x", picture(5, 112, 84), "which player?", choices=("red", "the loser", "blue"))
    (response,) = model.loglikelihood([request])
    scores = model.pixel_scores(request)
    found = scores(scores.pixels)
    np.testing.assert_allclose(found.tolist(), response.outcome.logprobs, atol=2e-3)
    pixels = scores.pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(scores(pixels, [1])[0], pixels)
    direction = gradient / gradient.norm()
    with torch.no_grad():
        step = 2e-3
        up, down = (scores(scores.pixels + s * direction, [1])[0] for s in (step, -step))
    assert float(up - down) / (2 * step) == pytest.approx(float(gradient.norm()), rel=0.1)


def test_an_interrupted_attack_goes_on_and_gives_the_same(backend, tmp_path) -> None:
    model = backend("llava")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    expected = Attack(steps=2)(study(whole, model))
    Attack(steps=2, modes=("low",))(study(parts, model))
    Attack(steps=2, samples=1)(study(parts, model))
    loads = []
    again = dataclasses.replace(study(parts, model), load=lambda: loads.append(1) or model)
    assert Attack(steps=2)(again).estimates == expected.estimates
    assert loads == [1]
    done = dataclasses.replace(study(parts, model), load=lambda: pytest.fail("nothing is missing"))
    assert Attack(steps=2)(done).estimates == expected.estimates
    keys = [json.loads(line)["key"] for line in (parts / "ledger.jsonl").open() if "key" in line]
    assert len(keys) == len(set(keys)) == 9


def test_other_limits_begin_anew_and_a_random_start_is_seeded(backend, tmp_path) -> None:
    one = study(tmp_path, backend("llava"), count=1)
    plain = Attack(steps=1, modes=("pixel",))(one)
    start = Attack(steps=1, modes=("pixel",), random_start=True)
    first, second = start(one), None
    (tmp_path / "ledger.jsonl").unlink()
    second = start(one)
    assert first.estimates == second.estimates != plain.estimates


def test_samples_are_drawn_by_the_seed(backend, tmp_path) -> None:
    found = [Attack(steps=1, samples=2, modes=("pixel",))(study(tmp_path, backend("llava"), 3))]
    assert found[0].facts["attacked"] == found[0].facts["chosen"] == 2
    assert found[0].facts["clean trials"] == 3  # not the one at another level


def test_what_cannot_be_attacked_says_so(backend, tmp_path) -> None:
    with pytest.raises(TaskError, match="shows an image"):
        Attack(steps=1)(study(tmp_path, backend("llava"), images=0))
    one = study(tmp_path, backend("llava"), count=1)
    for lacking in ("choices", "logprobs"):  # a written answer has options that were not scored
        rows = tuple(dataclasses.replace(row, **{lacking: None}) for row in one.table.rows)
        bare = dataclasses.replace(one, table=dataclasses.replace(one.table, rows=rows))
        with pytest.raises(TaskError, match="no clean trial has options"):
            Attack()(bare)


def test_several_images_are_changed_together(backend, tmp_path) -> None:
    found = Attack(steps=1, modes=("high",))(study(tmp_path, backend("qwen2_5_vl"), 1, images=2))
    assert found.facts["views of an image"] == 2
