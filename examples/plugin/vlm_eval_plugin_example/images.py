"""An image transform."""

from __future__ import annotations

from typing import ClassVar

from PIL import Image, ImageOps

from vlm_eval.core.options import configurable


@configurable
class Mirror:
    """Left and right exchanged."""

    uses_seed: ClassVar[bool] = False

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:  # noqa: ARG002
        """Return the mirrored image."""
        return ImageOps.mirror(image)
