"""Questions about drawn scenes, with answers that are true of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vlm_eval.core.types import ImageRef
from vlm_eval.data.scenes.objects import NAMES, Objects, objects_image
from vlm_eval.data.scenes.things import PAINTS

PLACES = ("left", "middle", "right")


@dataclass(frozen=True)
class Asked:
    """A question about a scene: text, right and wrong answers, and what it is about."""

    text: str
    answer: str
    others: tuple[str, ...]
    topic: str

    def options(self, rng: np.random.Generator, count: int = 4) -> tuple[list[str], int]:
        """Return so many options, in random order, and the place of the right one."""
        wrong = rng.permutation(list(self.others))[: count - 1].tolist()
        order = rng.permutation([self.answer, *wrong]).tolist()
        return order, order.index(self.answer)


@dataclass(frozen=True)
class Scene:
    """A drawn scene, its number, and the randomness of its questions."""

    number: int
    objects: Objects
    rng: np.random.Generator

    @property
    def image(self) -> ImageRef:
        """The picture."""
        return objects_image(self.objects)

    def ask(self, topic: str | None = None) -> Asked:
        """Return a question; topics go round with the scene's number."""
        asks = {
            "count": self.count,
            "which": self.which,
            "colour": self.colour,
            "place": self.place,
        }
        chosen = topic or list(asks)[self.number % len(asks)]
        return asks[chosen]() or self.count()

    def count(self) -> Asked:
        """Ask for a number."""
        name, number = self._pick(list(self.objects.counts.items()))
        others = tuple(str(n) for n in range(6) if n != number)
        text = f"Count each {name} in the image. How many are there?"
        return Asked(text, str(number), others, "count")

    def which(self) -> Asked:
        """Ask which of several things is there."""
        absent = tuple(name for name in NAMES if name not in self.objects.names)
        name = self._pick(list(self.objects.names))
        return Asked("Which of these is in the image?", name, absent, "which")

    def colour(self) -> Asked | None:
        """Ask for the colour of the only thing of its kind; None if there is none."""
        item = self._single()
        if item is None:
            return None
        others = tuple(paint for paint in PAINTS if paint != item.colour)
        text = f"What colour is the {item.name} in the image?"
        return Asked(text, item.colour, others, "colour")

    def place(self) -> Asked | None:
        """Ask where the only thing of its kind is; None if there is none."""
        item = self._single()
        if item is None:
            return None
        here = PLACES[item.column]
        others = tuple(place for place in PLACES if place != here)
        text = f"In which third of the image is the {item.name}?"
        return Asked(text, here, others, "place")

    def presence(self) -> tuple[str, bool]:
        """Return a presence question, every other one about a thing that is absent."""
        present = self.number % 2 == 0
        pool = [name for name in NAMES if (name in self.objects.names) == present]
        return is_there(self._pick(pool)), present

    def _single(self) -> Any:
        counts = self.objects.counts
        alone = [item for item in self.objects.items if counts[item.name] == 1]
        return self._pick(alone) if alone else None

    def _pick(self, pool: list[Any]) -> Any:
        return pool[int(self.rng.integers(len(pool)))]


def is_there(name: str) -> str:
    """Return POPE's question about a thing."""
    return f"Is there {'an' if name[0] in 'aeiou' else 'a'} {name} in the image?"
