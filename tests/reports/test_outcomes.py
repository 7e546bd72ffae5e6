from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from vlm_eval.reports.cards import card
from vlm_eval.reports.outcomes import Said, Sample, baselines, crosses, flips, matrices, natural
from vlm_eval.reports.pictures import Picture, chosen
from vlm_eval.runner.records import Record
from vlm_eval.stats.results import Comparison
from vlm_eval.tasks.scoring import Scored

FACTORS: dict[str, tuple[Any, ...]] = {"blur": (1, 5, 11), "ask": ("direct", "polite")}
COMPARED = baselines(FACTORS)


def said(
    sample: str, blur: int, ask: str, answer: str | None, gold: str = "Yes", **changes: Any
) -> Said:
    failed = answer == "FAILED"
    record = Record(**{
        "request_hash": f"{sample}-{blur}-{ask}", "task": "t",
        "sample_id": sample, "cluster": sample,
        "condition": {"blur": blur, "ask": ask}, "fields": {"kind": "red", "board": [1], "n": blur},
        "gold": gold, "prompt": f"<image>{ask}?", "images": (f"{sample}-{blur}",),
        "choices": ("Yes", "No"), "outcome": "failure" if failed else "answer",
        "failure": {"kind": "oom", "message": "m", "attempts": 1} if failed else None, **changes,
    })  # fmt: skip
    scores = {} if failed else {"accuracy": float(answer == gold)}
    return Said(record, Scored(None if failed else answer, "" if failed else "r", scores=scores))


def sample(name: str, *answers: tuple[int, str, str | None]) -> Sample:
    return Sample(name, name, tuple(said(name, *one) for one in answers))


ONE = sample(
    "s-1", (1, "direct", "Yes"), (1, "polite", "No"), (5, "direct", "No"), (5, "polite", "Yes"),
    (11, "direct", None), (11, "polite", "FAILED"),
)  # fmt: skip
TWO = sample("s-2", (1, "direct", "No"), (5, "direct", "No"))


def test_outcomes_tell_wrong_unparsed_and_failed_apart() -> None:
    assert [one.outcome for one in ONE.trials] == [
        "right", "wrong", "wrong", "right", "unparsed", "failed",
    ]  # fmt: skip


def test_a_score_between_is_partial_and_flips_nothing() -> None:
    record = ONE.trials[2].record
    half = Said(record, Scored("No", "r", scores={"accuracy": 0.5}))
    assert half.outcome == "partial"
    assert flips(Sample("s-1", "s-1", (ONE.trials[0], half)), half, COMPARED) == {}


def test_flips_are_against_the_baseline_of_each_factor() -> None:
    found = [flips(ONE, one, COMPARED) for one in ONE.trials]
    assert found == [
        {}, {"ask": "to_wrong"}, {"blur": "to_wrong"}, {"blur": "to_right", "ask": "to_right"},
        {"blur": "to_wrong"}, {},
    ]  # fmt: skip


def test_a_level_is_compared_with_what_the_task_compares_it_with() -> None:
    """As MiS does: Confirm with Reject, although Confirm is the first level."""
    asks = {"ask": ("confirm", "reject", "i2c", "c2i", "other")}
    names = [field.name for field in fields(Comparison)]
    confirm = Comparison(**dict.fromkeys(names) | {"name": "accuracy", "factor": "ask",
                            "baseline": "reject", "level": "confirm"})  # fmt: skip
    found = baselines(asks, [confirm, replace(confirm, baseline="c2i", level="i2c")])
    assert found == {"ask": {"confirm": "reject", "i2c": "c2i", "other": "confirm"}}
    one = sample("s-1", (1, "confirm", "No"), (1, "reject", "Yes"))
    assert [flips(one, trial, found) for trial in one.trials] == [{"ask": "to_wrong"}, {}]


def test_matrices_count_the_pairs_of_every_sample() -> None:
    outcome, answer = matrices([ONE, TWO], "blur", 1, 5)
    assert (outcome.labels, outcome.counts) == (("right", "wrong"), ((0, 1), (1, 1)))
    assert (answer.labels, answer.counts) == (("No", "Yes"), ((1, 1), (1, 0)))
    assert outcome.total == answer.total == 3


