"""In which orders two options are shown: both, one fixed, or one by hash."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

Orders: TypeAlias = Literal["both", "fixed", "hash"]
"""``both``: every choice in either order. ``fixed``: in the first only, which ties the right answer
to the side. ``hash``: in one, as good as drawn, and the same on every machine."""


def is_asked(orders: Orders, place: int, *who: str | int) -> bool:
    """Return whether a choice is asked in the order at a place.

    Parameters
    ----------
    orders
        The policy.
    place
        0 for the first order, 1 for the second.
    who
        What is chosen: sample id, question, side, seed. Under ``hash`` the order is the parity of
        SHA-256 of these, joined by ``|``.
    """
    if orders == "both":
        return True
    if orders == "fixed":
        return place == 0
    hashed = hashlib.sha256("|".join(map(str, who)).encode("utf-8", "surrogatepass"))
    return hashed.digest()[-1] % 2 == place
