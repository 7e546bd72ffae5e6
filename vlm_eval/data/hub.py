"""Whether the hub can be reached, found out at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

SECONDS = 10.0


@contextmanager
def at_once() -> Iterator[None]:
    """Within this, ``datasets`` does not wait for a hub that cannot be reached.

    Without a network it tries again for half a minute, and writes about it, before it takes the
    copy in its cache or says that there is none. Told that it is offline, it does so immediately.
    """
    import datasets.config
    import huggingface_hub.constants

    places: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    if not all(before) and not reachable(huggingface_hub.constants.ENDPOINT):
        for place in places:
            place.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for place, was in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = was


def reachable(address: str) -> bool:
    """Return whether a server takes connections; behind a proxy nothing is known, and it may."""
    if getproxies():
        return True
    parts = urlsplit(address)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=SECONDS):
            return True
    except OSError:
        return False
