"""Reading images: formats, size and truncation are checked, and RGB always means the same.

What :func:`decode` accepts is PNG, JPEG, WEBP, GIF, BMP and TIFF. The first frame of an animation
is the image. The EXIF orientation is applied, transparency is composited on white, 16-bit greys are
scaled to 8 bits, and colour profiles are not applied. Pillow's global settings are neither read nor
changed.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.types import ImageRef

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# Pillow warns above this and refuses above twice this: a quarter of a gibibyte of RGB.
MAX_PIXELS = 89_478_485
# What Pillow's readers raise on damaged files, from its base class down to a bad table entry.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)


def open_image(path: str | Path, *, root: str | Path | None = None) -> ImageRef:
    """Return a reference to an image file; its key is the digest of the file's bytes.

    Parameters
    ----------
    path
        The file. A relative path is taken from ``root`` if that is given.
    root
        The folder that the file must lie in, links resolved. None: anywhere.

    Raises
    ------
    DataError
        If the path leaves ``root``, or is no readable file. What the file holds is checked when the
        image is loaded.
    """
    label = str(path)
    file = _inside(Path(path), Path(root), label) if root is not None else Path(path)
    key = digest_bytes(_read(file, label))

    def load() -> Image.Image:
        data = _read(file, label)
        if digest_bytes(data) != key:
            raise DataError("the image changed during the run", where=label, hint="start again")
        return decode(data, label)

    return ImageRef(key=key, load=load, label=label)


def image_ref(data: bytes, label: str) -> ImageRef:
    """Return a reference to an encoded image in memory; its key is the digest of the bytes."""
    return ImageRef(key=digest_bytes(data), load=lambda: decode(data, label), label=label)


def decode(data: bytes, label: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image file's bytes to mode RGB, 8 bits a channel, without metadata.

    Parameters
    ----------
    data
        The whole file.
    label
        What to call the image in messages.
    max_pixels
        Refuse more than this many pixels, by the file's header, before any is decoded. Pillow's own
        limit of 178,956,970 holds besides.

    Raises
    ------
    DataError
        If the data is empty, of another format, damaged, cut short or too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(label, max_pixels)
            image.load()
            kind = image.format
            upright = ImageOps.exif_transpose(image)
        if kind == "PNG":  # load() stops at the last pixel and does not miss the file's end
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                image.verify()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(label, max_pixels) from error
    except _DAMAGE as error:
        raise DataError(
            f"not a readable {', '.join(FORMATS)} image ({len(data)} bytes)",
            where=label,
            hint="replace the file, it may be cut short or of another format",
        ) from error
    return _to_rgb(upright, kind, label)


def _too_large(label: str, max_pixels: int) -> DataError:
    return DataError(f"the image has more than {max_pixels:,} pixels", where=label, hint="scale it")


def _to_rgb(image: Image.Image, kind: str | None, label: str) -> Image.Image:
    # Older Pillow reads 16-bit grey PNG as I, which elsewhere means 32 bits of unknown range.
    if image.mode.startswith("I;16") or (image.mode == "I" and kind == "PNG"):
        grey = np.rint(np.asarray(image).astype(np.float64) * (255 / 65535))
        image = Image.fromarray(grey.astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(
            "32-bit grey has no stated white level", where=label, hint="convert the file to 8 bits"
        )
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(page, layer)
    rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def _inside(path: Path, root: Path, label: str) -> Path:
    try:
        file, base = (root / path).resolve(), root.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"not a usable path ({error})", where=label) from error
    if not file.is_relative_to(base):
        raise DataError(
            f"the path leaves the data folder {root}", where=label, hint="move the file into it"
        )
    return file


def _read(file: Path, label: str) -> bytes:
    try:
        if not file.is_file():
            raise DataError("there is no such image file", where=label)
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=label) from error
