"""The decay's identities (specification A2.8), and a table computed by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.core.hashing import derive_rng
from vlm_eval.metrics.decay import Decay
from vlm_eval.metrics.table import Table, TableRow

KERNELS = (1, 5, 11, 21, 31, 41, 51, 61)


def table(answers, golds=None, levels=KERNELS, choices=None, texts=None, clusters=None):
    """Rows of answers, one a sample and one column a level; "" is unparsed and None failed."""
    rows = []
    for i, said in enumerate(answers):
        gold = (golds or "a" * len(answers))[i]
        for t, level in enumerate(levels):
            failed = said[t] is None
            answer = said[t] or None
            rows.append(
                TableRow(
                    sample_id=f"s{i}",
                    cluster=clusters[i] if clusters else f"s{i}",
                    condition={"blur": level},
                    fields={},
                    gold=gold,
                    answer=answer,
                    scores={} if failed else {"accuracy": float(answer == gold)},
                    failed=failed,
                    choices=choices,
                    text=None if failed else (texts[i][t] if texts else said[t]),
                )
            )
    return Table("demo", {"blur": levels}, tuple(rows), 0.5)


def numbers(made, **options):
    found = Decay(factor="blur", resamples=200, **options)(made)
    return {(e.name, *e.where.values()): e for e in found}


def values(made, **options):
    return {key: e.value for key, e in numbers(made, **options).items()}


def test_a_table_by_hand():
    # gold a: three steps after the original, four samples
    found = values(table(["aaaa", "aaba", "bbbb", "abbb"], levels=(1, 5, 31, 61)))
    assert [found["E", k] for k in (5, 31, 61)] == [3 / 4, 2 / 4, 3 / 4]
    assert [found["C", k] for k in (5, 31, 61)] == [3 / 4, 2 / 4, 2 / 4]
    assert [found["Acc", k] for k in (1, 5, 31, 61)] == [3 / 4, 2 / 4, 1 / 4, 2 / 4]
    # invariant: samples 0, 1, 2 at 5, then 0 and 2
    assert [found["AccInv", k] for k in (5, 31, 61)] == pytest.approx([2 / 3, 1 / 2, 1 / 2])
    assert found["Ebar",] == pytest.approx(2 / 3)
    assert found["Ebar_incl0",] == pytest.approx((1 + 3 * 2 / 3) / 4)
    assert (found["C",], found["AccInv",]) == (0.5, 0.5)
    assert found["AccDeg",] == pytest.approx(5 / 12)
    assert found["Ret",] == pytest.approx(5 / 9)
    null = 3 / 4 * 2 / 4 * 1 / 4 * 2 / 4 + 1 / 4 * 2 / 4 * 3 / 4 * 2 / 4
    assert found["C_null",] == pytest.approx(null)
    assert found["C_excess",] == pytest.approx(0.5 - null)
    # the last step says a twice, b twice: a is first by alphabet; its three samples are the default
    assert (found["C_default",], found["C_offdefault",]) == (0.75, 1.0)


def test_the_identity_changes_nothing():
    found = values(table([letter * 8 for letter in "abab"]))
    assert {value for (name, *_), value in found.items() if name in ("E", "C", "Ebar")} == {1.0}


def test_a_constant_answer():
    found = values(table(["b" * 8] * 6, golds="aaabbb"))
    assert (found["Ebar",], found["C",]) == (1, 1)
    assert found["AccInv",] == found["Acc", 1] == 0.5
    assert (found["C_null",], found["C_excess",], found["C_default",]) == (1, 0, 1)
    assert found["C_offdefault",] is None  # nobody to ask
    assert found["Ret",] == 1


def test_a_fair_guesser_of_yes_and_no_has_a_null_of_two_to_the_minus_seven():
    patterns = ["".join("yn"[(i >> t) & 1] for t in range(8)) for i in range(256)]
    found = values(table(patterns, golds="y" * 256))
    assert found["C_null",] == pytest.approx(2**-7)
    assert found["C",] == pytest.approx(2**-7)  # all 256 patterns: 2 are constant
    assert found["C_excess",] == pytest.approx(0, abs=1e-12)


def test_answers_by_hash_stay_near_the_null():
    def answer(i, t):
        return "abc"[derive_rng(0, i, t).integers(3)]

    made = table(
        ["".join(answer(i, t) for t in range(4)) for i in range(3_000)], levels=KERNELS[:4]
    )
    found = numbers(made)
    assert found["C_null",].value == pytest.approx(3**-3, abs=0.003)
    assert abs(found["C_excess",].value) < 3 * math.sqrt(3**-3 / 3_000)


@given(st.lists(st.text("ab", min_size=8, max_size=8), min_size=1, max_size=12))
def test_c_never_rises_and_never_exceeds_e(answers):
    found = values(table(answers))
    kept = [found["C", k] for k in KERNELS[1:]]
    assert kept == sorted(kept, reverse=True)
    assert all(found["C", k] <= found["E", k] for k in KERNELS[1:])
    assert found["C",] == kept[-1]


def test_no_answer_equals_no_answer():
    unparsed = table([["a", "", ""], ["", "", ""]], levels=(1, 5, 61))
    found = values(unparsed)
    assert (found["E", 5], found["C",], found["AccInv",]) == (0, 0, None)
    assert found["Acc", 5] == 0


def test_raw_compares_texts():
    texts = [["A cat", "a cat ", "A dog"], ["hm", "HM", "hm"]]
    made = table([["a", "a", "a"], ["", "", ""]], levels=(1, 5, 61), texts=texts)
    strict, raw = values(made), values(made, invariance="raw")
    assert (strict["E", 5], strict["E", 61]) == (0.5, 0.5)
    assert (raw["E", 5], raw["E", 61]) == (1.0, 0.5)


def test_a_failure_drops_the_sample_from_c_and_its_level_from_e():
    made = table([["a", "a", "a"], ["a", None, "a"], ["a", "b", "a"]], levels=(1, 5, 61))
    found = numbers(made)
    assert (found["E", 5].value, found["E", 5].n) == (0.5, 2)
    assert (found["E", 61].value, found["E", 61].n) == (1.0, 3)
    assert (found["C",].value, found["C",].n) == (0.5, 2)
    assert (found["Acc", 5].n, found["Acc", 61].n) == (2, 3)


def test_terminal_levels_stand_apart_unless_asked_in():
    levels = (1, 61, "mean", "text_only")
    made = table(["aabb", "aaab", "bbbb"], levels=levels)
    found = values(made, terminal=("mean", "text_only"))
    assert found["C",] == 1
    assert (found["E_terminal", "mean"], found["Acc_terminal", "text_only"]) == (2 / 3, 0)
    assert ("E", "mean") not in found
    # default answer b: the third sample has it; the second says a without b's help
    assert found["C_default",] == pytest.approx(1 / 3)
    included = values(made, terminal=("mean", "text_only"), include_terminal=True)
    assert (included["E", "mean"], included["C",]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_collapse_to_the_default_answer_is_told_from_blindness():
    # sees the image, and says no when it cannot: invariant on every no, on no yes
    found = values(table([["yes"] + ["no"] * 7, ["no"] * 8] * 5, golds=["yes", "no"] * 5))
    assert (found["C",], found["C_default",], found["C_offdefault",]) == (0.5, 0.5, 0.0)


def test_the_text_only_answer_is_no_evidence_either():
    levels = (1, 61, "mean", "text_only")
    made = table(["aaba", "aabb", "aabb"], levels=levels)
    found = numbers(made, terminal=("mean", "text_only"))
    assert (found["C_offdefault",].value, found["C_offdefault",].n) == (1.0, 2)


def test_default_answers_are_those_of_an_option_set():
    one = table(["ab"] * 3, levels=(1, 61), choices=("a", "b"))
    other = table(["ac"] * 3, levels=(1, 61), choices=("a", "c"))
    moved = tuple(replace(row, sample_id=f"t{row.sample_id}") for row in other.rows)
    found = values(replace(one, rows=one.rows + moved))
    assert (found["C_default",], found["C_offdefault",]) == (0, 0)


def test_content_is_what_a_letter_stands_for():
    """A position-biased model is constant by letter, and not by content."""

    def ordered(answer):
        rows = []
        for i in range(4):
            for shift in (0, 1):
                for level in (1, 61):
                    said = answer(shift)
                    rows.append(
                        TableRow(
                            f"s{i}", f"s{i}", {"blur": level, "order": shift}, {}, "A", said,
                            {"accuracy": float(said == "A")}, choices=("A", "B", "C"),
                        )
                    )  # fmt: skip
        return Table("demo", {"blur": (1, 61), "order": (0, 1)}, tuple(rows))

    biased = values(ordered(lambda _: "A"), orders="order")
    assert (biased["C",], biased["C_content",]) == (1, 0)
    # option 0 stands at position 0, then at position 2
    true = values(ordered(lambda shift: "AC"[shift]), orders="order")
    assert (true["C",], true["C_content",], true["AccInv_content",]) == (1, 1, 1)
    assert not any(len(key) > 2 for key in true)


def test_other_factors_are_never_pooled():
    made = table(["aa", "ab"], levels=(1, 61))
    rows = tuple(
        replace(row, condition={**row.condition, "space": space})
        for row in made.rows
        for space in ("native", "normalized")
    )
    found = Decay(factor="blur", resamples=50)(
        Table("demo", {**made.factors, "space": ("native", "normalized")}, rows)
    )
    assert {e.where["space"] for e in found} == {"native", "normalized"}
    assert {e.n for e in found if e.name == "C"} == {2}


def test_the_interval_is_a_percentile_bootstrap_by_cluster():
    rng = np.random.default_rng(1)
    flips = rng.random((60, 3)) < 0.3
    answers = ["a" + "".join("ab"[int(flip)] for flip in row) for row in flips]
    clusters = [f"image {i // 3}" for i in range(60)]
    made = table(answers, levels=(1, 5, 31, 61), clusters=clusters)
    found = {(e.name, *e.where.values()): e for e in Decay(factor="blur")(made)}
    # an independent bootstrap, image by image, of C and of the ratio AccInv / Ret
    kept = ~flips.any(axis=1)
    draws = rng.integers(20, size=(4_000, 20))
    shares = kept.reshape(20, 3).mean(axis=1)[draws].mean(axis=1)
    accuracies = (~flips).mean(axis=1).reshape(20, 3).mean(axis=1)[draws].mean(axis=1)
    for name, replicates in (("C", shares), ("Ret", accuracies)):
        low, high = np.quantile(replicates, [0.025, 0.975])
        assert found[name,].method == "cluster_bootstrap"
        assert found[name,].clusters == 20
        assert (found[name,].low, found[name,].high) == pytest.approx((low, high), abs=0.02)
        assert found[name,].se == pytest.approx(replicates.std(), rel=0.1)


def test_without_spread_each_cluster_is_one_trial():
    found = numbers(table(["aaaaaaaa"] * 10, clusters=["x", "y"] * 5))
    assert (found["C",].method, found["C",].clusters) == ("wilson", 2)
    assert found["C",].low < 0.5
    assert found["Ret",].method == "none"


def test_the_order_of_rows_does_not_matter():
    made = table(["aabaabab", "bbbbbbbb", "abababab"])
    assert numbers(made) == numbers(replace(made, rows=made.rows[::-1]))


def test_an_empty_table_has_no_values():
    found = numbers(Table("demo", {"blur": KERNELS}, ()))
    assert {e.value for e in found.values()} == {None}
    assert {e.n for e in found.values()} == {0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": "blurr"}, "factor 'blurr'.*did you mean blur"),
        ({"factor": "blur", "terminal": ("grey",)}, "level 'grey'"),
        ({"factor": "blur", "baseline": 7}, "level 7"),
        ({"factor": "blur", "orders": "order"}, "factor 'order'"),
        ({"factor": "blur", "terminal": (1,)}, "baseline is terminal"),
        ({"factor": "blur", "by": ("blur",)}, "names the factor"),
        ({"factor": "blur", "terminal": KERNELS[1:]}, "not terminal"),
    ],
)
def test_wrong_options_are_found_without_rows(options, message):
    with pytest.raises(TaskError, match=message):
        Decay(**options)(Table("demo", {"blur": KERNELS}, ()))


def test_another_parsers_answers_have_their_own_names():
    made = table(["ab", "aa"], levels=(1, 61))
    rows = tuple(
        replace(row, literal="z", scores={**row.scores, "accuracy_literal": 0.0})
        for row in made.rows
    )
    found = values(replace(made, rows=rows), score="accuracy_literal")
    assert (found["C_literal",], found["Acc_literal", 1]) == (1.0, 0.0)
    assert ("C",) not in found


def counted(made, tokens):
    """The table with a number of image tokens for each sample and level."""
    rows = []
    for row in made.rows:
        sample, level = int(row.sample_id[1:]), made.factors["blur"].index(row.condition["blur"])
        rows.append(replace(row, image_tokens=tokens[sample][level]))
    return replace(made, rows=tuple(rows))


def test_a_decay_that_changes_the_number_of_image_tokens_is_told():
    made = table(["aaa", "aab", "aaa", "aa" + "a"], levels=(1, 5, "none"))
    same = counted(made, [[16, 16, 0]] * 4)
    found = numbers(same, terminal=("none",))["image_tokens_changed",]
    assert (found.value, found.n, found.lower_is_better) == (0.0, 4, True)
    changed = counted(made, [[16, 16, 0], [16, 12, 0], [16, 16, 0], [None, 16, 0]])
    found = numbers(changed, terminal=("none",))["image_tokens_changed",]
    assert (found.value, found.n) == (pytest.approx(1 / 3), 3)
    assert ("image_tokens_changed",) not in numbers(made, terminal=("none",))
