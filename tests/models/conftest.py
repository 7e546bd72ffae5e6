from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from vlm_eval.models.hf import HfModel
from vlm_eval.models.registry import load_model

from .captured_states import States
from .checkpoints import BUILDERS, build
from .reference import Reference

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a random checkpoint, built on first use."""
    root = tmp_path_factory.mktemp("checkpoints")

    @functools.cache
    def of(name: str) -> Path:
        return build(name, root / name)

    return of


@pytest.fixture(scope="session")
def reference(checkpoint: Callable[[str], Path]) -> Callable[[str], Reference]:
    @functools.cache
    def of(name: str) -> Reference:
        model = AutoModelForImageTextToText.from_pretrained(checkpoint(name), dtype=torch.float32)
        return Reference(model.eval(), BUILDERS[name]()[1])

    return of


@pytest.fixture(scope="session")
def states(reference: Callable[[str], Reference]) -> Callable[[str], States]:
    return functools.cache(lambda name: States(reference(name)))


@pytest.fixture(scope="session")
def backend(checkpoint: Callable[[str], Path]) -> Callable[..., HfModel]:
    """A checkpoint loaded by the ordinary path, and kept for the session."""

    @functools.cache
    def of(name: str, batch_size: int = 3, args: str = "") -> HfModel:
        model = load_model(str(checkpoint(name)), args=args, batch_size=batch_size, device="cpu")
        assert isinstance(model, HfModel)
        return model

    return of
