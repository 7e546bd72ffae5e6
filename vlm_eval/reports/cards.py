"""A sample's card: its conditions side by side, as the template ``_card.html.j2`` shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from vlm_eval.core.types import Level
from vlm_eval.reports.outcomes import Baselines, Flip, Outcome, Said, Sample, flips
from vlm_eval.reports.pictures import Picture

OPTIONS = 6  # bars of a tile, at most
NAMED = 8  # conditions of one prompt that are named, at most, if the others are


@dataclass(frozen=True)
class Shown:
    """A picture of a tile, and the baseline's that it may be subtracted from (equal in size)."""

    picture: Picture
    base: Picture | None


@dataclass(frozen=True)
class Resolution:
    """A size in pixels, whether the model reads it, and if so only the middle of the image."""

    width: int
    height: int
    read: bool
    part: bool


@dataclass(frozen=True)
class Option:
    """One scored option: its text, log-likelihood, and share among the options (softmax)."""

    text: str
    logprob: float
    share: float
    gold: bool
    chosen: bool


@dataclass(frozen=True)
class Tile:
    """One condition of a card.

    Attributes
    ----------
    said
        The trial.
    number
        Its place among the task's conditions, for filters.
    levels
        The factor levels that vary within the card.
    outcome, flips
        What became of it, and by factor how its correctness flips against the baseline.
    pictures
        Its images, where they are at hand and not the same for the whole card.
    span
        What the parser read in the raw text.
    options, hidden
        The scored options, best first, and how many more there are.
    """

    said: Said
    number: int
    levels: Mapping[str, Level]
    outcome: Outcome
    flips: Mapping[str, Flip]
    pictures: tuple[Shown, ...]
    span: tuple[int, int] | None
    options: tuple[Option, ...]
    hidden: int


@dataclass(frozen=True)
class Prompt:
    """A prompt of a card, and the conditions that it was sent under.

    None are named if all are, nor if they are many: then ``others`` is their number, and those of
    every other prompt are named.
    """

    text: str
    conditions: tuple[Mapping[str, Level], ...]
    others: int = 0


@dataclass(frozen=True)
class Card:
    """What is shown of one sample.

    Attributes
    ----------
    sample
        The sample.
    gold
        The right answer, if it is the same under every condition.
    slices, fields
        Its short scalar fields: those that the task breaks results down by, and the others.
    shared
        Pictures that every condition shows, drawn once.
    tiles
        A tile a condition.
    prompts
        The distinct prompts.
    differs
        Whether any tile can show a difference to the baseline's picture.
    resolutions
        What the pictures are: each size, and whether it is the model's, once.
    """

    sample: Sample
    gold: str | None
    slices: Mapping[str, Level]
    fields: Mapping[str, Level]
    shared: tuple[Shown, ...]
    tiles: tuple[Tile, ...]
    prompts: tuple[Prompt, ...]
    differs: bool
    resolutions: tuple[Resolution, ...]


def card(
    sample: Sample,
    factors: Mapping[str, Sequence[Level]],
    slices: Sequence[str],
    numbers: Mapping[frozenset[tuple[str, Level]], int],
    pictures: Mapping[str, Picture],
    compared: Baselines,
) -> Card:
    """Return the card of a sample.

    Parameters
    ----------
    sample
        The sample with its trials.
    factors
        The task's factors; the first level is the baseline.
    slices
        The fields that the task breaks results down by.
    numbers
        Place of each condition among the task's.
    pictures
        What images are at hand, by digest.
    compared
        What each level is compared with.
    """
    varied = [
        name
        for name in factors
        if len({said.record.condition.get(name) for said in sample.trials}) > 1
    ]
    along = max(varied, key=lambda name: (_redraws(sample, name), len(factors[name])), default=None)
    trials = _side_by_side(sample.trials, factors, along)
    same = len({said.record.images for said in trials}) == 1 and len(trials) > 1
    shared = _shown(trials[0], trials[0], pictures) if same else ()
    tiles = tuple(
        Tile(
            said=said,
            number=numbers.get(frozenset(said.record.condition.items()), -1),
            levels=_only(said.record.condition, varied),
            outcome=said.outcome,
            flips=flips(sample, said, compared),
            pictures=() if same else _shown(said, _base(sample, said, factors, along), pictures),
            span=_span(said),
            options=tuple(options[:OPTIONS]),
            hidden=max(0, len(options) - OPTIONS),
        )
        for said in trials
        for options in [_options(said)]
    )
    fields = _scalar_fields(sample)
    golds = {said.record.gold for said in sample.trials}
    return Card(
        sample=sample,
        gold=golds.pop() if len(golds) == 1 else None,
        slices=_only(fields, slices),
        fields={name: value for name, value in fields.items() if name not in slices},
        shared=shared,
        tiles=tiles,
        prompts=_prompts(sample, varied),
        differs=any(shown.base is not None for tile in tiles for shown in tile.pictures),
        resolutions=_resolutions([*shared, *(one for tile in tiles for one in tile.pictures)]),
    )


def _only(condition: Mapping[str, Level], names: Sequence[str]) -> dict[str, Level]:
    return {name: condition[name] for name in names if name in condition}


