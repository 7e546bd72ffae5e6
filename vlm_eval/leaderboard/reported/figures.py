"""VLM-Fix's post-trained models: Figures 4, 5, 11 and 12, digitised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vlm_eval.core.types import Level
from vlm_eval.leaderboard.reported.number import RULES, TOPICS, Reported
from vlm_eval.published import Printed, vlm_fix

TRAINED = {"sft": "SFT", "rlvr": "RLVR"}
HELD_OUT = "mean of the two held-out games: read beside their mean"
OTHER = "the three other topics together, over rows: read beside theirs"
SHORTER = "the paper lets the model write up to 1,024 tokens"


def numbers() -> Iterator[Reported]:
    """Yield every bar; bases once, though Figures 4 and 11 draw them for D1 and D2 alike."""
    source, rows = vlm_fix()
    for row in rows:
        if not row.table.startswith("Fig") or (row.config == "base" and _is_repeated(row)):
            continue
        task, where, note = _rules(row) if row.metric in RULES else _counts(row)
        yield Reported(
            task, _model(row), "accuracy", where, row.value / 100, source, row.table_name, note
        )


def _is_repeated(row: Printed) -> bool:
    """Say if D1 has it too, or Table 19."""
    return row.group in ("D2", "vlmbias_animals")


def _model(row: Printed) -> str:
    if row.config == "base":
        return row.model
    trained_on = row.group if row.metric in RULES else "drawn legs"
    return f"{row.model}, {TRAINED[row.config]} on {trained_on}"


def _rules(row: Printed) -> tuple[str, Mapping[str, Level], str]:
    where: dict[str, Level] = {"rule": RULES[row.metric]}
    if row.group == "D3":
        return "vlm-fix-posttrain", {"game": "connect4 and dots_boxes", **where}, HELD_OUT
    return "vlm-fix-posttrain", where, ""


def _counts(row: Printed) -> tuple[str, Mapping[str, Level], str]:
    pictures, _, topic = row.group.partition("_")
    at = TOPICS.get(topic, "Logos, Flags and Game Boards")
    note = OTHER if topic == "other" else ""
    if pictures == "vlmbias":
        return "vlmbias", {"config": "base", "topic": at}, note
    note = "; ".join(filter(None, (note, SHORTER)))
    return "vlmbias-layers", {"altered": False, "picture": "shown", "topic": at}, note
