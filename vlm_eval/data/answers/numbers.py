"""Numbers in text: found whole, never put together from digits that stand apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

_LONGEST = 40
_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>(?<![\w)\]}])[-+−])?"
    # Each group of thousands looks one digit ahead only, so that no scan is repeated.
    r"(?P<digits>[0-9]{1,3}(?:,[0-9]{3}(?![0-9]))++|[0-9]++|(?=\.[0-9]))(?P<fraction>\.[0-9]++)?"
    r"(?P<exponent>[eE][-+]?[0-9]{1,2}(?![0-9]))?(?P<percent> ?%)?(?!\w|\.[0-9])"
)

WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip
"""Each number's name at its own place."""


def numbers(text: str) -> Iterator[re.Match[str]]:
    """Yield the numbers of a text: 5, -3, .5, 1,234.50, 2e5, 40 %.

    Not those inside words (3D, B2), in dotted ones (1.2.3), or of more than 40 characters.
    "1,2" is two numbers and "1,234" one.
    """
    return (match for match in _NUMBER.finditer(text) if len(match[0]) <= _LONGEST)


def as_number(text: str) -> Decimal | None:
    """Return the value of a text that is a number and nothing else; None of any other.

    A percent sign is left out of account: see :func:`is_percentage`.

    >>> as_number(" 1,234.50 ")
    Decimal('1234.50')
    >>> as_number("2 and 3") is None
    True
    """
    if len(text) > 3 * _LONGEST:
        return None
    match = _NUMBER.fullmatch(text.strip())
    return None if match is None or len(match[0]) > _LONGEST else value_of(match)


def is_percentage(text: str) -> bool:
    """Return whether a number is written with a percent sign."""
    return text.rstrip().endswith("%")


def value_of(match: re.Match[str]) -> Decimal:
    """Return the value of a number that :func:`numbers` found."""
    digits = match["digits"].replace(",", "") or "0"
    sign = "" if match["sign"] in (None, "+") else "-"
    return Decimal(f"{sign}{digits}{match['fraction'] or ''}{match['exponent'] or ''}")


def spelled(value: Decimal) -> str:
    """Return the one spelling of a value: no sign of plus, no idle zeros, no exponent.

    >>> spelled(Decimal("-007.50")), spelled(Decimal("1e3"))
    ('-7.5', '1000')
    """
    plain = format(value, "f")
    trimmed = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if trimmed in ("", "-", "-0", "+0") else trimmed
