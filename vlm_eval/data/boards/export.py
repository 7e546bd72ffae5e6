"""Writes VLM-Fix to disk: the benchmark and the training sets, in the published forms.

Both appear whole or not at all: everything is written to a hidden folder beside the destination,
which then takes its name in one step.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, product
from pathlib import Path
from typing import Any

from vlm_eval.core.errors import UsageError
from vlm_eval.data.boards.games import GAMES, Board
from vlm_eval.data.boards.instances import image_path, instances, text_only_instances
from vlm_eval.data.boards.posttrain import Example, examples
from vlm_eval.data.boards.prompts import player_labels
from vlm_eval.data.boards.render import STYLES, Style, render
from vlm_eval.data.boards.states import PER_GAME, State, benchmark_states

Progress = Callable[[str, int, int], None]
"""Called with what is written, how much of it is done, and how much there is."""

# Boards in a row group of a training file: some ten megabytes of embedded images.
_ROW_GROUP = 256


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


def export_benchmark(out: Path, *, states: int = PER_GAME, progress: Progress = silent) -> None:
    """Write ``instances.parquet``, ``instances_text_only.parquet`` and ``images/`` to a new folder.

    Parameters
    ----------
    out
        The folder.
    states
        How many of each game's states; the benchmark has all 300.
    progress
        Is told of every image.

    Raises
    ------
    UsageError
        If the folder exists and is not empty, or is a file.
    """
    with new_folder(out) as folder:
        _write_table(folder / "instances.parquet", instances(states))
        _write_table(folder / "instances_text_only.parquet", text_only_instances(states))
        drawings = [
            (game, style, state)
            for game, style in product(GAMES, STYLES)
            for state in benchmark_states(game)[:states]
        ]
        for game, style in product(GAMES, STYLES):
            (folder / "images" / game / style).mkdir(parents=True)

        def write(drawing: tuple[str, Style, State]) -> None:
            game, style, state = drawing
            labels = player_labels(game, state.state_id, style)
            path = folder / image_path(game, style, state.state_id)
            path.write_bytes(_png(game, state.board, style, labels))

        with _pool() as pool:
            for done, _ in enumerate(pool.map(write, drawings), 1):
                progress("images", done, len(drawings))


def export_posttrain(
    split: str, out: Path, *, overlap: bool = False, progress: Progress = silent
) -> None:
    """Write ``train.parquet`` and ``test.parquet`` of a split to a new folder.

    Columns are ``images`` (one PNG, embedded), ``problem`` and ``answer``; the files carry the
    features that ``datasets`` needs to read the images as such.

    Parameters
    ----------
    split
        ``d1``, ``d2`` or ``d3``.
    out
        The folder.
    overlap
        See :func:`vlm_eval.data.boards.posttrain.pool`.
    progress
        Is told of every batch of rows.

    Raises
    ------
    UsageError
        If the folder exists and is not empty, or is a file.
    """
    with new_folder(out) as folder:
        train, test = list(examples(split, "train", overlap=overlap)), list(examples(split, "test"))
        write_examples(folder / "train.parquet", train, progress)
        write_examples(folder / "test.parquet", test, progress)


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `out` at the end, and vanishes if anything goes wrong.

    Raises
    ------
    UsageError
        If `out` exists and is not an empty folder.
    """
    if out.is_dir():
        if any(out.iterdir()):
            raise UsageError("is not empty", where=str(out), hint="choose another --out")
    elif out.exists() or out.is_symlink():
        raise UsageError("is no folder", where=str(out), hint="choose another --out")
    target = out.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    filling = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    filling.mkdir()
    try:
        yield filling
        filling.replace(target)
    except BaseException:
        shutil.rmtree(filling, ignore_errors=True)
        raise


def _pool() -> ThreadPoolExecutor:
    """Return threads that draw and compress: Pillow lets go of the interpreter lock for both."""
    return ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))


def _png(game: str, board: Board, style: Style, labels: tuple[str, str]) -> bytes:
    data = io.BytesIO()
    render(game, board, style, labels).save(data, format="PNG")
    return data.getvalue()


def _write_table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def write_examples(path: Path, rows: Sequence[Example], progress: Progress = silent) -> None:
    """Write questions with their pictures to a Parquet file that ``datasets`` reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, Sequence, Value

    features = {"images": Sequence(Image()), "problem": Value("string"), "answer": Value("string")}
    schema = Features(features).arrow_schema
    # The questions about a board follow each other and share its file.
    boards = [list(asked) for _, asked in groupby(rows, key=lambda row: (row.game, row.board))]

    def encode(asked: list[Example]) -> list[dict[str, Any]]:
        game = asked[0].game
        image = {"bytes": _png(game, asked[0].board, "canonical", GAMES[game].labels), "path": None}
        return [{"images": [image], "problem": a.problem, "answer": a.answer} for a in asked]

    with pq.ParquetWriter(path, schema, compression="zstd") as writer, _pool() as pool:
        for start in range(0, len(boards), _ROW_GROUP):
            batch = boards[start : start + _ROW_GROUP]
            group = [row for asked in pool.map(encode, batch) for row in asked]
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            progress(path.name, start + len(batch), len(boards))