def _redraws(sample: Sample, factor: str) -> bool:
    """Whether a factor changes what is shown, all else equal."""
    shown: dict[frozenset[tuple[str, Level]], tuple[str, ...]] = {}
    for said in sample.trials:
        rest = frozenset((n, v) for n, v in said.record.condition.items() if n != factor)
        if shown.setdefault(rest, said.record.images) != said.record.images:
            return True
    return False


def _side_by_side(
    trials: Sequence[Said], factors: Mapping[str, Sequence[Level]], along: str | None
) -> list[Said]:
    """Return the trials with the levels of one factor next to each other, in their order."""

    def place(said: Said) -> list[int]:
        names = [name for name in factors if name != along] + ([along] if along else [])
        condition = said.record.condition
        return [
            list(factors[name]).index(condition[name])
            if condition.get(name) in factors[name]
            else len(factors[name])
            for name in names
        ]

    return sorted(trials, key=place)


def _base(
    sample: Sample, said: Said, factors: Mapping[str, Sequence[Level]], along: str | None
) -> Said:
    """Return the trial whose picture is subtracted: the same at the baseline of one factor."""
    if along is None:
        return said
    return sample.at({**said.record.condition, along: factors[along][0]}) or said


def _shown(said: Said, base: Said, pictures: Mapping[str, Picture]) -> tuple[Shown, ...]:
    """Return a trial's pictures that are at hand, each with the baseline's if alike in size."""
    others = base.record.images
    found = []
    for i, key in enumerate(said.record.images):
        picture = pictures.get(key)
        if picture is None:
            continue
        other = pictures.get(others[i]) if i < len(others) and others[i] != key else None
        alike = other and _size(other) == _size(picture)
        found.append(Shown(picture, other if alike else None))
    return tuple(found)


def _size(picture: Picture) -> tuple[int, int, bool]:
    return picture.width, picture.height, picture.read


def _resolutions(shown: Iterable[Shown]) -> tuple[Resolution, ...]:
    found = (one.picture for one in shown)
    return tuple(dict.fromkeys(Resolution(p.width, p.height, p.read, p.part) for p in found))


def _span(said: Said) -> tuple[int, int] | None:
    """Return what the parser says it read or, if it does not say, the answer's one occurrence."""
    answer, raw = said.scored.answer, said.record.raw
    span = said.scored.span
    if span is not None or not answer or raw is None:
        return span
    found = re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", raw, re.IGNORECASE)
    spans = [match.span() for match in islice(found, 2)]
    return spans[0] if len(spans) == 1 else None


def _options(said: Said) -> list[Option]:
    record = said.record
    if record.logprobs is None or record.choices is None:
        return []
    top = max(record.logprobs)
    weights = [math.exp(value - top) for value in record.logprobs]
    found = [
        Option(text, logprob, weight / sum(weights), text == record.gold,
               text == said.scored.answer)
        for text, logprob, weight in zip(record.choices, record.logprobs, weights, strict=True)
    ]  # fmt: skip
    return found if len(found) <= OPTIONS else sorted(found, key=lambda o: -o.share)


def _scalar_fields(sample: Sample) -> dict[str, Level]:
    """Return the short scalar fields that are the same under every condition."""
    first = sample.trials[0].record.fields
    return {
        name: value
        for name, value in first.items()
        if isinstance(value, (str, int, float, bool))
        and len(str(value)) <= 60
        and all(said.record.fields.get(name) == value for said in sample.trials)
    }


def _prompts(sample: Sample, varied: Sequence[str]) -> tuple[Prompt, ...]:
    by_text: dict[str, list[Mapping[str, Level]]] = {}
    for said in sample.trials:
        by_text.setdefault(said.record.prompt, []).append(said.record.condition)
    if len(by_text) == 1:
        return tuple(Prompt(text, ()) for text in by_text)
    telling = _telling(by_text, varied)
    found = [
        Prompt(text, tuple(_distinct(_only(c, telling) for c in conditions)))
        for text, conditions in by_text.items()
    ]
    most = max(found, key=lambda prompt: len(prompt.conditions))
    if len(most.conditions) > NAMED:
        found.remove(most)
        found.append(Prompt(most.text, (), others=len(most.conditions)))
    return tuple(found)


def _telling(
    by_text: Mapping[str, Sequence[Mapping[str, Level]]], varied: Sequence[str]
) -> list[str]:
    """Return the factors by which the prompts differ: those without which two would be one."""
    telling = list(varied)
    for name in varied:
        rest = [other for other in telling if other != name]
        owners: dict[tuple[Level, ...], set[str]] = {}
        for text, conditions in by_text.items():
            for c in conditions:
                owners.setdefault(tuple(c[n] for n in rest if n in c), set()).add(text)
        if all(len(texts) == 1 for texts in owners.values()):
            telling = rest
    return telling


def _distinct(found: Iterable[Mapping[str, Level]]) -> list[Mapping[str, Level]]:
    unique: list[Mapping[str, Level]] = []
    for one in found:
        if one not in unique:
            unique.append(one)
    return unique
