"""Stable digests and stable randomness.

Every identity in vlm_eval (a request, a task, a sample's pixels) is a SHA-256 digest of canonical
JSON, and every random choice is drawn from a generator seeded by such a digest. Neither depends on
the order of work, the batch size, the number of processes or Python's salted string hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

SHORT = "V16"  # the type of short digests in an array

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8 kept, NaN refused.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value's canonical text, as 64 hexadecimal digits."""
    return digest_bytes(canonical_json(value).encode("utf-8", "surrogatepass"))


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def short_digest(text: str) -> bytes:
    """Return the first 16 bytes of a text's SHA-256, for use in memory."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def record_key(
    task: str, sample_id: str, condition: Mapping[str, str | int | float | bool], request_hash: str
) -> bytes:
    """Return the identity of a trial's record, 16 bytes. It is for use in memory."""
    levels = _levels(tuple(condition.items()), tuple(map(type, condition.values())))
    # Lengths, so that no two lists of texts make the same text.
    return short_digest(f"{len(task)} {len(sample_id)} {task}{sample_id}{request_hash} {levels}")


@lru_cache(maxsize=1024)
def _levels(
    condition: tuple[tuple[str, str | int | float | bool], ...],
    kinds: tuple[type, ...],  # noqa: ARG001 - 1 and True are equal, and other levels
) -> str:
    return canonical_json(dict(condition))


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 64-bit seed that depends on a master seed and on names, and on nothing else.

    The names say *whose* randomness it is, usually a sample id and a purpose, so that two samples
    never share a stream and none depends on the order in which samples are visited.
    """
    return int(digest([seed, *names])[:16], 16)


def derive_rng(seed: int, *names: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))
