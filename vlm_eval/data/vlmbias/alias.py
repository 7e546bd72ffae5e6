"""The alias prompts of VLM-Fix (arXiv 2604.12119, section 5): counting made-up ITEMs.

The familiar thing is named once, as what an ITEM is, and the question asks for ITEMs. A prompt that
does not have one of the published forms cannot be rewritten; the paper's code then keeps it without
a word, this one says so by returning None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

ANSWER = "Answer with a number in curly brackets, e.g., {9}."
"""The last sentence of every prompt."""

_GAME_UNITS = ("horizontal lines", "vertical lines", "rows", "columns")
_FLAG_UNITS = ("stars", "stripes")
_END = re.escape(ANSWER)
_COUNT = re.compile(rf"Count the (?P<rest>[^\n]+)\.\s*{_END}", re.IGNORECASE)
_HOW_MANY = re.compile(rf"How many (?P<rest>[^\n]+)\?\s*{_END}", re.IGNORECASE)
_LOGO_PLACES = (
    " in the logo on the left shoe",
    " on the star in the logo of this car",
    " in the logo of this car",
)
_ARE_THERE = re.compile(" are there ", re.IGNORECASE)


def alias_prompt(topic: str, prompt: str) -> str | None:
    """Return a prompt in alias form; None if its topic or its wording has none.

    Parameters
    ----------
    topic
        ``Animals``, ``Logos``, ``Flags`` or ``Game Boards``; other topics have no alias form.
    prompt
        The data set's prompt.
    """
    rewrite = _REWRITES.get(topic)
    return rewrite(prompt.strip()) if rewrite else None


def _items(what: str, unit: str) -> str:
    return (
        f"Count the {what}, but report them as ITEMs (one ITEM = one {unit}). "
        f"How many ITEMs are there? {ANSWER}"
    )


def _animals(prompt: str) -> str:  # noqa: ARG001 - both published questions become this one
    return _items("visible legs in this image", "visible leg")


def _flags(prompt: str) -> str | None:
    return _first_unit(prompt, _FLAG_UNITS, "in this image")


def _game_boards(prompt: str) -> str | None:
    return _first_unit(prompt, _GAME_UNITS, "on this image")


def _first_unit(prompt: str, units: tuple[str, ...], place: str) -> str | None:
    for unit in units:
        if unit in prompt.lower():
            return _items(f"{unit} {place}", unit.removesuffix("s"))
    return None


def _logos(prompt: str) -> str | None:
    found = _counted(prompt) if prompt.lower().startswith("count the ") else _asked(prompt)
    if found is None:
        return None
    units, place = (part.strip() for part in found)
    if not units or not place:
        return None
    return _items(f"{units} {place}", _singular(units))


def _counted(prompt: str) -> tuple[str, str] | None:
    """Return units and place of "Count the UNITS PLACE.", for the three places that are known."""
    match = _COUNT.fullmatch(prompt)
    if match:
        for place in _LOGO_PLACES:
            if match["rest"].strip().lower().endswith(place):
                return match["rest"].strip()[: -len(place)], place
    return None


def _asked(prompt: str) -> tuple[str, str] | None:
    """Return units and place of "How many UNITS are there PLACE?"."""
    match = _HOW_MANY.fullmatch(prompt)
    if not match:
        return None
    parts = _ARE_THERE.split(match["rest"], maxsplit=1)
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _singular(units: str) -> str:
    return units[:-1] if units.lower().endswith("s") else units


_REWRITES: Mapping[str, Callable[[str], str | None]] = {
    "Animals": _animals,
    "Logos": _logos,
    "Flags": _flags,
    "Game Boards": _game_boards,
}
