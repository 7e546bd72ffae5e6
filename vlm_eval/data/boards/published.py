"""Reads VLM-Fix in its published form: a folder with images, or a data set of ``datasets``.

The two differ in how a question finds its picture: by ``image_path`` in the folder, by
``image_key`` in a second split of the data set. Everything else is checked and indexed alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vlm_eval.core.errors import DataError, MissingData, did_you_mean
from vlm_eval.core.hashing import digest
from vlm_eval.core.types import ImageRef
from vlm_eval.data.boards.games import GAMES
from vlm_eval.data.boards.prompts import PUBLISHED_VARIANT, Question
from vlm_eval.data.boards.states import State
from vlm_eval.data.hub import at_once
from vlm_eval.data.images import image_ref, open_image

if TYPE_CHECKING:
    import pyarrow as pa

CONFIG, MAIN, IMAGES = "vlm_fix", "main", "images"
LAYOUT = (
    "DIR/instances.parquet and DIR/images/GAME/STYLE/state_NNN.png, as the paper's builder and "
    "`vlm_eval data make vlm-fix` write them"
)
_TEXT = (
    "game",
    "board_state",
    "render_variant",
    "rule_variant",
    "image_text_order",
    "prompt_variant",
    "prompt_type",
    "question_target",
    "prompt",
    "answer",
    "valid_labels",
)
_NUMBERS = ("state_id", "standard_winner_idx", "inverse_winner_idx")


class Entry(NamedTuple):
    """One question of the table."""

    prompt: str
    answer: str
    labels: tuple[str, str]
    picture: str


class Published:
    """The questions of a published table about some games and states.

    Parameters
    ----------
    name
        What to call the table in messages.
    rows
        The table's rows, all values checked for type.
    games, states
        Which games, and how many states of each: the lowest ids.
    open_picture
        Gives the image that a row names.

    Raises
    ------
    DataError
        If a game is missing, two rows are the same question, or a row contradicts its board.
    """

    def __init__(
        self,
        name: str,
        rows: Sequence[dict[str, Any]],
        games: Sequence[str],
        states: int,
        open_picture: Callable[[str], ImageRef],
    ) -> None:
        self.name = name
        self._open, self._pictures = open_picture, dict[str, ImageRef]()
        self.states = _states(name, rows, games, states)
        kept = [row for row in rows if row["state_id"] in self.states.get(row["game"], {})]
        self._entries: dict[tuple[str, ...], Entry] = {}
        for row in kept:
            key = _key(row)
            if key in self._entries:
                raise DataError(f"two rows ask {' '.join(key)}", where=name)
            self._entries[key] = _entry(name, row, self.states[row["game"]][row["state_id"]])
        self.digest = digest(["vlm-fix table", [list(row.values()) for row in kept]])

    def entry(self, game: str, state_id: int, style: str, question: Question) -> Entry:
        """Return the question. Raises DataError if the table has no such row."""
        q = question
        variant = PUBLISHED_VARIANT[q.variant]
        key = (game, str(state_id), style, q.rule, q.order, variant, q.mode, q.target)
        if key not in self._entries:
            raise DataError(f"no row asks {' '.join(key)}", where=self.name)
        return self._entries[key]

    def image(self, entry: Entry) -> ImageRef:
        """Return the picture of a question. Raises DataError if it cannot be opened."""
        if entry.picture not in self._pictures:
            self._pictures[entry.picture] = self._open(entry.picture)
        return self._pictures[entry.picture]


def read_folder(path: str, games: Sequence[str], states: int) -> Published:
    """Read ``instances.parquet`` of a folder; its ``image_path`` stays inside the folder.

    Raises
    ------
    DataError
        If the file is missing, is no Parquet, lacks a column or a value, or contradicts itself;
        and later, of a picture that is asked for, if it lies outside the folder or is broken.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    root, file = Path(path), Path(path) / "instances.parquet"
    if not file.is_file():
        hint = "give a folder that `vlm_eval data make vlm-fix` wrote, or the paper's own"
        raise DataError("there is no such file", where=str(file), hint=hint)
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot be read as Parquet ({error})", where=str(file)) from error

    def open_picture(image_path: str) -> ImageRef:
        with _at(f"{file}, column image_path, {image_path!r}"):
            return _decoded(open_image(image_path, root=root))

    rows = list(_rows(str(file), table, "image_path"))
    return Published(str(file), rows, games, states, open_picture)


