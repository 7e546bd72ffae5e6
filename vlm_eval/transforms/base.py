"""What an image transform is: a pure function of an image and a seed."""

from __future__ import annotations

from typing import ClassVar, Protocol

from PIL import Image

from vlm_eval.core.registry import Registry


class Transform(Protocol):
    """Changes an image. Implementations are ``configurable`` classes; fields carry units."""

    uses_seed: ClassVar[bool]
    """Whether the result depends on the seed; if not, equal images stay equal in every sample."""

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return a new RGB image; never changes the one given, never reads global state."""
        ...


TRANSFORMS: Registry[type[Transform]] = Registry(
    "transform",
    {
        "identity": "vlm_eval.transforms.basic:Identity",
        "reencode": "vlm_eval.transforms.basic:Reencode",
        "gaussian_blur": "vlm_eval.transforms.basic:GaussianBlur",
    },
    "vlm_eval.transforms",
)
