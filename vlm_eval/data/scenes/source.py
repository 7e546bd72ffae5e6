"""Presence questions about drawn streets, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from PIL import Image
from pydantic import Field

from vlm_eval.core.hashing import derive_rng, digest
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Condition, ImageRef
from vlm_eval.data.base import Row, SourceInfo
from vlm_eval.data.scenes.captions import captions, classes
from vlm_eval.data.scenes.street import KINDS, Street, draw_street, sample_street

VERSION = 1


@configurable
class Scenes:
    """Drawn streets with yes/no presence questions; each object is present with probability 1/2.

    Attributes
    ----------
    count
        Number of scenes, 1 or more.
    questions
        Questions a scene, 1 to 6, about distinct objects.
    seed
        Fixes every scene.
    embedded
        No difference: the scenes are always drawn.
    """

    count: Annotated[int, Field(ge=1)] = 100
    questions: Annotated[int, Field(ge=1, le=len(KINDS))] = 4
    seed: int = 0
    embedded: bool = False

    def info(self) -> SourceInfo:
        """Return the provenance: generated, never a benchmark."""
        options = [VERSION, self.count, self.questions, self.seed]
        return SourceInfo(
            digest=digest(["scenes", *options]),
            synthetic=True,
            notice="synthetic: drawn street scenes, not a benchmark",
        )

    def rows(self) -> Iterator[Row]:
        """Yield one row a question: scene_id, image, object, article, present; captions, classes.

        ``captions`` are reference descriptions of the whole scene, ``classes`` what Cityscapes
        calls what is in it.
        """
        for index in range(self.count):
            street = sample_street(self.seed, index)
            image = scene_image(street)
            rng = derive_rng(self.seed, "street-questions", index)
            for name in rng.permutation(list(KINDS))[: self.questions].tolist():
                yield {
                    "scene_id": f"street-{index:04d}",
                    "image": image,
                    "object": name,
                    "article": "a",
                    "present": "Yes" if name in street.objects else "No",
                    "captions": captions(street.objects),
                    "classes": classes(street.objects),
                }

    def fields(self, row: Row, condition: Condition) -> Row:  # noqa: ARG002 - one drawing for all
        """Return the row: nothing here depends on the condition."""
        return row


def scene_image(street: Street) -> ImageRef:
    """Return the lazily drawn picture of a scene."""

    def load() -> Image.Image:
        return draw_street(street)[0]

    key = digest(["street", VERSION, list(street.objects), street.seed])
    return ImageRef(key, load, f"street {street.seed}")
