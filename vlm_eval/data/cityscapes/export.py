"""Writes drawn street scenes to disk in the official layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.drawn import draw_scene, sample_scene
from vlm_eval.data.cityscapes.source import MARKER, SYNTHETIC
from vlm_eval.data.cityscapes.tree import ANNOTATIONS, IMAGES

Progress = Callable[[str, int, int], None]


def export_drawn(
    out: Path, count: int, *, seed: int = 0, progress: Progress = lambda *_: None
) -> None:
    """Write ``count`` scenes to ``out/leftImg8bit/val`` and ``out/gtFine/val``, with a marker file.

    The marker says that the scenes are drawn; a run on the folder is then labelled synthetic.

    Raises
    ------
    DataError
        If the folder is not empty or cannot be written.
    """
    try:
        if out.exists() and any(out.iterdir()):
            raise DataError("is not empty", where=str(out), hint="choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        (out / MARKER).write_text(SYNTHETIC + "\n", encoding="utf-8")
        for index in range(count):
            scene = sample_scene(seed, index)
            image, labels = draw_scene(scene)
            for folder, end, picture in (
                (IMAGES, "leftImg8bit", image),
                (ANNOTATIONS, "gtFine_labelIds", labels),
            ):
                city = out / folder / "val" / scene.city
                city.mkdir(parents=True, exist_ok=True)
                picture.save(city / f"{scene.id}_{end}.png")
            progress("scenes", index + 1, count)
    except OSError as error:
        raise DataError(f"cannot be written ({error})", where=str(out)) from error
