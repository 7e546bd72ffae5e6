"""Loading from the hub: whether it can be reached, found out at once, and what is shown of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

SECONDS = 10.0
_SHOWN: ContextVar[bool] = ContextVar("shown", default=True)


@contextmanager
def progress_bars(*, shown: bool) -> Iterator[None]:
    """Within this, the libraries show how far they are with loading data, or they do not."""
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)


@contextmanager
def at_once() -> Iterator[None]:
    """Within this, ``datasets`` does not wait for a hub that cannot be reached.

    Without a network it tries again for half a minute, and writes about it, before it takes the
    copy in its cache or says that there is none. Told that it is offline, it does so immediately.
    Nor are there bars where :func:`progress_bars` forbids them.
    """
    import datasets.config
    import huggingface_hub.constants

    places: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    if not all(before) and not reachable(huggingface_hub.constants.ENDPOINT):
        for place in places:
            place.HF_HUB_OFFLINE = True
    try:
        with nullcontext() if _SHOWN.get() else _without_bars():
            yield
    finally:
        for place, was in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = was


@contextmanager
def _without_bars() -> Iterator[None]:
    import datasets.utils
    import huggingface_hub.utils

    libraries: tuple[Any, ...] = (datasets.utils, huggingface_hub.utils)
    on = [library for library in libraries if not library.are_progress_bars_disabled()]
    for library in on:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for library in on:
            library.enable_progress_bars()


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
