"""A folder of static pages that open by double click and load nothing from elsewhere.

Shared by all kinds of pages. A kind brings a package with ``templates`` that extend
``base.html.j2``, and perhaps ``assets``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image

from vlm_eval.core.errors import RunError
from vlm_eval.reports import svg, text

GENERATOR = '<meta name="generator" content="vlm_eval">'
FEW_COLOURS = 4096
"""Drawn pictures have fewer and are stored exactly; photographs have more."""
QUALITY = 92  # of the WebP of a photograph
# `file:` beside 'self' for browsers in which 'self' matches no page opened from disk.
POLICY = "; ".join(
    ["default-src 'none'"]
    + [f"{kind}-src 'self' file:" for kind in ("script", "style", "img")]
    + ["base-uri 'none'", "form-action 'none'"]
)


class Site:
    """Writes pages, data and images below one folder. Equal content gives equal bytes.

    Parameters
    ----------
    folder
        An existing folder.
    package
        The package whose ``templates`` and ``assets`` the pages use besides those of this one.
    """

    def __init__(self, folder: Path, package: str = "vlm_eval.reports") -> None:
        self.folder = folder
        packages = dict.fromkeys((package, "vlm_eval.reports"))
        self._jinja = jinja2.Environment(
            loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
            autoescape=True,  # never by file name: ".html.j2" would turn it off
            undefined=jinja2.StrictUndefined,
            finalize=text.shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters |= {
            "percent": text.percent,
            "count": text.count,
            "p": text.p_value,
            "decimal": text.decimal,
            "levels": text.levels,
            "bdi": text.isolated,
            "slug": text.slug,
            "marked": text.marked,
        }
        self._jinja.globals |= {"svg": svg, "interval": text.interval, "policy": POLICY}
        for name in packages:
            self._copy_assets(name)

    def _copy_assets(self, package: str) -> None:
        for asset in sorted(files(package).joinpath("assets").iterdir(), key=lambda a: a.name):
            self.write(f"assets/{asset.name}", asset.read_bytes())

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file of the site.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        data = content.encode("utf-8", "replace") if isinstance(content, str) else content
        file = self.folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        except OSError as error:
            raise _cannot_write(file, error) from error

    def page(self, path: str, template: str, **values: Any) -> None:
        """Write a page. The template gets ``root``, the way from the page to the site's folder."""
        self.write(path, self.render(template, root="../" * path.count("/"), **values))

    def render(self, template: str, **values: Any) -> Markup:
        """Return what a template renders to."""
        return Markup(self._jinja.get_template(template).render(**values))

    def script(self, path: str, callback: str, value: Any) -> None:
        """Write a file that calls a function with a JSON value: what ``fetch`` of JSON would be.

        Browsers let no page that was opened from disk fetch a file, but load scripts.
        """
        self.write(path, f"{callback}({script_json(value)});\n")

    def image(self, image: Image.Image) -> str:
        """Store an RGB image as WebP under the digest of its bytes and return its path."""
        buffer = io.BytesIO()
        if image.getcolors(FEW_COLOURS) is not None:
            image.save(buffer, "WEBP", lossless=True, method=3, quality=50)
        else:
            image.save(buffer, "WEBP", quality=QUALITY, method=3)
        data = buffer.getvalue()
        path = f"images/{hashlib.sha256(data).hexdigest()[:32]}.webp"
        if not (self.folder / path).exists():
            self.write(path, data)
        return path


def script_json(value: Any) -> str:
    r"""Return JSON that is also inert JavaScript, in a file or within a ``script`` element.

    ASCII only, so that no line separator ends a string; and nothing in it closes a script element
    or opens a comment or another script, in any case of letters.

    >>> script_json("</script><!--\u2028")
    '"<\\/script>\\u003c!--\\u2028"'
    """
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return re.sub("<(?=!--|script)", r"\\u003c", plain, flags=re.IGNORECASE)


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of ``folder`` when all went well.

    Until then, and if anything fails, what was there before stays as it is.

    Raises
    ------
    RunError
        If the place holds anything but an earlier site, or cannot be written.
    """
    check_replaceable(folder)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        beside.mkdir(parents=True)
        try:
            yield beside
            if folder.exists():
                shutil.rmtree(folder)
            beside.replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def check_replaceable(folder: Path) -> None:
    """Raise RunError if a folder holds anything but an earlier site."""
    hint = "choose another --out"
    try:
        if not folder.is_dir():
            if folder.exists():
                raise RunError("is a file, not a folder", where=str(folder), hint=hint)
            return
        if any(folder.iterdir()):
            index = folder / "index.html"
            if not (index.is_file() and GENERATOR in index.read_text("utf-8", "replace")):
                raise RunError("is not empty and holds no report", where=str(folder), hint=hint)
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", where=str(folder), hint=hint) from error


def _cannot_write(path: Path, error: OSError) -> RunError:
    what = f"cannot be written: {error.strerror or error}"
    return RunError(what, where=str(path), hint="make room, or choose another --out")
