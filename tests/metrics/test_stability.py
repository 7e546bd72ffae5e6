"""Answers of a sample are one mark a level, in the order of LEVELS.

y, n: Yes and No; ? unparsed; ! failed; a blank: no such trial.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.stability import TRANSITIONS, entropy
from vlm_eval.metrics.table import METRICS, Table, TableRow

LEVELS = ("clean", "same", "shift_1", "shift_2", "turn", "white")
FAMILIES = {"shift": "shift_*", "turn": "turn"}
CONTROLS = {"perturbation": ("same",)}
ANSWERS = {"y": "Yes", "n": "No", "?": None, "!": None}


def rows(samples):
    for name, (gold, marks) in samples.items():
        for level, mark in zip(LEVELS, marks, strict=True):
            if mark == " ":
                continue
            answer, right = ANSWERS[mark], ANSWERS[gold]
            yield TableRow(
                sample_id=name,
                cluster=name[0],
                condition={"perturbation": level},
                fields={"split": "random" if name < "c" else "popular"},
                gold=right,
                answer=answer,
                scores={} if mark == "!" else {"accuracy": float(answer == right)},
                failed=mark == "!",
            )


def table(samples):
    return Table("pope", {"perturbation": LEVELS}, tuple(rows(samples)), controls=CONTROLS)


def estimates(made, **options):
    spec = {"name": "stability", "families": FAMILIES, **options}
    return build(METRICS, spec, where=None)(made)


def values(made, where=None, **options):
    return {e.name: e.value for e in estimates(made, **options) if e.where == (where or {})}


GOLDEN = {
    # gold, then clean, same, shift_1, shift_2, turn, white
    "a1": ("y", "yyynnn"),  # right; shift_2 and turn wrong
    "a2": ("n", "yyyyny"),  # wrong; turn right
    "b1": ("n", "nnn?nn"),  # right throughout, once unparsed
    "b2": ("y", "nn!yn "),  # wrong; shift_1 failed, shift_2 right
    "c1": ("y", "?yyyyy"),  # no clean answer: out
}


def test_golden_values_by_hand():
    made = table(GOLDEN)
    assert values(made, {"family": "shift"}) == pytest.approx(
        {
            "ifr": 2 / 8,  # the unparsed and the failed instance stay in the denominator
            "iv": 2 / 4,
            "iv_image": 2 / 2,
            "missing": 2 / 8,
            "right_to_wrong": 1 / 6,
            "wrong_to_right": 1 / 6,
            "right_to_right": 2 / 6,
            "wrong_to_wrong": 2 / 6,
        }
    )
    assert values(made, {"family": "turn"}) == pytest.approx(
        {
            "ifr": 2 / 4, "iv": 2 / 4, "iv_image": 1 / 2, "missing": 0,
            "right_to_wrong": 1 / 4, "wrong_to_right": 1 / 4,
            "right_to_right": 1 / 4, "wrong_to_wrong": 1 / 4,
        }
    )  # fmt: skip
    half = math.log(2)
    a2 = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))  # y y y n
    b2 = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))  # n y n
    assert values(made) == pytest.approx(
        {
            "ifr_any": 4 / 12, "iv_any": 3 / 4, "iv_image_any": 1, "missing": 2 / 12,
            "right_to_wrong": 2 / 10, "wrong_to_right": 2 / 10,
            "right_to_right": 3 / 10, "wrong_to_wrong": 3 / 10,
            "visual_entropy": (half + a2 + 0 + b2) / 4,
        }
    )  # fmt: skip
    assert values(made, {"perturbation": "same"}) == {"ifr": 0}


def test_transitions_by_clean_and_gold_answer():
    made = table(GOLDEN)
    found = values(made, {"clean": "Yes", "gold": "Yes"}, answers=["Yes", "No"])
    assert found == pytest.approx(  # a1 alone: kept, lost, lost
        {"ifr_any": 2 / 3, "right_to_wrong": 2 / 3, "right_to_right": 1 / 3,
         "wrong_to_right": 0, "wrong_to_wrong": 0}
    )  # fmt: skip
    found = values(made, {"family": "shift", "clean": "No", "gold": "Yes"}, answers=["Yes", "No"])
    assert (found["ifr"], found["wrong_to_right"]) == (1 / 2, 1)  # b2: failed, then right
    cells = [e for e in estimates(made, answers=["Yes", "No"]) if "gold" in e.where]
    pooled = [e.n for e in cells if e.name == "ifr_any"]
    assert sum(pooled) == 12


def test_a_model_that_never_moves_has_no_flips():
    made = table({f"{c}1": ("yn"[i % 2], "y" * 6) for i, c in enumerate("abcdef")})
    for place in ({"family": "shift"}, {"family": "turn"}, {}):
        found = values(made, place)
        assert not any(found[n] for n in found if n.startswith(("ifr", "iv", "right_to_wrong")))
        assert found["right_to_right"] == found["wrong_to_wrong"] == 0.5
    assert values(made)["visual_entropy"] == 0


def test_results_have_clustered_intervals_and_directions():
    found = {e.name: e for e in estimates(table(GOLDEN)) if not e.where}
    assert (found["iv_any"].n, found["iv_any"].clusters) == (4, 2)
    assert (found["iv_image_any"].n, found["iv_image_any"].clusters) == (2, 2)
    assert (found["ifr_any"].n, found["ifr_any"].clusters) == (12, 2)
    assert found["ifr_any"].low is not None
    assert {n for n, e in found.items() if not e.lower_is_better} == {
        "right_to_right", "wrong_to_right"
    }  # fmt: skip


def test_breakdowns_keep_their_place():
    found = values(table(GOLDEN), {"split": "random", "family": "shift"}, by=["split"])
    assert found["ifr"] == 2 / 8
    assert values(table(GOLDEN), {"split": "popular"}, by=["split"])["ifr_any"] is None


def test_an_empty_table_gives_unknown_values():
    made = Table("pope", {"perturbation": LEVELS}, (), controls=CONTROLS)
    found = estimates(made)
    assert {e.name for e in found} >= {"ifr", "ifr_any", "iv", "iv_any", "iv_image", *TRANSITIONS}
    assert all(estimate.value is None for estimate in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": {"shift": "shfit_*"}}, "'shfit_\\*' of family 'shift' fits no level"),
        ({"families": {"all": "*"}}, "fits the clean level"),
        ({"families": {"a": "shift_*", "b": ["turn", "shift_1"]}}, "'shift_1' is in the families"),
        ({"factor": "pertubation"}, "did you mean perturbation"),
        ({"clean": "cleen"}, "did you mean clean"),
        ({"score": "accuracy_x"}, "accuracy_x"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(TaskError, match=message):
        estimates(table(GOLDEN), **options)


marks = st.text("yn?!", min_size=6, max_size=6)
samples = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5)).map(lambda n: f"{n[0]}{n[1]}"),
    st.tuples(st.sampled_from("yn"), marks),
    min_size=1,
)


@given(samples)
def test_identities_of_the_definitions(given):
    found = estimates(table(given))
    at = {(e.name, e.where.get("family")): e for e in found if "perturbation" not in e.where}
    pooled = at["ifr_any", None]
    parts = [at["ifr", family] for family in FAMILIES]
    assert pooled.n == sum(part.n for part in parts)
    if not pooled.n:
        return
    assert pooled.value * pooled.n == pytest.approx(sum(p.value * p.n for p in parts))
    assert at["iv_any", None].value >= max(at["iv", family].value for family in FAMILIES)
    for family in (*FAMILIES, None):
        shares = [at[name, family] for name in TRANSITIONS]
        evaluable = pooled.n if family is None else at["ifr", family].n
        evaluable -= at["missing", family].value * evaluable
        assert {share.n for share in shares} == {round(evaluable)}
        if round(evaluable):
            assert sum(share.value for share in shares) == pytest.approx(1)
    assert 0 <= at["visual_entropy", None].value <= math.log(2) + 1e-12


@given(st.lists(st.sampled_from("abcd"), min_size=1))
def test_entropy_is_least_for_one_answer_and_most_for_all_alike(answers):
    found = entropy(answers)
    assert -1e-12 <= found <= math.log(len(set(answers))) + 1e-12
    assert entropy(list("abcd") * len(answers)) == pytest.approx(math.log(4))
