"""What an image transform is: a pure function of an image and a seed."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

from vlm_eval.core.registry import Registry


class Transform(Protocol):
    """Changes an image. Implementations are ``configurable`` classes; fields carry units."""

    @property
    def uses_seed(self) -> bool:
        """Whether the result depends on the seed; if not, equal images stay equal in every run."""
        ...

    def __call__(self, image: Image.Image, seed: int) -> Image.Image:
        """Return a new RGB image; never changes the one given, never reads global state."""
        ...


TRANSFORMS: Registry[type[Transform]] = Registry(
    "transform",
    {
        "identity": "vlm_eval.transforms.basic:Identity",
        "reencode": "vlm_eval.transforms.basic:Reencode",
        "fill": "vlm_eval.transforms.basic:Fill",
        "gaussian_blur": "vlm_eval.transforms.basic:GaussianBlur",
        "motion_blur": "vlm_eval.transforms.corruptions:MotionBlur",
        "low_light": "vlm_eval.transforms.corruptions:LowLight",
        "occlusion": "vlm_eval.transforms.corruptions:Occlusion",
        "gaussian_noise": "vlm_eval.transforms.corruptions:GaussianNoise",
        "jpeg": "vlm_eval.transforms.corruptions:Jpeg",
        "translate": "vlm_eval.transforms.geometry:Translate",
        "pad_crop": "vlm_eval.transforms.geometry:PadCrop",
        "scale": "vlm_eval.transforms.geometry:Scale",
        "scale_pad": "vlm_eval.transforms.geometry:ScalePad",
        "rotate": "vlm_eval.transforms.geometry:Rotate",
        "flip": "vlm_eval.transforms.geometry:Flip",
        "downscale": "vlm_eval.transforms.geometry:Downscale",
        "max_side": "vlm_eval.transforms.geometry:MaxSide",
        "text_overlay": "vlm_eval.transforms.overlay:TextOverlay",
        "low_pass": "vlm_eval.transforms.spectral:LowPass",
        "high_pass": "vlm_eval.transforms.spectral:HighPass",
        "dc_only": "vlm_eval.transforms.spectral:DcOnly",
    },
    "vlm_eval.transforms",
)
