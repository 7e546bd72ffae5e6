"""Predictions of a segmentation model on disk, one folder a level, named as Cityscapes names them.

::

    DIR/clean/frankfurt/frankfurt_000000_000294_leftImg8bit.png
    DIR/ll1/frankfurt_000000_000294_pred.png
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from vlm_eval.core.errors import DataError, did_you_mean
from vlm_eval.core.types import Level
from vlm_eval.data.cityscapes.files import decode_label_map, read_bytes
from vlm_eval.data.cityscapes.labels import Encoding, LabelMap, evidence, train_ids


class Predictions:
    """The label maps below a folder.

    Parameters
    ----------
    root
        Holds a folder for each level, of that name (case does not matter), and in it, at any
        depth, one PNG for each frame whose name begins with the frame's, as
        ``city_sequence_frame`` with anything after it. A level without a folder is not evaluated.
    levels
        The levels, the baseline first.
    encoding
        Whether the PNGs hold label ids (7 is road, as the official script reads them) or train
        ids (0 is road); ``auto`` finds out, and refuses what could be either.

    Raises
    ------
    DataError
        If there is no such folder, or none of its folders is named as a level.
    """

    def __init__(
        self,
        root: Path,
        levels: Sequence[Level],
        *,
        encoding: Encoding | Literal["auto"] = "auto",
    ) -> None:
        self.root = root
        self._folders = _folders(root, levels)
        self._encoding = encoding
        self._files: dict[Level, dict[str, list[Path]]] = {}

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that have a folder, in the order given."""
        return tuple(self._folders)

    @property
    def encoding(self) -> str:
        """What the files hold; ``auto`` before the first has been read."""
        return self._encoding

    def label_map(self, frame: str, level: Level) -> LabelMap:
        """Return the predicted train ids of a frame; 255 is "no class".

        Raises
        ------
        DataError
            If there is no prediction, or more than one, or it cannot be read as the encoding.
        """
        path = self._file(frame, level)
        values = decode_label_map(read_bytes(path), str(path))
        if self._encoding == "auto":
            self._encoding = _detect(path for folder in self._folders.values()
                                     for path in sorted(folder.rglob("*.png")))  # fmt: skip
        try:
            return train_ids(values, self._encoding)
        except DataError as error:
            raise DataError(error.what, where=str(path), hint=error.hint) from error

    def _file(self, frame: str, level: Level) -> Path:
        if level not in self._files:
            self._files[level] = _by_prefix(self._folders[level])
        found = self._files[level].get(frame, [])
        if len(found) != 1:
            folder = str(self._folders[level])
            if found:
                names = ", ".join(path.name for path in found[:2])
                raise DataError(f"{len(found)} predictions for {frame}: {names}", where=folder)
            hint = "its name begins with the frame's; evaluate fewer frames with --limit"
            raise DataError(f"no prediction for {frame}", where=folder, hint=hint)
        return found[0]


def _folders(root: Path, levels: Sequence[Level]) -> dict[Level, Path]:
    if not root.is_dir():
        raise DataError("there is no such folder of predictions", where=str(root))
    there = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    found = {level: there[str(level).lower()] for level in levels if str(level).lower() in there}
    if not found:
        names = [str(level) for level in levels]
        near = did_you_mean(next(iter(there), ""), names)
        raise DataError(
            f"none of its folders is named as a condition ({', '.join(names)})",
            where=str(root),
            hint=near if there else "put the predictions of each condition into its own folder",
        )
    return found


def _by_prefix(folder: Path) -> dict[str, list[Path]]:
    """Return the PNGs below a folder by every beginning of their names that ends at a "_"."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.png")):
        parts = path.stem.split("_")
        for end in range(1, len(parts) + 1):
            found.setdefault("_".join(parts[:end]), []).append(path)
    return found


def _detect(paths: Iterable[Path]) -> Encoding:
    """Return the encoding that all files together allow."""
    seen: set[int] = set()
    last = None
    for path in paths:
        last = path
        seen |= set(np.unique(decode_label_map(read_bytes(path), str(path))).tolist())
        possible = evidence(seen)
        if len(possible) == 1:
            return next(iter(possible))
        if not possible:
            raise DataError(
                "some hold label ids and some train ids, or other values", where=str(path)
            )
    raise DataError(
        "they hold values up to 18 alone, which label ids and train ids both may",
        where=str(last),
        hint="say which: --encoding ids (7 is road) or --encoding train_ids (0 is road)",
    )
