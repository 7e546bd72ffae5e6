"""Text and numbers for pages: what came from elsewhere is shown, and cannot act."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

MINUS = "\u2212"
# C0 and C1 controls but tab and newline; what orders text (bidi marks, embeddings, isolates), is
# not seen (zero width, soft hyphen, tags) or breaks lines; surrogates; what XML forbids. Zero-width
# joiners (200C, 200D) stay: emoji and several scripts need them.
_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: object, *, lines: bool = True) -> str:
    r"""Return a text in which every character that acts instead of being seen is a symbol.

    Parameters
    ----------
    text
        Any object's text.
    lines
        Whether newlines stay; otherwise they are symbols too.

    >>> visible("a\x1b[2Jb\u202ec")
    'a␛[2Jb⟨U+202E⟩c'
    """
    shown = _ACTIVE.sub(_symbol, str(text))
    return shown if lines else shown.replace("\n", "\u240a")


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if 0xD800 <= code < 0xE000 else f"\u27e8U+{code:04X}\u27e9"


def isolated(text: object) -> Markup:
    """Return a text from elsewhere on one line, isolated from the direction of what is around."""
    return Markup(f"<bdi>{escape(visible(text, lines=False))}</bdi>")


def shown(value: Any) -> Any:
    """Make what a template prints visible; markup is taken as it is. The ``finalize`` of Jinja."""
    return value if isinstance(value, Markup) else visible(value)


def percent(value: float | None, *, signed: bool = False, unit: str = "", digits: int = 1) -> str:
    """Return a share in percent, or a number that has a unit as it is; "-" where unknown.

    A number with a unit has two decimals, or three digits where these would hide or bloat it.

    >>> percent(0.125), percent(-0.0312, signed=True), percent(None), percent(1.5, unit="nats")
    ('12.5', '\u22123.1', '-', '1.50')
    """
    if value is None:
        return "-"
    shown, form = (value, ".2f") if unit else (100 * value, f".{digits}f")
    if unit and value and not 0.005 <= abs(value) < 1e6:
        form = ".3g"
    text = f"{shown:{'+' if signed else ''}{form}}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def interval(low: float | None, high: float | None, *, signed: bool = False, unit: str = "") -> str:
    """Return an interval in brackets; "-" where it is unknown."""
    if low is None or high is None:
        return "-"
    return f"[{percent(low, signed=signed, unit=unit)}, {percent(high, signed=signed, unit=unit)}]"


def count(value: int | None) -> str:
    """Return a whole number with commas; "-" where unknown."""
    return "-" if value is None else f"{value:,}"


def p_value(value: float | None) -> str:
    """Return a p value with as many digits as can matter; "-" where unknown."""
    if value is None:
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """Return a plain number; "-" where unknown.

    >>> decimal(-1.5), decimal(-0.0004), decimal(None)
    ('\u22121.50', '0.00', '-')
    """
    if value is None:
        return "-"
    text = f"{value:.{digits}f}"
    return (text if text.strip("-0.") else text.lstrip("-")).replace("-", MINUS)


def levels(where: Mapping[str, Any]) -> Markup:
    """Return factor levels or fields as ``name value`` pairs; the style sheet isolates names."""
    pairs = (
        f"<span class=level><i>{escape(visible(name, lines=False))}</i> {isolated(value)}</span>"
        for name, value in where.items()
    )
    return Markup(" ".join(pairs))


def address(page: str, **state: Any) -> str:
    """Return the address of a page of samples that shows those of a state (`assets/samples.js`).

    >>> address("s.html", show="to_wrong", factor="blur", level=5.0, field="")
    's.html#show=to_wrong&factor=blur&level=5'
    """
    given = {name: _as_script(value) for name, value in state.items() if value not in ("", None)}
    return f"{page}#{urlencode(given)}"


def _as_script(value: Any) -> str:
    """Return a level as ``String(level)`` gives it in the browser."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def slug(name: str) -> str:
    """Return a name as a file name: itself if it is a plain one, else what is left and a digest.

    >>> slug("vlm-fix-inverse")
    'vlm-fix-inverse'
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,80}", name):
        return name
    kept = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:60]
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept or 'page'}-{digest}"


def marked(text: str, span: tuple[int, int] | None) -> Markup:
    """Return a model's text with the part that the parser read marked."""
    if span is None or not 0 <= span[0] < span[1] <= len(text):
        return escape(visible(text))
    before, read, after = (
        escape(visible(part)) for part in (text[: span[0]], text[slice(*span)], text[span[1] :])
    )
    return Markup(f"{before}<mark>{read}</mark>{after}")
