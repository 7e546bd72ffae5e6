"""Right is what equals the right answer, letter for letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_eval.core.options import configurable


@configurable
class Exact:
    """``accuracy`` 1 where the parsed answer equals the gold answer, else 0: the default."""

    def __call__(
        self,
        text: str,  # noqa: ARG002 - a scorer's signature
        answer: str | None,
        gold: str,
        fields: Mapping[str, Any],  # noqa: ARG002
    ) -> Mapping[str, float]:
        """Compare; an unparsed answer is wrong."""
        return {"accuracy": float(answer == gold)}
