"""Reading images: formats, size and truncation are checked, and RGB always means the same.

What :func:`decode` accepts is PNG, JPEG, WEBP, GIF, BMP and TIFF. The first frame of an animation
is the image. The EXIF orientation is applied, transparency is composited on white, 16-bit greys are
scaled to 8 bits, and colour profiles are not applied. Pillow's global settings are neither read nor
changed.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.types import ImageRef

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# Pillow warns above this and refuses above twice this: a quarter of a gibibyte of RGB.
MAX_PIXELS = 89_478_485
_END = 1 << 12  # bytes of either end of a file that stand for it in the digest of a data set
# What Pillow's readers raise on damaged files, from its base class down to a bad table entry.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)


class EncodedImage(ImageRef):
    """An encoded image. Its key is found out when it is first asked for: that reads all of it.

    Parameters
    ----------
    read
        Returns the bytes. Raises DataError if it cannot.
    size
        How many they are.
    label
        What to call the image in messages.
    """

    size: int
    """Its length in bytes."""

    def __init__(self, read: Callable[[], bytes], size: int, label: str) -> None:
        # Frozen, and without a key.
        self.__dict__.update(read=read, size=size, label=label, load=self._load)

    @cached_property
    def key(self) -> str:
        """Digest of the bytes. Raises DataError if they cannot be read, or have changed."""
        return digest_bytes(self.__dict__["read"]())

    def _load(self) -> Image.Image:
        return decode(self.__dict__["read"](), self.label)

    def stated_size(self) -> tuple[int, int] | None:
        """Return width and height as the header says, None if it says nothing that can be read."""
        try:
            with Image.open(self._source(), formats=FORMATS) as image:
                return image.size
        except (*_DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning):
            return None

    def _source(self) -> Path | io.BytesIO:
        return io.BytesIO(self.__dict__["read"]())

    @cached_property
    def fingerprint(self) -> str:
        """See :func:`fingerprint`. Raises DataError as `key`."""
        return digest_bytes(self.size.to_bytes(8) + self._ends())

    def _ends(self) -> bytes:
        """Return the beginning and the end of the bytes, all if they are few."""
        data: bytes = self.__dict__["read"]()
        return data if self.size <= 2 * _END else data[:_END] + data[-_END:]


class FileImage(EncodedImage):
    """An image file. Raises DataError if there is no such file."""

    file: Path

    def __init__(self, file: Path, label: str) -> None:
        size, changed = _status(file, label)
        super().__init__(self._read, size, label)
        self.__dict__.update(file=file, _changed=changed)

    def _source(self) -> Path:
        return self.file

    def _read(self) -> bytes:
        data = _read(self.file, self.label)
        if _status(self.file, self.label) != (self.size, self.__dict__["_changed"]):
            raise self._other_file()
        return data

    def _load(self) -> Image.Image:
        data = _read(self.file, self.label)
        if digest_bytes(data) != self.key:
            raise self._other_file()
        return decode(data, self.label)

    def _other_file(self) -> DataError:
        return DataError("the image changed during the run", where=self.label, hint="start again")

    def _ends(self) -> bytes:
        if self.size <= 2 * _END:
            return self._read()
        try:
            with self.file.open("rb", buffering=0) as file:
                start = file.read(_END)
                file.seek(-_END, os.SEEK_END)
                return start + file.read(_END)
        except OSError as error:
            raise _unreadable(self.label, error) from error


def fingerprint(ref: ImageRef) -> str:
    """Return what stands for an image in the digest of a data set.

    It is the image's key; of an encoded image, which need not be asked about and may be large, a
    digest of its length and of its first and last 4 KiB. The same data has the same fingerprints
    wherever it lies. An image of which the middle alone was changed, its length kept, has them too:
    that comes to light in the keys of the requests that show it.
    """
    return ref.fingerprint if isinstance(ref, EncodedImage) else ref.key


def same_file(one: ImageRef, other: ImageRef) -> bool:
    """Return whether two images are the same bytes; files are read only where their sizes agree."""
    if isinstance(one, EncodedImage) and isinstance(other, EncodedImage) and one.size != other.size:
        return False
    return one.key == other.key


def open_image(path: str | Path, *, root: str | Path | None = None) -> FileImage:
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
        If the path leaves ``root``, or there is no such file. What the file holds is checked when
        the image is loaded.
    """
    label = str(path)
    file = _inside(Path(path), Path(root), label) if root is not None else Path(path)
    return FileImage(file, label)


def image_ref(data: bytes, label: str) -> ImageRef:
    """Return a reference to an encoded image in memory; its key is the digest of the bytes."""
    return EncodedImage(lambda: data, len(data), label)


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


def _status(file: Path, label: str) -> tuple[int, int]:
    """Return a file's length in bytes, and when it was last written."""
    try:
        status = file.stat()
    except FileNotFoundError:
        status = None
    except (OSError, ValueError) as error:
        raise _unreadable(label, error) from error
    if status is None or not stat.S_ISREG(status.st_mode):
        raise DataError("there is no such image file", where=label)
    return status.st_size, status.st_mtime_ns


def _read(file: Path, label: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError("there is no such image file", where=label) from error
    except OSError as error:
        raise _unreadable(label, error) from error


def _unreadable(label: str, error: Exception) -> DataError:
    return DataError(f"cannot be read ({error})", where=label)
