from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import transformers as hf

from vlm_eval.core.types import Answer
from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model

from .questions import WORDS, ask, mixed_requests, picture

Folder = Callable[[str], Path]
Backend = Callable[..., HfModel]


def test_describe(backend: Backend, checkpoint: Folder) -> None:
    described = backend("qwen2_5_vl").describe()
    json.dumps(described)
    assert described["backend"] == "hf"
    assert described["source"] == str(checkpoint("qwen2_5_vl"))
    assert described["class"] == "Qwen2_5_VLForConditionalGeneration"
    assert described["processor"] == "Qwen2_5_VLProcessor"
    assert described["image_processor"].startswith("Qwen2VLImageProcessor")
    assert (described["dtype"], described["device"]) == ("float32", "cpu")
    assert described["attention"] == "sdpa"
    assert described["trust_remote_code"] is False
    assert described["versions"]["transformers"] == hf.__version__
    model = backend("qwen2_5_vl")._checkpoint.model
    assert described["parameters"] == sum(weight.numel() for weight in model.parameters())


def test_name_and_batch_size(checkpoint: Folder) -> None:
    model = load_model(str(checkpoint("llava")), device="cpu", batch_size="auto")
    assert model.name == "llava"
    assert model.describe()["engine"]["batch_size"] == 16
    assert model.capabilities.generate
    assert model.capabilities.loglikelihood
    assert model.capabilities.capture


def test_a_run_that_is_closed_early_leaves_nothing_behind(backend: Backend) -> None:
    model = backend("llava", 1)
    responses = model.loglikelihood(mixed_requests())
    next(responses)
    responses.close()
    (response,) = model.loglikelihood([ask("q", picture(1), "which?", choices=WORDS)])
    assert response.request_id == "q"
    assert isinstance(response.outcome, Answer)