def read_hub(hub: str, revision: str | None, games: Sequence[str], states: int) -> Published:
    """Load configuration ``vlm_fix`` of a data set: split ``main``, pictures in ``images``.

    Parameters
    ----------
    hub
        Id on the hub, or a folder that ``datasets`` can load.
    revision
        Commit, tag or branch; None is the newest.
    games, states
        See :class:`Published`.

    Raises
    ------
    DataError
        If it cannot be loaded, lacks a column or a value, or contradicts itself.
    """
    from datasets import Image

    main, pictures = _splits(hub, revision, (MAIN, IMAGES))
    where = f"{hub}, configuration {CONFIG}, split {IMAGES}"
    _need(where, pictures.column_names, ("image_key", "image"))
    pictures = pictures.cast_column("image", Image(decode=False))
    place = {key: index for index, key in enumerate(pictures["image_key"])}

    def open_picture(image_key: str) -> ImageRef:
        if image_key not in place:
            raise DataError(f"there is no image_key {image_key!r}", where=where)
        data = pictures[place[image_key]]["image"]["bytes"]
        if not data:
            raise DataError(f"the image {image_key!r} is not embedded", where=where)
        return _decoded(image_ref(data, f"{where}, column image, {image_key!r}"))

    name = f"{hub}, configuration {CONFIG}, split {MAIN}"
    rows = list(_rows(name, main.with_format("arrow")[:], "image_key"))
    return Published(name, rows, games, states, open_picture)


def _decoded(image: ImageRef) -> ImageRef:
    """Return an image after a trial: a broken one is found before anything is asked of a model."""
    image.load()
    return image


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Give errors a better place."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what, where=where, hint=error.hint) from error


def _splits(hub: str, revision: str | None, names: Sequence[str]) -> list[Any]:
    """Load splits of the configuration one by one: together they must have the same columns."""
    from datasets import load_dataset, load_dataset_builder
    from datasets.exceptions import DatasetsError

    try:
        with at_once():
            files = load_dataset_builder(hub, CONFIG, revision=revision).config.data_files or {}
        for name in names:
            if name not in files:
                what = f"configuration {CONFIG} has no split {name!r}"
                raise DataError(what, where=hub, hint=did_you_mean(name, files))
        return [load_dataset("parquet", data_files={n: files[n]}, split=n) for n in names]
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        what = f"configuration {CONFIG} cannot be loaded ({error})"
        if isinstance(error, OSError) and not Path(hub).is_dir():  # no data set, or no network
            raise MissingData(f"{hub}: {what}", layout=LAYOUT, hub=hub) from error
        hint = "check the id and the network, or leave hub out to generate the boards"
        raise DataError(what, where=hub, hint=hint) from error


def _need(name: str, columns: Sequence[str], wanted: Sequence[str]) -> None:
    for column in wanted:
        if column not in columns:
            hint = did_you_mean(column, columns)
            raise DataError(f"the column {column!r} is missing", where=name, hint=hint)


def _rows(name: str, table: pa.Table, picture: str) -> Iterator[dict[str, Any]]:
    """Yield rows with the wanted columns in a fixed order, the picture's name last."""
    columns = (*_TEXT, *_NUMBERS, picture)
    _need(name, table.column_names, columns)
    for index, row in enumerate(table.select(columns).to_pylist()):
        for column, value in row.items():
            wanted = int if column in _NUMBERS else str
            if type(value) is not wanted:
                where = f"{name}, row {index}, column {column}"
                raise DataError(f"{value!r} is no {wanted.__name__}", where=where)
        yield row


def _states(
    name: str, rows: Sequence[dict[str, Any]], games: Sequence[str], count: int
) -> dict[str, dict[int, State]]:
    """Return the first states of each game, and check that all rows of a state agree on it."""
    boards: dict[str, dict[int, str]] = {game: {} for game in games}
    for row in rows:
        if row["game"] not in boards:
            continue
        text = boards[row["game"]].setdefault(row["state_id"], row["board_state"])
        if text != row["board_state"]:
            what = f"{row['game']} state {row['state_id']} has two boards"
            raise DataError(what, where=f"{name}, column board_state")
    for game, found in boards.items():
        if not found:
            raise DataError(f"no rows of the game {game}", where=f"{name}, column game")
    return {
        game: {i: _state(name, game, i, found[i]) for i in sorted(found)[:count]}
        for game, found in boards.items()
    }


def _state(name: str, game: str, state_id: int, text: str) -> State:
    with _at(f"{name}, column board_state, {game} state {state_id}"):
        board = GAMES[game].parse(text)
        return State(state_id, board, GAMES[game].winner(board))


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["game"],
        str(row["state_id"]),
        row["render_variant"],
        row["rule_variant"],
        row["image_text_order"],
        row["prompt_variant"],
        row["prompt_type"],
        row["question_target"],
    )


def _entry(name: str, row: dict[str, Any], state: State) -> Entry:
    where = f"{name}, {' '.join(_key(row))}"
    labels = tuple(row["valid_labels"].split("|"))
    if len(labels) != 2 or not all(labels) or labels[0] == labels[1]:
        raise DataError(f"{row['valid_labels']!r} is not two labels", where=where)
    winners = row["standard_winner_idx"], row["inverse_winner_idx"]
    if winners != (state.winner, 3 - state.winner):
        raise DataError("the winner is not the board's", where=f"{where}, standard_winner_idx")
    if row["answer"] not in labels:
        raise DataError(f"{row['answer']!r} is no valid label", where=f"{where}, column answer")
    if not row["prompt"].strip():
        raise DataError("the prompt is empty", where=f"{where}, column prompt")
    return Entry(row["prompt"], row["answer"], labels, list(row.values())[-1])
