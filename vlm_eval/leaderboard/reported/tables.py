"""The printed tables of "Beyond Perception Errors: Semantic ..." (VLM-Fix)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vlm_eval.core.types import Level
from vlm_eval.leaderboard.reported.number import (
    API_MODELS,
    OF_GAMES,
    OF_RULES,
    RULES,
    TOPICS,
    WINNER_ONLY,
    Reported,
)
from vlm_eval.published import Printed, vlm_fix

GAMES = 4
Levels = Mapping[str, Mapping[str, Level]]
PROMPTS: Levels = {name: {"prompt_variant": name} for name in ("base", "alias", "semalias")}
RENDERS: Levels = {"base": {"render": "canonical"}} | {
    name: {"render": name} for name in ("checkerboard", "glyph")
}
DIRECT = (("vlm-fix-prompts", PROMPTS), ("vlm-fix-renders", RENDERS))
CONFIGURATIONS: Mapping[str, tuple[tuple[str, Levels], ...]] = {
    "T2_direct_base": (("vlm-fix-inverse", {"base": {}}),),
    "T3_direct_interventions": (("vlm-fix-inverse", {"base": {}}), *DIRECT),
    "T4_controls": (
        ("vlm-fix-descriptive", {"descriptive": {}}), ("vlm-fix-text-only", {"text-only": {}}),
        ("vlm-fix-cot", {f"cot ({name})": levels for name, levels in PROMPTS.items()}),
    ),
    **{f"T{n}_direct": DIRECT for n in range(6, 10)},
    **{f"T{n}_cot": (("vlm-fix-cot", PROMPTS),) for n in range(10, 14)},
    "T14_descriptive_direct": (("vlm-fix-descriptive", {"descriptive": {}}),),
    "T15_text_only_direct": (("vlm-fix-text-only", {"text_only": {}}),),
    "T16_order_direct": (
        ("vlm-fix-inverse", {"base": {}}), *DIRECT, ("vlm-fix-descriptive", {"descriptive": {}}),
    ),
    "T17_order_cot": (("vlm-fix-cot", PROMPTS),),
}  # fmt: skip
"""Tables by configuration: the tasks that ask it, and at which level."""
VLMBIAS = ("T5_vlmbias_mean14", *(f"T{number}_vlmbias" for number in range(18, 23)))
OVERALL = "overall_row_level"
MEANS = {"mean14": "mean of 14 models", "Average": "mean of 10 models"}
MIXED = "as printed: ten models asked everything, four asked for the winner, image first, only"

LITERAL = "read by the paper's own parser: compare with accuracy_literal and bias_literal"


def numbers() -> Iterator[Reported]:
    """Yield every cell of Tables 2 to 22, and means over games and rules that are not printed.

    The average that Tables 2, 6 to 15 and 18 to 22 print below their models is the one of Tables 3
    to 5, and left out.
    """
    found = [one for row in vlm_fix()[1] for one in (*_games(row), *_topics(row))]
    yield from found
    yield from _over_games(found)
    yield from _over_rules(found)


def _games(row: Printed) -> Iterator[Reported]:
    config, _, order = row.config.casefold().partition("|")
    if _is_repeated(row):
        return
    for task, levels in CONFIGURATIONS.get(row.table, ()):
        if config in levels:
            where = {**levels[config], "rule": RULES[row.metric]}
            where |= {"order": order} if order else {}
            where = where if row.group == "macro" else {"game": row.group, **where}
            yield _reported(task, row, "accuracy", where)


def _topics(row: Printed) -> Iterator[Reported]:
    if row.table in VLMBIAS and not _is_repeated(row):
        name = {"acc": "accuracy"}.get(row.metric, row.metric)
        topic = {} if row.group == OVERALL else {"topic": TOPICS[row.group]}
        where = {"config": row.config.replace("+", "_"), **topic}
        yield replace(_reported("vlmbias", row, name, where), note=LITERAL)  # all asked the same


def _is_repeated(row: Printed) -> bool:
    return row.model == "Average" and row.table not in ("T16_order_direct", "T17_order_cot")


def _reported(task: str, row: Printed, name: str, where: Mapping[str, Level]) -> Reported:
    note = WINNER_ONLY if row.model in API_MODELS else MIXED if row.model == "mean14" else ""
    model = MEANS.get(row.model, row.model)
    source = vlm_fix()[0]
    return Reported(task, model, name, where, row.value / 100, source, row.table_name, note)


def _over_games(found: list[Reported]) -> Iterator[Reported]:
    """Yield the mean over the games where it is not printed: a table a game, Tables 6 to 13."""
    printed = {(one.task, one.model, *one.where.items()) for one in found}
    games: dict[tuple[object, ...], list[Reported]] = {}
    for one in found:
        if "game" in one.where:
            rest = {name: level for name, level in one.where.items() if name != "game"}
            key = (one.task, one.model, *rest.items())
            if key not in printed:
                games.setdefault(key, []).append(replace(one, where=rest))
    for same in games.values():
        if len(same) == GAMES:
            first, last = (one.table.removeprefix("Table ") for one in (same[0], same[-1]))
            note = "; ".join(filter(None, (OF_GAMES, same[0].note)))
            mean = sum(one.value for one in same) / GAMES
            yield replace(same[0], value=mean, table=f"Tables {first} to {last}", note=note)


def _over_rules(found: list[Reported]) -> Iterator[Reported]:
    """Yield the mean over the rules of tasks with one configuration: what a board ranks by."""
    rules: dict[tuple[str, str], list[Reported]] = {}
    for one in found:
        if one.where.keys() == {"rule"}:
            rules.setdefault((one.task, one.model), []).append(one)
    for same in rules.values():
        if len(same) == len(RULES):
            note = "; ".join(filter(None, (OF_RULES, same[0].note)))
            mean = sum(one.value for one in same) / len(RULES)
            yield replace(same[0], where={}, value=mean, note=note)
