"""Runs of the toy task with hostile words in it, and their reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vlm_eval


@pytest.fixture
def make_run(write, folder) -> Callable[..., Path]:
    """Return a function that runs a model on the toy task, texts of it replaced."""

    def make_run(*changes: tuple[str, str], model: str = "mock:seed=2", **options: Any) -> Path:
        write(*changes)
        path = folder / f"run-{len(list(folder.glob('run-*')))}"
        vlm_eval.evaluate(
            model, "toy", include_path=folder, output_path=path, progress=False, **options
        )
        return path

    return make_run
