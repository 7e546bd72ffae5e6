"""Every transform at the settings of the papers' tables, and a picture to try them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from vlm_eval.core.options import build
from vlm_eval.data.scenes.street import KINDS, Street, draw_street
from vlm_eval.transforms.base import TRANSFORMS, Transform

Options = Mapping[str, Any]
SHIFTS = (-16, -12, -8, -4, 4, 8, 12, 16)
CUTOFFS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
_PHRASE = "Answer is B"

EXAMPLES: Mapping[str, tuple[Options, ...]] = {
    "identity": ({},),
    "reencode": ({},),
    "gaussian_blur": (
        *({"kernel": kernel} for kernel in (1, 5, 11, 21, 31, 41, 51, 61)),
        *({"kernel": kernel, "space": "normalized"} for kernel in (21, 61)),
    ),
    "fill": tuple({"colour": colour} for colour in ("mean", "gray", "white", "black")),
    "motion_blur": tuple({"severity": severity} for severity in (1, 2, 3)),
    "low_light": tuple({"severity": severity} for severity in (1, 2, 3)),
    "occlusion": (
        *({"severity": severity} for severity in (1, 2, 3)),
        *({"severity": 3, "fill": fill} for fill in ("mean", "noise")),
    ),
    "translate": tuple({"dx": dx} for dx in SHIFTS),
    "pad_crop": tuple({"pixels": pixels} for pixels in SHIFTS),
    "scale": ({"factor": 0.9}, {"factor": 0.9, "restore": True}),
    "scale_pad": tuple({"factor": 0.9, "fill": fill} for fill in ("black", "white")),
    "rotate": tuple({"degrees": degrees} for degrees in (-30, 30)),
    "text_overlay": tuple(
        {"text": _PHRASE, "kind": kind} for kind in ("semantic", "random", "empty")
    ),
    "low_pass": tuple({"cutoff": cutoff} for cutoff in CUTOFFS),
    "high_pass": tuple({"cutoff": cutoff} for cutoff in CUTOFFS),
    "dc_only": ({},),
    "flip": ({},),
    "gaussian_noise": tuple({"sigma": sigma} for sigma in (0.05, 0.1, 0.2)),
    "jpeg": tuple({"quality": quality} for quality in (50, 25, 10)),
    "downscale": ({"factor": 2}, {"factor": 4}),
    "max_side": ({"pixels": 112},),
}
"""Options by transform. Noise, JPEG, downscale and max_side's limit are in no paper's table."""


def examples() -> Iterator[tuple[str, Transform]]:
    """Yield a label, ``name option=value``, and the transform of each example."""
    for name, settings in EXAMPLES.items():
        for options in settings:
            label = " ".join([name, *(f"{option}={value}" for option, value in options.items())])
            yield label, build(TRANSFORMS, {"name": name, **options}, where=None)


def specimen() -> Image.Image:
    """Draw the street that the examples are shown on: RGB, 224 x 168 pixels, all six objects."""
    return draw_street(Street(tuple(KINDS), seed=5))[0].crop((0, 48, 224, 216))
