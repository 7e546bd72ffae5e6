"""The embedded stand-in: drawn scenes, asked about by POPE's three negative-sampling rules.

Li et al. 2023 (arXiv 2305.10355), section 5.1, and the published generator: three objects that are
in the image, each followed by one that is not. *Random* takes any absent object, *popular* the most
frequent one in all images that is absent, *adversarial* the absent one that is seen most often
together with the present object just asked about. No object is asked about twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

from vlm_eval.core.hashing import derive_rng
from vlm_eval.data.pope.questions import Question, Split, ask
from vlm_eval.data.scenes.objects import NAMES, Objects, sample_objects

POSITIVES = 3


@dataclass(frozen=True)
class Gallery:
    """The scenes that questions are asked about, and what is frequent in them.

    Attributes
    ----------
    count
        Number of scenes.
    seed
        Fixes every scene and every random choice.
    """

    count: int
    seed: int

    @cached_property
    def scenes(self) -> tuple[Objects, ...]:
        """The scenes, each of three classes or more."""
        return tuple(sample_objects(self.seed, index) for index in range(self.count))

    @cached_property
    def popular(self) -> tuple[str, ...]:
        """All classes, those in most scenes first; ties in COCO's order."""
        seen = Counter(name for scene in self.scenes for name in scene.names)
        return tuple(sorted(NAMES, key=lambda name: -seen[name]))

    @cached_property
    def together(self) -> Counter[tuple[str, str]]:
        """In how many scenes two classes are both, by ordered pair."""
        return Counter(pair for scene in self.scenes for pair in permutations(scene.names, 2))

    def questions(self, split: Split) -> Iterator[tuple[Question, Objects]]:
        """Yield six questions a scene, yes and no in turn, with the scene.

        The positive objects are the same in all splits.
        """
        number = 0
        for index, scene in enumerate(self.scenes):
            name = f"objects-{index:04d}.png"
            present = derive_rng(self.seed, "pope", index).permutation(list(scene.names)).tolist()
            asked: list[str] = []
            for positive in present[:POSITIVES]:
                negative = self._negative(split, positive, scene, asked)
                asked.append(negative)
                for thing, label in ((positive, "yes"), (negative, "no")):
                    number += 1
                    text, identity = ask(thing), str(number)
                    place = f"{name}, question {number}"
                    yield Question(split, identity, name, text, thing, label, place), scene

    def _negative(self, split: Split, positive: str, scene: Objects, asked: Sequence[str]) -> str:
        absent = [n for n in self.popular if n not in scene.names and n not in asked]
        if split == "popular":
            return absent[0]
        if split == "adversarial":
            return max(absent, key=lambda name: self.together[positive, name])
        rng = derive_rng(self.seed, "pope-random", scene.seed, len(asked))
        return str(rng.choice(sorted(absent)))
