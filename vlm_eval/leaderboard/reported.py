"""Numbers that papers report, beside measured ones; never ranked with them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from vlm_eval.core.types import Level
from vlm_eval.published import cityscapes, vlm_fix

GAMES = 4
RULES = {"std": "standard", "inv": "inverse"}
VLM_FIX_TASKS = {
    "T2_direct_base": ("vlm-fix-inverse", "base"),
    "T14_descriptive_direct": ("vlm-fix-descriptive", "descriptive"),
    "T15_text_only_direct": ("vlm-fix-text-only", "text_only"),
}
PROMPTS: Mapping[str, Mapping[str, Level]] = {
    name: {"prompt_variant": name} for name in ("base", "alias", "semalias")
}
RENDERS: Mapping[str, Mapping[str, Level]] = {"base": {"render": "canonical"}} | {
    name: {"render": name} for name in ("checkerboard", "glyph")
}
CONFIGURATIONS: Mapping[str, tuple[tuple[str, Mapping[str, Mapping[str, Level]]], ...]] = {
    **{f"T{n}_direct": (("vlm-fix-prompts", PROMPTS), ("vlm-fix-renders", RENDERS))
       for n in range(6, 10)},
    **{f"T{n}_cot": (("vlm-fix-cot", PROMPTS),) for n in range(10, 14)},
    "T16_order_direct": (
        ("vlm-fix-inverse", {"base": {}}), ("vlm-fix-prompts", PROMPTS),
        ("vlm-fix-renders", RENDERS), ("vlm-fix-descriptive", {"descriptive": {}}),
    ),
    "T17_order_cot": (("vlm-fix-cot", PROMPTS),),
}  # fmt: skip
"""Tables by configuration: the tasks that ask it, and at which level."""
VLMBIAS_TABLES = tuple(f"T{number}_vlmbias" for number in range(18, 23))
OF_RULES = "mean of the two printed rules"
OF_GAMES = "mean of the four printed games"
WINNER_ONLY = "asked for the winner, image first, only: comparable to that slice alone"
API_MODELS = ("GPT-4.1", "GPT-5.2", "Sonnet-4.0", "Sonnet-4.5")  # the paper's, by its own names


@dataclass(frozen=True)
class Reported:
    """A number from a paper.

    Attributes
    ----------
    task
        The task that measures the same here.
    model
        As the paper calls it.
    name, where
        The estimate that it corresponds to.
    value
        A share in [0, 1].
    source, table
        Where it is printed.
    note
        What keeps it from being the same; empty if nothing is known to.
    """

    task: str
    model: str
    name: str
    where: Mapping[str, Level]
    value: float
    source: str
    table: str
    note: str = ""


@functools.cache
def reported() -> tuple[Reported, ...]:
    """Return all reported numbers, in the order of the papers' tables."""
    return (*_vlm_fix(), *_configurations(), *_vlmbias(), *_cityscapes())


def _vlm_fix() -> Iterator[Reported]:
    source, rows = vlm_fix()
    printed: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        task, config = VLM_FIX_TASKS.get(row.table, ("", ""))
        if not task or row.config != config or row.model == "Average":
            continue
        note = WINNER_ONLY if row.model in API_MODELS else ""
        where = {"rule": RULES[row.metric]}
        if row.group == "macro":
            printed.setdefault((task, row.model), {})[row.metric] = row.value / 100
        else:
            where = {"game": row.group, **where}
        yield Reported(
            task, row.model, "accuracy", where, row.value / 100, source, row.table_name, note
        )
    for (task, model), rules in printed.items():
        if rules.keys() == RULES.keys():
            api = f"; {WINNER_ONLY}" if model in API_MODELS else ""
            table = next(
                row.table_name for row in rows if VLM_FIX_TASKS.get(row.table, ("",))[0] == task
            )
            mean = sum(rules.values()) / 2
            yield Reported(task, model, "accuracy", {}, mean, source, table, OF_RULES + api)


def _configurations() -> Iterator[Reported]:
    """Yield the cells of the tables by configuration, and the means of those printed by game."""
    source, rows = vlm_fix()
    games: dict[tuple[str, str, tuple[tuple[str, Level], ...]], list[Reported]] = {}
    for row in rows:
        config, _, order = row.config.partition("|")
        note = WINNER_ONLY if row.model in API_MODELS else ""
        for task, levels in CONFIGURATIONS.get(row.table, ()):
            if config not in levels or row.model == "Average":
                continue
            where = {**levels[config], "rule": RULES[row.metric]}
            where |= {"order": order} if order else {}
            one = Reported(
                task, row.model, "accuracy", where, row.value / 100, source, row.table_name, note
            )
            if row.group == "macro":
                yield one
            else:
                games.setdefault((task, row.model, tuple(where.items())), []).append(one)
                yield replace(one, where={"game": row.group, **where})
    for same in games.values():
        if len(same) == GAMES:
            first, last = (one.table.removeprefix("Table ") for one in (same[0], same[-1]))
            tables = f"Tables {first} to {last}"
            mean = sum(one.value for one in same) / GAMES
            note = "; ".join(filter(None, (OF_GAMES, same[0].note)))
            yield replace(same[0], value=mean, table=tables, note=note)


def _vlmbias() -> Iterator[Reported]:
    source, rows = vlm_fix()
    for row in rows:
        if row.table in VLMBIAS_TABLES and row.model != "Average":
            topic = {} if row.group == "overall_row_level" else {"topic": row.group}
            yield Reported(
                "vlmbias", row.model, {"acc": "accuracy"}.get(row.metric, row.metric),
                {"config": row.config.replace("+", "_"), **topic}, row.value / 100, source,
                row.table_name,
            )  # fmt: skip


def _cityscapes() -> Iterator[Reported]:
    tables = cityscapes()
    for model, measures in tables["tables456_vlm"].items():
        for name, values in measures.items():
            if name in ("HR", "COR", "SMR"):
                for condition, value in zip(tables["conditions"], values, strict=True):
                    yield Reported(
                        "cityscapes-degraded", model, name, {"degradation": condition.lower()},
                        float(value), "arXiv:2601.08355v1", "Tables 4 to 6",
                    )  # fmt: skip
