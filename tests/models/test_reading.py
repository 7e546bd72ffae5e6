from __future__ import annotations

import pytest
import torch

from vlm_eval.models import reading
from vlm_eval.models.reading import Read


@pytest.mark.parametrize("at_once", [1, 3, 32])
def test_scores_are_sums_of_log_probabilities(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_AT_ONCE", at_once)
    logits = torch.randn(3, 5, 11, generator=torch.Generator().manual_seed(0))
    places = {4: (0, [2]), 0: (2, [0, 1, 4]), 2: (0, [1, 2])}  # lines are shared, and left out
    targets = {4: [[3], [7], [0]], 0: [[1, 2, 3]], 2: [[9, 10], [10, 9]]}
    by_row = [torch.tensor(targets.get(row, [[]])) for row in range(5)]
    found = Read(logits, places).scores(by_row)
    assert list(found) == [4, 0, 2]
    logprobs = logits.log_softmax(-1)
    for row, (line, positions) in places.items():
        for option, tokens in enumerate(targets[row]):
            sums = sum(
                logprobs[line, at, token] for at, token in zip(positions, tokens, strict=True)
            )
            assert found[row][option].item() == pytest.approx(float(sums), abs=1e-6)
        assert torch.equal(Read(logits, places).last(row), logits[line, positions[-1]])


def test_numbers_of_sixteen_bits_are_added_up_in_float32() -> None:
    logits = torch.tensor([[[0.0, 1.0]] * 3], dtype=torch.bfloat16)
    found = Read(logits, {0: (0, [0, 1, 2])}).scores([torch.tensor([[0, 0, 0]])])
    assert found[0].dtype == torch.float32
    assert found[0].item() == pytest.approx(-3.9397850, abs=1e-5)
