"""Vectors of things, made in batches and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vlm_eval.core.errors import VlmEvalError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.types import Failure
from vlm_eval.models.batching import ahead
from vlm_eval.models.images import Tensors, stack
from vlm_eval.models.lru import Lru
from vlm_eval.models.memory import lacks_memory, recover

Vector: TypeAlias = NDArray[np.float32]
Prepare: TypeAlias = Callable[[], Tensors]
Made: TypeAlias = Vector | Failure

KEPT_MB = 256
"""Megabytes of vectors that are kept: 130,000 of CLIP's, of 512 numbers."""


class Vectors:
    """The vectors of one encoder, each made once.

    Parameters
    ----------
    encode
        From stacked tensors to one vector a row.
    batch_size
        Rows a forward pass; halved for good when memory runs out.
    """

    def __init__(self, encode: Callable[[Tensors], torch.Tensor], batch_size: int) -> None:
        self._encode, self._size = encode, batch_size
        self._by_name = _memo()
        self._by_content = _memo()
        self.encoded = 0

    def of(self, items: Mapping[str, Prepare]) -> dict[str, Made]:
        """Return the vector, of length 1, of each item, by the item's name.

        Items with the same tensors have the same vector, whatever their names.

        Parameters
        ----------
        items
            By name: what prepares the item, one row of each tensor. It is called in a worker
            thread, and only if the item is new.
        """
        found: dict[str, Made] = {}
        for name in items:
            vector = self._by_name.kept(name)
            if vector is not None:
                found[name] = vector
        new = [item for item in items.items() if item[0] not in found]
        batch: dict[str, Tensors] = {}
        names: dict[str, str] = {}
        for name, made in ahead(_prepared, new, 2 * self._size):
            if isinstance(made, Failure):
                found[name] = made
                continue
            names[name] = _content(made)
            batch[names[name]] = made
            if len(batch) >= self._size:
                found |= self._spread(batch, names)
                batch, names = {}, {}
        return found | self._spread(batch, names)

    def _spread(self, batch: Mapping[str, Tensors], names: Mapping[str, str]) -> dict[str, Made]:
        """Return the vectors of a batch by name, given the content of each name."""
        kept = {content: self._by_content.kept(content) for content in batch}
        made: dict[str, Made] = {key: vector for key, vector in kept.items() if vector is not None}
        made |= self._compute({key: batch[key] for key in batch if key not in made})
        for content, vector in made.items():
            _keep(self._by_content, content, vector)
        found = {name: made[content] for name, content in names.items()}
        for name, vector in found.items():
            _keep(self._by_name, name, vector)
        return found

    def _compute(self, batch: Mapping[str, Tensors]) -> dict[str, Made]:
        """Encode in one pass, or in halves of it where it fails."""
        if not batch:
            return {}
        rows = self._attempt(list(batch.values()))
        if not isinstance(rows, Failure):
            return dict(zip(batch, rows, strict=True))
        if len(batch) == 1:
            return dict.fromkeys(batch, rows)
        half = (len(batch) + 1) // 2
        if rows.kind == "oom":
            self._size = min(self._size, half)
        items = list(batch.items())
        return self._compute(dict(items[:half])) | self._compute(dict(items[half:]))

    def _attempt(self, batch: list[Tensors]) -> list[Vector] | Failure:
        try:
            rows = torch.nn.functional.normalize(self._encode(stack(batch)).double(), dim=-1)
            self.encoded += len(rows)
            return [row.numpy().astype(np.float32) for row in rows]
        except Exception as error:  # noqa: BLE001  (recorded as the failure of its requests)
            message = _line(error)
            short = lacks_memory(error)
        # Outside the handler, whose traceback holds on to the tensors of the failed pass.
        recover(memory=short)
        return Failure("oom" if short else "bug", message)


def _memo() -> Lru[str, Vector]:
    return Lru(KEPT_MB * 2**20, cost=lambda vector: int(vector.nbytes))


def _keep(memo: Lru[str, Vector], key: str, made: Made) -> None:
    if not isinstance(made, Failure):
        memo.get(key, lambda: made)


def _prepared(item: tuple[str, Prepare]) -> tuple[str, Tensors | Failure]:
    name, prepare = item
    try:
        return name, prepare()
    except VlmEvalError as error:
        return name, Failure("image", str(error))
    except Exception as error:  # noqa: BLE001  (recorded as the failure of its requests)
        return name, Failure("bug", _line(error))


def _content(tensors: Tensors) -> str:
    return digest_bytes(b"".join(tensors[key].numpy().tobytes() for key in sorted(tensors)))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
