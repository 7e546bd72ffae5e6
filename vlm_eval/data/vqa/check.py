"""What a copy of a benchmark holds, lacks and has wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vlm_eval.core.errors import DataError
from vlm_eval.data.check import Checkup, Progress, broken
from vlm_eval.data.tables import CellTable
from vlm_eval.data.vqa.benchmarks import Benchmark
from vlm_eval.data.vqa.cells import Pictures
from vlm_eval.data.vqa.item import Item, UnaskableError
from vlm_eval.data.vqa.load import read_items


def check_items(
    benchmark: Benchmark,
    tables: Iterable[CellTable],
    pictures: Pictures | None,
    progress: Progress,
) -> Checkup:
    """Look at every row; all pictures are decoded.

    Parameters
    ----------
    benchmark
        What is read.
    tables, pictures
        As :func:`vlm_eval.data.vqa.load.open_tables` returns them.
    progress
        Told of the pictures.
    """
    items: list[Item] = []
    faults: list[str] = []
    left_out: Counter[str] = Counter()
    try:
        for _, item in read_items(benchmark, tables, pictures):
            if isinstance(item, UnaskableError):
                left_out[str(item)] += 1
            elif isinstance(item, DataError):
                faults.append(str(item))
            else:
                items.append(item)
    except DataError as error:  # of a table as a whole
        return Checkup((), (*faults, str(error)))
    if not items and not faults:
        faults.append(f"no question of {benchmark.title} can be asked")
    kinds = Counter(item.kind for item in items)
    counts = [
        {
            "kind": kind,
            "questions": n,
            "pictures": sum(len(i.images) for i in items if i.kind == kind),
        }
        for kind, n in sorted(kinds.items())
    ]
    faults += broken((image for item in items for image in item.images.values()), progress)
    total = len(items) + left_out.total()
    notes = [f"{n} of {total} questions are left out: {why}" for why, n in left_out.most_common()]
    return Checkup(tuple(counts), tuple(faults), tuple(notes))
