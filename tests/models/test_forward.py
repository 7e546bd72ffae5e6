"""Image features are kept within a budget of bytes; logits are computed where they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from vlm_eval.models.forward import VisionMemo
from vlm_eval.models.hf import HfModel
from vlm_eval.models.inputs import Encoded

from .questions import WORDS, ask, picture

Backend = Callable[..., HfModel]


@pytest.mark.parametrize("level", ["naive", "memo", "prefix", "tree"])
def test_logits_are_computed_only_where_options_are_read(level: str, backend: Backend) -> None:
    """As wide as the vocabulary, they would otherwise be most of what a pass needs."""
    model = backend("qwen2_5_vl", 3, f"engine={level}")
    request = ask("q", picture(201), "which colour is the piece?", choices=WORDS)
    encoded: Any = model._encoder.encode(request)
    assert isinstance(encoded, Encoded)
    list(model.loglikelihood([ask("first", picture(202), "which?", choices=WORDS)]))  # the probe
    rows: list[int] = []

    def count(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        rows.append(given[0].shape[:-1].numel())

    hook = model._checkpoint.model.lm_head.register_forward_pre_hook(count)
    list(model.loglikelihood([request]))
    hook.remove()
    read = sum(len(option.ids) - encoded.start for option in encoded.options)
    assert 0 < sum(rows) <= read < len(encoded.prompt)


def test_features_are_kept_within_their_bytes_and_forgotten_longest_unused_first(
    backend: Backend,
) -> None:
    model = backend("qwen2_5_vl")
    encoded = [
        model._encoder.encode(ask(f"q{seed}", picture(seed), "which?", choices=WORDS))
        for seed in (211, 212, 213)
    ]
    units = [one.images.units[0] for one in encoded if isinstance(one, Encoded)]
    memo = VisionMemo(model._checkpoint.model, torch.device("cpu"), 1)
    first = memo.tokens(units[0]).clone()
    memo._kept._limit = 2 * first.numel() * first.element_size()  # two of these three
    for unit in (units[1], units[0], units[2]):
        memo.tokens(unit)
    assert (memo.computed, len(memo._kept)) == (3, 2)
    assert torch.equal(memo.tokens(units[0]), first)
    assert memo.computed == 3, "used after the second, so kept"
    memo.tokens(units[1])
    assert memo.computed == 4