def test_a_matrix_shows_unparsed_and_failed_but_answers_without_failures() -> None:
    outcome, answer = matrices([ONE], "blur", 1, 11)
    assert outcome.labels == ("right", "wrong", "unparsed", "failed")
    assert outcome.total == 2
    assert answer.labels == ("Yes", "(unparsed)")
    assert answer.counts == ((0, 1), (0, 0))


def test_many_answers_are_compared_by_their_place_among_the_options() -> None:
    samples = [
        Sample(str(i), str(i), tuple(
            said(str(i), blur, "direct", f"{word}{i}", gold=f"a{i}", choices=(f"a{i}", f"b{i}"))
            for blur, word in ((1, "a"), (5, "b"))
        ))
        for i in range(9)
    ]  # fmt: skip
    _, answer = matrices(samples, "blur", 1, 5)
    assert (answer.labels, answer.counts) == (("option 1", "option 2"), ((0, 9), (0, 0)))


def test_open_answers_have_no_matrix_of_their_own() -> None:
    samples = [
        Sample(str(i), str(i), tuple(said(str(i), b, "direct", f"{i}-{b}") for b in (1, 5)))
        for i in range(9)
    ]
    assert [matrix.kind for matrix in matrices(samples, "blur", 1, 5)] == ["outcome"]


def test_a_level_without_pairs_has_no_matrix() -> None:
    assert matrices([TWO], "blur", 1, 11) == ()


def test_a_cross_table_is_the_mean_at_both_levels() -> None:
    (cross,) = crosses([ONE, TWO], FACTORS)
    assert (cross.rows[0], cross.columns[0]) == ("ask", "blur")
    values = [[cell and (cell.value, cell.n, cell.clusters) for cell in row] for row in cross.cells]
    assert values == [[(0.5, 2, 2), (0, 2, 2), (0, 1, 1)], [(0, 1, 1), (1, 1, 1), None]]


def test_factors_of_one_level_make_no_table() -> None:
    assert crosses([ONE], {"blur": (1, 5), "ask": ("direct",)}) == []


def test_numbers_in_ids_are_read_as_numbers() -> None:
    assert sorted(["s-10", "s-2", "t", "10", "9"], key=natural) == ["9", "10", "s-2", "s-10", "t"]


def test_flipped_samples_get_pictures_first() -> None:
    found = [sample(f"s-{i}", (1, "direct", "Yes")) for i in range(4)]
    flipped = [False, True, False, True]
    assert [s.id for s in chosen(found, 3, flipped)] == ["s-1", "s-3", "s-0"]
    assert chosen(found, None, flipped) == found
    assert chosen(found, 0, flipped) == []


PICTURES = {
    "s-1-1": Picture("images/1.webp", 40, 30),
    "s-1-5": Picture("images/5.webp", 40, 30),
    "s-1-11": Picture("images/11.webp", 20, 30),
}
NUMBERS = {frozenset(one.record.condition.items()): i for i, one in enumerate(ONE.trials)}


def make_card(of: Sample = ONE):
    return card(of, FACTORS, ["kind"], NUMBERS, PICTURES, COMPARED)


def test_a_card_has_the_levels_that_change_the_image_side_by_side() -> None:
    conditions = [tuple(tile.levels.values()) for tile in make_card().tiles]
    assert conditions == [(b, a) for a in ("direct", "polite") for b in (1, 5, 11)]
    assert [tile.number for tile in make_card().tiles] == [0, 2, 4, 1, 3, 5]


def test_a_picture_is_subtracted_from_the_baselines_if_equal_in_size() -> None:
    bases = [tile.pictures[0].base for tile in make_card().tiles]
    assert bases == [None, PICTURES["s-1-1"], None] * 2
    assert make_card().differs


def test_what_the_model_reads_is_not_subtracted_from_what_was_sent() -> None:
    read = replace(PICTURES["s-1-5"], read=True)
    made = card(ONE, FACTORS, [], NUMBERS, {**PICTURES, "s-1-5": read}, COMPARED)
    assert not made.differs
    assert [(r.width, r.height, r.read) for r in made.resolutions] == [
        (40, 30, False), (40, 30, True), (20, 30, False),
    ]  # fmt: skip


