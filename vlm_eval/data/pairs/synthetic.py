"""Drawn minimal pairs: the embedded stand-in for MiS and MiC, plainly synthetic.

A pair is one theme under one setting (sky, place, size, mirror), drawn twice with one difference;
its captions differ in the same one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from vlm_eval.core.hashing import derive_rng, digest
from vlm_eval.core.types import ImageRef
from vlm_eval.data.pairs import culture, safety
from vlm_eval.data.pairs.safety import Theme
from vlm_eval.data.pen import Colour, Frame, Pen, shade

SIZE = 224
VERSION = 1
THEMES: Mapping[str, tuple[Theme, ...]] = {"mis": safety.THEMES, "mic": culture.THEMES}
SKIES: Mapping[str, Colour] = {
    "in the sun": (186, 220, 245),
    "on a grey day": (205, 206, 208),
    "at night": (70, 74, 110),
}


@dataclass(frozen=True)
class Pair:
    """A drawn pair: its theme's place in the subset, its sky, and the seed of the rest."""

    subset: str
    theme: int
    sky: str
    seed: int

    def caption(self, side: int) -> str:
        """Return the caption of side 0 or 1."""
        theme = THEMES[self.subset][self.theme]
        return f"{theme.caption.format(theme.fillings[side])} {self.sky}."

    def draw(self, side: int) -> Image.Image:
        """Return the picture of side 0 or 1, RGB, ``SIZE`` x ``SIZE`` px."""
        rng = np.random.default_rng(self.seed)
        pen = Pen(SIZE, shade(rng, SKIES[self.sky], 8))
        if self.sky == "in the sun":
            pen.disc(0.1, 0.1, 0.07, (255, 215, 70))
        elif self.sky == "at night":
            pen.disc(0.1, 0.1, 0.06, (240, 240, 225))
        pen.box(0, 0.9, 1, 1, shade(rng, (150, 165, 130)))
        size = rng.uniform(0.66, 0.8)
        x = 0.5 + rng.uniform(-0.08, 0.12)
        pen.frame = Frame(x, 0.97, size, bool(rng.integers(2)))
        THEMES[self.subset][self.theme].draw(pen, side == 1)
        return pen.image

    def image(self, side: int) -> ImageRef:
        """Return the lazily drawn picture of side 0 or 1."""
        recipe = ["pair", VERSION, self.subset, self.theme, self.sky, self.seed, side]
        label = f"{self.subset} {THEMES[self.subset][self.theme].category} {self.seed}/{side}"
        return ImageRef(digest(recipe), lambda: self.draw(side), label)


def sample_pair(subset: str, seed: int, index: int) -> Pair:
    """Return pair number ``index``; consecutive pairs go round the themes."""
    rng = derive_rng(seed, "pair", subset, index)
    theme = index % len(THEMES[subset])
    sky = list(SKIES)[int(rng.integers(len(SKIES)))]
    return Pair(subset, theme, sky, int(rng.integers(2**31)))


def pairs(subset: str | None, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield ``count`` pairs as rows.

    Parameters
    ----------
    subset
        ``mis`` or ``mic``; None takes one of each in turn.
    count
        Number of pairs.
    seed
        Fixes every pair; pair ``i`` does not depend on ``count``.

    Yields
    ------
    dict
        id, subset, image_0, image_1, caption_0, caption_1, label_0, label_1, category.
    """
    for number in range(count):
        own, index = (subset, number) if subset else (tuple(THEMES)[number % 2], number // 2)
        pair = sample_pair(own, seed, index)
        theme = THEMES[own][pair.theme]
        yield {
            "id": f"synthetic-{own}-{index:04d}",
            "subset": own,
            "image_0": pair.image(0),
            "image_1": pair.image(1),
            "caption_0": pair.caption(0),
            "caption_1": pair.caption(1),
            "label_0": theme.labels[0],
            "label_1": theme.labels[1],
            "category": theme.category,
        }
