"""From a local copy or the hub to the items of a benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlm_eval.core.errors import DataError, MissingData
from vlm_eval.data.tables import METADATA, CellTable, open_file, open_folder, open_hub
from vlm_eval.data.vqa.benchmarks import Benchmark
from vlm_eval.data.vqa.cells import Cells, Pictures
from vlm_eval.data.vqa.item import Item, Kind, UnaskableError, check
from vlm_eval.data.vqa.readers import READERS

SUFFIXES = (".parquet", ".jsonl", ".json", ".tsv", ".csv")


@dataclass(frozen=True)
class Place:
    """Where a benchmark is read from.

    Attributes
    ----------
    path
        A file or folder, read in place of the hub if it is given.
    hub, config, split, revision
        A hub data set, and what of it; of a local copy, config and split choose among its files.
        Several configurations are several tables.
    """

    path: str | None
    hub: str
    config: str | tuple[str, ...] | None
    split: str
    revision: str | None = None


@dataclass(frozen=True)
class Loaded:
    """The items of a benchmark, and how many rows were dropped for which reason."""

    items: tuple[Item, ...]
    dropped: Counter[str]


def load(
    benchmark: Benchmark,
    tables: Iterable[CellTable],
    pictures: Pictures | None = None,
    *,
    wanted: range | None = None,
    kinds: tuple[Kind, ...] | None = None,
) -> Loaded:
    """Return the questions of a benchmark that can be asked.

    Parameters
    ----------
    benchmark
        What to read.
    tables, pictures
        As :func:`open_tables` returns them.
    wanted
        Which rows, by number from 0 over the rows that belong to the benchmark; None: all.
    kinds
        Which kinds of questions; None: all.

    Raises
    ------
    DataError
        If a table has other columns, a cell is no image, or no question is left.
    """
    items: list[Item] = []
    dropped: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    table = ""
    for name, item in read_items(benchmark, tables, pictures, wanted):
        table = name
        if isinstance(item, DataError):
            raise item
        if isinstance(item, UnaskableError):
            dropped[str(item)] += 1
            continue
        if kinds is not None and item.kind not in kinds:
            dropped[f"are of the kind {item.kind}"] += 1
            continue
        seen[item.id] += 1
        if seen[item.id] > 1:
            item = replace(item, id=f"{item.id}#{seen[item.id]}")
        items.append(item)
    if not items:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise DataError(
            f"no question of {benchmark.title} can be asked ({reasons or 'there is no row'})",
            where=table or None,
            hint="check the copy, its split and its pictures",
        )
    return Loaded(tuple(items), dropped)


def read_items(
    benchmark: Benchmark,
    tables: Iterable[CellTable],
    pictures: Pictures | None,
    wanted: range | None = None,
) -> Iterator[tuple[str, Item | UnaskableError | DataError]]:
    """Yield the table's name and the question of each row, why it cannot be asked, or its fault.

    Parameters are those of `load`. Raises DataError if a table has other columns.
    """
    for number, (cells, read) in enumerate(_rows(benchmark, tables, pictures)):
        if wanted is not None and number not in wanted:
            continue
        try:
            yield cells.table.name, check(READERS[read](cells))
        except (UnaskableError, DataError) as error:
            yield cells.table.name, error


def open_tables(benchmark: Benchmark, place: Place) -> tuple[list[CellTable], Pictures | None]:
    """Return the tables of a benchmark, and its pictures where they are apart from them.

    Raises
    ------
    MissingData
        If there is no such copy.
    DataError
        If it cannot be read, or it is not clear which files are meant.
    """
    tables = _tables(benchmark, place)
    return tables, None if benchmark.join is None else _joined(benchmark, place)


def _rows(
    benchmark: Benchmark, tables: Iterable[CellTable], pictures: Pictures | None
) -> Iterator[tuple[Cells, str]]:
    for table in tables:
        layout = benchmark.layout(table.columns, where=table.name)
        columns = {**layout.columns, **layout.optional}
        elsewhere = pictures or _by_index(table)
        for row in range(len(table)):
            if all(table.cell(row, name) == value for name, value in layout.only.items()):
                yield Cells(table, row, columns, elsewhere), layout.read


def _tables(benchmark: Benchmark, place: Place) -> list[CellTable]:
    configs = place.config if isinstance(place.config, tuple) else (place.config,)
    if place.path is None:
        return [
            open_hub(
                place.hub,
                split=place.split,
                config=config,
                revision=place.revision,
                layout=benchmark.describe(),
            )
            for config in configs
        ]
    path = Path(place.path)
    if not path.exists():
        raise _missing(benchmark, f"at {path}")
    if path.is_file():
        return [open_file(path)]
    if any((path / name).is_file() for name in METADATA):
        return [open_folder(path)]
    found = {config: _table_files(path, config, place.split) for config in configs}
    named = [config for config, files in found.items() if _are_of(files, config, place.split)]
    lacking = [config for config in configs if config not in named]
    if named and lacking:
        raise _missing(benchmark, f"with {', '.join(map(str, lacking))} in {path}")
    files = dict.fromkeys(file for files in found.values() for file in files)
    if not files:
        raise _missing(benchmark, f"in {path}")
    return [open_file(file) for file in files]


def _missing(benchmark: Benchmark, where: str) -> MissingData:
    what = f"there is no copy of {benchmark.title} {where}"
    return MissingData(what, layout=benchmark.describe(), hub=benchmark.hub)


def _table_files(folder: Path, config: str | None, split: str) -> list[Path]:
    """Return the table files of a folder: of the split if names say so, of one type."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if config is not None:
        files = [file for file in files if _names_config(file, config, split)] or files
    files = [file for file in files if _names_split(file, split)] or files
    kinds = [suffix for suffix in SUFFIXES if any(f.suffix.lower() == suffix for f in files)]
    chosen = [file for file in files if file.suffix.lower() == kinds[0]] if kinds else []
    if len(chosen) > 1 and not all(_is_shard(file, split) for file in chosen):
        names = ", ".join(file.name for file in chosen[:5])
        raise DataError(
            f"several tables: {names}", where=str(folder), hint="name the file, or the split"
        )
    return chosen