def test_pictures_that_do_not_change_are_shown_once() -> None:
    trials = tuple(said("s-1", b, "direct", "Yes", images=("s-1-1",)) for b in (1, 5))
    made = make_card(Sample("s-1", "s-1", trials))
    assert [one.picture for one in made.shared] == [PICTURES["s-1-1"]]
    assert not made.differs
    assert all(tile.pictures == () for tile in made.tiles)


def test_a_prompt_stands_once_with_the_conditions_that_tell_it_apart() -> None:
    prompts = make_card().prompts
    assert [(p.text, p.conditions) for p in prompts] == [
        ("<image>direct?", ({"ask": "direct"},)), ("<image>polite?", ({"ask": "polite"},)),
    ]  # fmt: skip
    (only,) = make_card(Sample("s-1", "s-1", ONE.trials[:1])).prompts
    assert only.conditions == ()


def test_many_conditions_of_one_prompt_are_counted_not_named() -> None:
    factors = {"step": tuple(range(12))}
    trials = tuple(
        said("s-1", 1, "direct", "Yes", condition={"step": n}, prompt="none" if n == 3 else "image")
        for n in range(12)
    )
    prompts = card(Sample("s-1", "s-1", trials), factors, [], {}, {}, {}).prompts
    assert [(p.text, p.conditions, p.others) for p in prompts] == [
        ("none", ({"step": 3},), 0), ("image", (), 11),
    ]  # fmt: skip


def test_a_card_names_what_all_its_conditions_share() -> None:
    made = make_card()
    assert (made.gold, dict(made.slices), dict(made.fields)) == ("Yes", {"kind": "red"}, {})
    other = said("s-1", 5, "direct", "No", gold="No")
    assert make_card(Sample("s-1", "s-1", (ONE.trials[0], other))).gold is None


def test_options_have_their_share_of_the_probability() -> None:
    trial = said("s-1", 1, "direct", "No", logprobs=(-2.0, -1.0), token_counts=(1, 1))
    (tile,) = make_card(Sample("s-1", "s-1", (trial,))).tiles
    yes, no = tile.options
    assert (yes.gold, yes.chosen, no.gold, no.chosen) == (True, False, False, True)
    assert yes.share + no.share == pytest.approx(1)
    assert no.share / yes.share == pytest.approx(2.718281828)


def test_of_many_options_the_likeliest_are_shown() -> None:
    words = tuple("abcdefghi")
    trial = said("s-1", 1, "direct", "i", choices=words, logprobs=tuple(map(float, range(-9, 0))))
    (tile,) = make_card(Sample("s-1", "s-1", (trial,))).tiles
    assert [o.text for o in tile.options] == list("ihgfed")
    assert tile.hidden == 3


def test_a_task_without_factors_has_cards_too() -> None:
    trial = said("s-1", 1, "direct", "Yes", condition={})
    made = card(Sample("s-1", "s-1", (trial,)), {}, [], {frozenset(): 0}, {}, {})
    assert [tile.levels for tile in made.tiles] == [{}]
    assert made.gold == "Yes"


@pytest.mark.parametrize(
    ("raw", "span"), [("It is yes.", (6, 9)), ("yes, yes", None), ("eyes", None), ("", None)]
)
def test_an_answer_that_occurs_once_is_what_was_read(
    raw: str, span: tuple[int, int] | None
) -> None:
    trial = said("s-1", 1, "direct", "Yes", raw=raw)
    (tile,) = make_card(Sample("s-1", "s-1", (trial,))).tiles
    assert tile.span == span


def test_a_parser_that_tells_what_it_read_is_believed() -> None:
    record = said("s-1", 1, "direct", "Yes", raw="yes: (1)").record
    (tile,) = make_card(Sample("s-1", "s-1", (Said(record, Scored("Yes", "r", (5, 8))),))).tiles
    assert tile.span == (5, 8)
