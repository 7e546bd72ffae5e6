"""Everything on the site as flat rows, for the files to download."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlm_eval.core.hashing import canonical_json
from vlm_eval.leaderboard.boards import Board, Entry
from vlm_eval.leaderboard.reported import Reported
from vlm_eval.leaderboard.runs import Cell

TEXT, WHOLE, REAL, FLAG = "text", "whole", "real", "flag"
COLUMNS: Mapping[str, str] = {
    "kind": TEXT, "status": TEXT, "task": TEXT, "task_version": TEXT, "board": WHOLE, "model": TEXT,
    "run": TEXT, "metric": TEXT, "where": TEXT, "value": REAL, "low": REAL, "high": REAL,
    "se": REAL, "method": TEXT, "n": WHOLE, "clusters": WHOLE, "rank_low": WHOLE,
    "rank_high": WHOLE, "tied_for_lead": FLAG, "trials": WHOLE, "failed": WHOLE, "unparsed": WHOLE,
    "synthetic": FLAG, "limit": WHOLE, "seed": WHOLE, "model_digest": TEXT, "task_digest": TEXT,
    "data_digest": TEXT, "records_digest": TEXT, "vlm_eval": TEXT, "command": TEXT,
    "source": TEXT, "table": TEXT, "note": TEXT,
}  # fmt: skip
"""Columns of the files and their kinds. ``status`` is measured, provisional or reported."""


def measured_rows(boards: Mapping[str, Sequence[Board]]) -> Iterator[dict[str, Any]]:
    """Yield two rows for each entry of each board: its accuracy and its change."""
    for task, found in boards.items():
        for number, board in enumerate(found, start=1):
            for entry in board.entries:
                yield from _entry(task, number, board, entry)


def _entry(task: str, number: int, board: Board, entry: Entry) -> Iterator[dict[str, Any]]:
    cell, head = entry.cell, board.headline
    counts = cell.result.counts
    shared = {
        "kind": "headline",
        "status": "measured" if board.measured else "provisional",
        "task": task,
        "task_version": cell.result.version,
        "board": number,
        "model": cell.run.model,
        "run": cell.run.id,
        "trials": counts.trials,
        "failed": counts.failed,
        "unparsed": counts.unparsed,
        "note": ", ".join(board.reasons),
        **identity(cell),
    }
    ranks = {
        "rank_low": entry.rank.low,
        "rank_high": entry.rank.high,
        "tied_for_lead": entry.rank.leads,
    }
    yield {**shared, "metric": "accuracy", "where": canonical_json(dict(head.where)),
           **_mean(entry.score), **ranks}  # fmt: skip
    if entry.change is not None:
        yield {**shared, "metric": f"change: {head.change_name}", "where": "{}",
               **_mean(entry.change)}  # fmt: skip


def _mean(mean: Any) -> dict[str, Any]:
    names = ("value", "low", "high", "se", "method", "n", "clusters")
    return {name: getattr(mean, name) for name in names}


def identity(cell: Cell) -> dict[str, Any]:
    """Return what identifies a cell: digests, seed, limit, versions and command."""
    manifest, declared = cell.run.manifest, cell.declared
    session = _last(manifest)
    command = session.get("command")
    return {
        "synthetic": cell.result.synthetic,
        "limit": manifest["limit"],
        "seed": manifest["seed"],
        "model_digest": cell.run.model_digest,
        "task_digest": declared.get("digest"),
        "data_digest": declared["data"]["digest"],
        "records_digest": cell.run.records_digest,
        "vlm_eval": version_of(session),
        "command": " ".join(map(str, command)) if isinstance(command, list) else None,
    }


def _last(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    sessions = manifest.get("sessions") or [{}]
    session: Mapping[str, Any] = sessions[-1]
    return session


def version_of(session: Mapping[str, Any]) -> str | None:
    """Return version and commit of vlm_eval in a session."""
    found = session.get("vlm_eval") or {}
    return " ".join(str(found[key]) for key in ("version", "commit") if found.get(key)) or None


def reported_rows(reported: Sequence[Reported]) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of the papers."""
    for one in reported:
        yield {
            "kind": "estimate", "status": "reported", "task": one.task, "model": one.model,
            "metric": one.name, "where": canonical_json(dict(one.where)), "value": one.value,
            "source": one.source, "table": one.table, "note": one.note,
        }  # fmt: skip


def estimate_rows(cell: Cell, status: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each estimate of a cell over all samples (no sample fields).

    What identifies the cell stands in the rows of its headline, of the same task and run.
    """
    factors = cell.declared["factors"].keys()
    for e in cell.result.estimates:
        if e.where.keys() <= factors:
            yield {
                "kind": "estimate", "status": status, "task": cell.task,
                "task_version": cell.result.version, "model": cell.run.model,
                "run": cell.run.id, "metric": e.name, "where": canonical_json(dict(e.where)),
                **_mean(e),
            }  # fmt: skip


def parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the rows as a Parquet file; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {TEXT: pa.string(), WHOLE: pa.int64(), REAL: pa.float64(), FLAG: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    columns = {name: [_fit(row.get(name), kind) for row in rows] for name, kind in COLUMNS.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def _fit(value: Any, kind: str) -> Any:
    """Return a value as its column holds it; half a surrogate pair cannot be stored."""
    if kind == TEXT and value is not None:
        return str(value).encode("utf-8", "replace").decode()
    return value
