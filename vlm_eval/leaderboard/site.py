"""Building the site."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vlm_eval.comparison.sheet import csv_text
from vlm_eval.core.types import Level
from vlm_eval.leaderboard.boards import Board, make_boards
from vlm_eval.leaderboard.check import all_drift, site_drift
from vlm_eval.leaderboard.plots import scatter
from vlm_eval.leaderboard.reported import Reported, reported
from vlm_eval.leaderboard.rows import (
    COLUMNS,
    estimate_rows,
    measured_rows,
    parquet,
    reported_rows,
)
from vlm_eval.leaderboard.runs import Cell, Run, find_runs
from vlm_eval.leaderboard.views import (
    BoardView,
    Model,
    by_measure,
    by_model,
    key_of,
    measures,
    models_of,
    provenance,
)
from vlm_eval.reports.site import Site, check_replaceable, replaced
from vlm_eval.reports.text import slug

DUELS = (
    "task",
    "board",
    "a",
    "b",
    "run_a",
    "run_b",
    "pairs",
    "clusters",
    "difference",
    "p",
    "p_adjusted",
    "method",
)


def leaderboard(runs_dir: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Build a static site from run folders. Equal runs give equal bytes.

    Parameters
    ----------
    runs_dir
        A folder with run folders in it, at any depth up to four.
    out
        Where the site goes; an earlier site is replaced as a whole.

    Returns
    -------
    Path
        The folder of the site; open its ``index.html``.

    Raises
    ------
    RunError
        If there is no finished run, a run's results are not what its records say, or the place
        holds something else.
    """
    target = Path(out)
    check_replaceable(target)
    runs, unfinished = find_runs(Path(runs_dir))
    with replaced(target) as folder:
        write_site(folder, runs, unfinished)
    return target


def check(runs_dir: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[str]:
    """Compute every number anew from the records, and compare a site with what they give.

    Parameters and errors are those of :func:`leaderboard`. A site that is not there yet is built
    if all is well; one that is there is not changed.

    Returns
    -------
    list of str
        What has drifted, a line each; empty if nothing has.
    """
    target = Path(out)
    check_replaceable(target)
    runs, unfinished = find_runs(Path(runs_dir))
    drift = all_drift(runs)
    if drift:
        return drift
    if not (target / "index.html").is_file():
        leaderboard(runs_dir, out)
        return []
    with TemporaryDirectory() as scratch:
        write_site(Path(scratch), runs, unfinished)
        return list(site_drift(target, Path(scratch)))


def write_site(folder: Path, runs: Sequence[Run], unfinished: Sequence[str]) -> None:
    """Write all files of the site into an empty folder."""
    boards, papers = make_boards(runs), reported()
    papers = tuple(one for one in papers if one.task in boards)
    models = models_of(runs, boards)
    site = Site(folder, "vlm_eval.leaderboard")
    site.page("index.html", "index.html.j2", **_index(boards, models, papers, unfinished))
    by_digest = {model.runs[0].model_digest: model for model in models}
    for task, found in boards.items():
        values = _task(task, found, by_digest, [one for one in papers if one.task == task])
        site.page(f"task/{slug(task)}.html", "task.html.j2", **values)
    for model in models:
        site.page(
            model.page,
            "model.html.j2",
            model=model,
            provenance=provenance,
            json=_json,
            command=_command,
            tasks=list(boards),
        )
    _downloads(site, boards, papers)


def _index(
    boards: Mapping[str, Sequence[Board]],
    models: Sequence[Model],
    papers: Sequence[Reported],
    unfinished: Sequence[str],
) -> dict[str, Any]:
    kinds = []
    for measured in (True, False):
        tasks = [t for t, found in boards.items() if any(b.measured == measured for b in found)]
        rows = [m for m in models if any(p.board.measured == measured for p in m.places)]
        kinds.append((measured, tasks, rows))
    headlines = {task: found[0] for task, found in boards.items()}
    printed = _printed(headlines, papers)
    return {
        "kinds": kinds,
        "headlines": headlines,
        "models": models,
        "boards": boards,
        "unfinished": list(unfinished),
        "slug": slug,
        "printed": printed,
        "reported_tasks": {task for cells in printed.values() for task in cells},
    }


def _printed(
    headlines: Mapping[str, Board], papers: Sequence[Reported]
) -> dict[str, dict[str, Reported]]:
    """Return the papers' numbers that are those of a task's headline, by model and task."""
    keys = {task: key_of("accuracy", board.headline.where) for task, board in headlines.items()}
    found: dict[str, dict[str, Reported]] = {}
    for one in papers:
        if key_of(one.name, one.where) == keys[one.task]:
            found.setdefault(one.model, {})[one.task] = one
    return found


def _task(
    task: str,
    boards: Sequence[Board],
    models: Mapping[str, Model],
    papers: Sequence[Reported],
) -> dict[str, Any]:
    declared = boards[0].entries[0].cell.declared
    views = [BoardView(board, models) for board in boards]
    return {
        "task": task,
        "declared": declared,
        "views": [(v, scatter(v.board), measures(v.board, papers)) for v in views],
        "papers": papers,
        "printed": by_model(papers),
        "by_measure": by_measure,
        "where": _where,
    }


def _where(key: tuple[tuple[str, Level], ...]) -> dict[str, Level]:
    return dict(key)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _command(cell: Cell) -> str | None:
    sessions = cell.run.manifest.get("sessions") or [{}]
    command = sessions[0].get("command")
    return shlex.join(map(str, command)) if isinstance(command, list) else None


def _downloads(
    site: Site, boards: Mapping[str, Sequence[Board]], papers: Sequence[Reported]
) -> None:
    entries = [
        (board, entry) for found in boards.values() for board in found for entry in board.entries
    ]
    rows = [*measured_rows(boards)]
    for board, entry in entries:
        rows += estimate_rows(entry.cell, "measured" if board.measured else "provisional")
    rows += reported_rows(papers)
    site.write("data/leaderboard.csv", csv_text(list(COLUMNS), rows))
    site.write("data/leaderboard.json", _lines({"schema": 1, "columns": list(COLUMNS)}, rows))
    site.write("data/leaderboard.parquet", parquet(rows))
    site.write("data/pairwise.csv", csv_text(DUELS, _duels(boards)))
    cells = [provenance(entry.cell) | {"command": _command(entry.cell)} for _, entry in entries]
    site.write("data/provenance.json", _lines({"schema": 1}, cells))


def _lines(head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return JSON with a line for each row, so that changes show as such in version control."""
    opening = json.dumps(dict(head), allow_nan=False)[:-1]
    body = ",\n".join(json.dumps(dict(row), allow_nan=False, sort_keys=True) for row in rows)
    return f'{opening}, "rows": [\n{body}\n]}}\n'


def _duels(boards: Mapping[str, Sequence[Board]]) -> list[dict[str, Any]]:
    rows = []
    for task, found in boards.items():
        for number, board in enumerate(found, start=1):
            for d in board.duels:
                a, b = board.entries[d.a], board.entries[d.b]
                rows.append(
                    {
                        "task": task,
                        "board": number,
                        "a": a.cell.run.model,
                        "b": b.cell.run.model,
                        "run_a": a.cell.run.id,
                        "run_b": b.cell.run.id,
                        "pairs": d.pairs,
                        "clusters": d.clusters,
                        "difference": d.difference,
                        "p": d.p,
                        "p_adjusted": d.p_adjusted,
                        "method": d.method,
                    }
                )
    return rows
