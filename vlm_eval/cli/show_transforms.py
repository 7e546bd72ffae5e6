"""``vlm_eval show transforms``: what each image transform does, in words and in a picture."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from vlm_eval.cli.sheet import contact_sheet
from vlm_eval.cli.text import WIDTH, printable, printable_lines
from vlm_eval.core.errors import UsageError
from vlm_eval.transforms.base import TRANSFORMS
from vlm_eval.transforms.examples import examples, specimen

TILE, COLUMNS = 168, 8  # pixels, tiles a row


def show_transforms(out: str | None, seed: int, *, brief: bool = False) -> int:
    """Print each transform with its options, and write every example to one picture.

    Parameters
    ----------
    out
        Folder to write ``transforms.png`` to; ``show/transforms`` if None.
    seed
        Seed of the random transforms.
    brief
        Print the examples' labels, one a line, in place of the documentation.
    """
    picture = specimen()
    pictures = [(label, transform(picture, seed)) for label, transform in examples()]
    lines = (label for label, _ in pictures) if brief else _descriptions()
    print(printable_lines("\n".join(lines)))
    file = Path(out) / "transforms.png" if out else Path("show") / "transforms" / "transforms.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet([("the picture", picture), *pictures], tile=TILE, columns=COLUMNS)
    sheet.save(file, optimize=True)
    print(printable(f"written: {file}"))
    return 0


def _descriptions() -> Iterator[str]:
    """Yield each transform's name and documentation; of one that does not load, why."""
    for name in TRANSFORMS:
        yield f"--- {name} ".ljust(WIDTH, "-")
        try:
            yield f"{inspect.getdoc(TRANSFORMS.get(name)) or ''}\n"
        except UsageError as error:
            yield f"broken: {error}\n"