def _are_of(files: Sequence[Path], config: str | None, split: str) -> bool:
    """Return whether files say that they are a configuration's."""
    return config is not None and any(_names_config(file, config, split) for file in files)


def _names_config(file: Path, config: str, split: str) -> bool:
    names = (config, f"{split}{config}", f"{config}{split}")  # test_2d is 2D's test
    return config in file.parts[:-1] or _plain(file.stem) in map(_plain, names)


def _names_split(file: Path, split: str) -> bool:
    own = file.stem.startswith(f"{split}-") or split in file.parts[:-1]
    return own or _plain(file.stem) == _plain(split)  # hr_bench_4k holds hrbench_4k


def _is_shard(file: Path, split: str) -> bool:
    """Return whether a name says that the file is one of several, as the hub writes them."""
    return "-of-" in file.stem or _plain(file.stem) == _plain(split)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _joined(benchmark: Benchmark, place: Place) -> Pictures:
    join = benchmark.join
    assert join is not None  # the caller has seen it
    pictures = replace(place, config=join.config)
    if place.path is not None:
        folder = Path(place.path)
        if folder.is_file():
            folder = folder.parent
        if (folder / join.config).is_dir():
            pictures = replace(pictures, path=str(folder / join.config))
    tables = [table for table in _tables(benchmark, pictures) if join.image in table.columns]
    if not tables:
        raise _missing(benchmark, f"with a table of its pictures, {join.config}")
    rows = {
        str(table.cell(row, join.key)): (table, row)
        for table in tables
        for row in range(len(table))
    }
    return Pictures(join.image, rows)


def _by_index(table: CellTable) -> Pictures | None:
    """Return the pictures that a VLMEvalKit file names by another row's index."""
    if not table.name.endswith(".tsv") or not {"index", "image"} <= set(table.columns):
        return None
    own = {str(table.cell(row, "index")): row for row in range(len(table))}
    return Pictures("image", {name: (table, row) for name, row in own.items()})
