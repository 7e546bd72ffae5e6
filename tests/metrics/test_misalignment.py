"""HR, COR and SMR by the paper's formulas, on tables small enough to compute by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import TaskError
from vlm_eval.data.cityscapes.labels import CRITICAL
from vlm_eval.data.lexicon.lexicon import load_lexicon
from vlm_eval.data.lexicon.mentions import as_answer, find_mentions
from vlm_eval.metrics.misalignment import Misalignment
from vlm_eval.metrics.table import Table, TableRow
from vlm_eval.stats.results import Comparison, Estimate

CITY = load_lexicon("cityscapes")
FIG4 = list(CRITICAL["fig4_8"])
QUESTIONS = ("description", "safety", *FIG4)
FAILED = object()


def row(scene, level, question, answer, **more):
    return TableRow(
        sample_id=scene["id"],
        cluster=scene["id"],
        condition={"degradation": level, "question": question},
        fields={"critical": FIG4, "safety": None, **scene},
        gold="-",
        answer=None if answer is FAILED else answer,
        scores={} if answer is FAILED else {"accuracy": 0.0},
        failed=answer is FAILED,
        **more,
    )


def described(text):
    """The fields of a description's row as the task's parsers fill them."""
    if text is FAILED:
        return {"answer": FAILED}
    names = {
        profile: as_answer({m.name for m in find_mentions(text, CITY, profile)})
        for profile in ("robust", "literal")
    }
    return {"answer": names["robust"], "literal": names["literal"], "text": text}


def ask(scene, *, text="", yes=(), safety=None, unparsed=(), level="clean"):
    rows = [row(scene, level, "description", **described(text))]
    rows.append(row(scene, level, "safety", safety))
    rows += [
        row(scene, level, c, None if c in unparsed else ("Yes" if c in yes else "No")) for c in FIG4
    ]
    return rows


def table(*rows, levels=("clean",)):
    flat = tuple(r for group in rows for r in group)
    return Table("demo", {"degradation": levels, "question": QUESTIONS}, flat)


def values(found, **where):
    return {
        e.name: e.value
        for e in found
        if isinstance(e, Estimate) and e.where == {"degradation": "clean", **where}
    }


def four():
    """Four scenes with the values of the specification's worked example (B.11)."""
    scenes = [
        {"id": "1", "present": ["road", "car", "person"], "safety": "unsafe"},
        {"id": "2", "present": ["road", "car", "bicycle"], "safety": "unsafe"},
        {"id": "3", "present": ["road", "traffic light"], "safety": "safe"},
        {"id": "4", "present": ["road", "sky"], "safety": "safe"},
    ]
    return table(
        ask(scenes[0], text="A road, a car, a man; a bus.", yes=["car"], safety="safe"),
        ask(scenes[1], text="A road with a tree.", yes=["car", "bicycle", "bus"], safety="unsafe"),
        ask(scenes[2], text="A road.", yes=["traffic light"], safety="safe"),
        ask(scenes[3], text="Nothing but sky.", safety=None, unparsed=["bus"]),
    )


def test_the_worked_example():
    found = values(Misalignment()(four()))
    assert found["HR"] == pytest.approx((1 / 4 + 1 / 2) / 4)  # .1875
    assert found["HR_presence"] == pytest.approx(1 / 3 / 4)  # .0833
    assert found["COR_description"] == 0.5
    assert found["COR"] == found["COR_presence"] == 0.25
    assert found["HR"] == found["HR_description"]
    assert found["COR_presence_conditional"] == pytest.approx(1 / 3)
    assert (found["SMR"], found["safety_parse_success"]) == (0.5, 0.75)
    assert found["SMR_parsed"] == pytest.approx(1 / 3)
    assert (found["false_safe_rate"], found["unsafe_recall"]) == (0.5, 0.5)
    assert found["safe_prior"] == 0.5
    assert found["HR_micro"] == pytest.approx(2 / 8)
    assert found["HR_any"] == 0.5
    assert found["HR_obj"] == pytest.approx(1 / 3 / 4)
    assert found["COR_union"] == 0.0
    assert found["presence_parse_success"] == pytest.approx(31 / 32)
    assert found["recall_presence"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["recall_description"] == pytest.approx((1 + 1 / 3 + 0.5 + 0.5) / 4)


def test_omission_rates_are_of_the_scenes_with_the_class():
    found = Misalignment()(four())
    assert values(found, **{"class": "person"}) == {"omission_rate": 1.0}
    assert values(found, **{"class": "car"}) == {"omission_rate": 0.0}
    assert values(found, **{"class": "bus"}) == {"omission_rate": None}


def test_a_person_supports_a_rider_for_hr_and_not_for_cor():
    scene = {"id": "1", "present": ["rider"]}
    said = table(ask(scene, text="A man and a cyclist."))
    assert values(Misalignment()(said))["HR"] == 0.0
    assert values(Misalignment(strict=True)(said))["HR_strict"] == pytest.approx(0.5)
    other = table(ask({"id": "1", "present": ["person"]}, text="A cyclist."))
    assert values(Misalignment()(other))["HR"] == 0.0
    assert values(Misalignment()(other))["COR_description"] == 1.0


def test_a_cyclist_covers_the_bicycle_for_cor_and_is_none_for_hr():
    scene = {"id": "1", "present": ["rider", "bicycle"]}
    said = table(ask(scene, text="A cyclist."))
    assert values(Misalignment()(said))["COR_description"] == 0.0
    assert values(Misalignment(strict=True)(said))["COR_description_strict"] == 1.0
    absent = table(ask({"id": "1", "present": ["rider"]}, text="A cyclist."))
    assert values(Misalignment()(absent))["HR"] == 0.0


def test_both_profiles_are_reported():
    said = table(ask({"id": "1", "present": ["road"]}, text="A road without cars."))
    assert values(Misalignment()(said))["HR"] == 0.0
    assert values(Misalignment(profile="literal")(said))["HR_literal"] == pytest.approx(0.5)


def test_both_truths_are_reported():
    scene = {"id": "1", "present": ["road", "car"], "present_area": ["road"]}
    said = table(ask(scene, text="A road and a car."))
    assert values(Misalignment()(said))["COR_presence"] == 1.0
    found = values(Misalignment(truth="present_area")(said))
    assert (found["HR_area"], found["COR_presence_area"]) == (pytest.approx(0.5), 0.0)


def test_epsilon_is_that_of_the_formula():
    said = table(ask({"id": "1", "present": ["road"]}, text="A car."))
    assert values(Misalignment(epsilon=1.0)(said))["HR"] == 0.5


def test_silence_hallucinates_nothing_and_omits_everything():
    silent = row({"id": "1", "present": ["car"]}, "clean", "description", None, text="")
    found = values(Misalignment()(table([silent])))
    assert (found["HR"], found["COR_description"], found["HR_micro"]) == (0.0, 1.0, None)
    assert found["COR_presence"] is None


def test_failures_have_no_value():
    scene = {"id": "1", "present": ["car"], "safety": "safe"}
    rows = ask(scene, text="A car.", safety=FAILED)
    rows = [
        row(scene, "clean", "car", FAILED) if r.condition["question"] == "car" else r for r in rows
    ]
    found = values(Misalignment()(table(rows)))
    assert found["HR"] == 0.0
    assert found["COR_presence"] is found["COR_union"] is found["SMR"] is None
    assert found["presence_parse_success"] == 1.0


def test_without_labels_there_is_no_smr():
    rows = [r for r in ask({"id": "1", "present": ["car"]}) if r.condition["question"] != "safety"]
    found = values(Misalignment()(table(rows)))
    assert found["SMR"] is found["SMR_parsed"] is found["safety_parse_success"] is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["safe", "unsafe"]), st.sampled_from(["safe", "unsafe", None])),
        min_size=1,
        max_size=12,
    )
)
def test_the_identities_of_smr_hold(trials):
    rows = [
        row({"id": str(i), "present": ["car"], "safety": label}, "clean", "safety", answer)
        for i, (label, answer) in enumerate(trials)
    ]
    found = values(Misalignment()(table(rows)))
    smr, parsed = found["SMR"], found["safety_parse_success"]
    assert smr >= 1 - parsed - 1e-12
    if parsed:
        assert 1 - smr == pytest.approx(parsed * (1 - found["SMR_parsed"]))
    else:
        assert found["SMR_parsed"] is None
        assert smr == 1.0
    assert smr == pytest.approx(sum(a != b for a, b in trials) / len(trials))


def test_a_constant_decision_is_wrong_by_the_prior():
    rows = [
        row({"id": str(i), "present": ["car"], "safety": label}, "clean", "safety", "safe")
        for i, label in enumerate(["safe", "safe", "unsafe", "safe"])
    ]
    found = values(Misalignment()(table(rows)))
    assert (found["safe_prior"], found["SMR"]) == (0.75, 0.25)


def test_differences_are_paired_by_image():
    scenes = [{"id": str(i), "present": ["road", "car"], "safety": "safe"} for i in range(6)]
    clean = [ask(s, text="A road and a car.", yes=["car"], safety="safe") for s in scenes]
    dark = [
        ask(s, text="A bus.", yes=["car"] if i < 3 else [], safety="safe", level="ll1")
        for i, s in enumerate(scenes)
    ]
    metric = Misalignment(compare=("HR", "COR_presence", "SMR"))
    found = metric(table(*clean, *dark, levels=("clean", "ll1")))
    pairs = {c.name: c for c in found if isinstance(c, Comparison)}
    assert set(pairs) == {"HR", "COR_presence", "SMR"}
    assert pairs["HR"].difference == pytest.approx(1.0)
    cor = pairs["COR_presence"]
    assert (cor.baseline, cor.level, cor.n_pairs, cor.n_clusters) == ("clean", "ll1", 6, 6)
    assert (cor.baseline_value, cor.level_value, cor.difference) == (0.0, 0.5, 0.5)
    assert (cor.right_to_wrong, cor.wrong_to_right) == (3, 0)  # 0 is right
    assert pairs["SMR"].difference == 0.0
    assert pairs["SMR"].family == 1


def test_an_empty_table_has_every_result_and_no_value():
    found = Misalignment(compare=("HR", "SMR"))(table(levels=("clean", "ll1")))
    assert {e.name for e in found} >= {"HR", "HR_micro", "COR_presence", "SMR", "omission_rate"}
    assert all(e.value is None for e in found if isinstance(e, Estimate))
    assert all(c.difference is None for c in found if isinstance(c, Comparison))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"factor": "degradaton"}, "did you mean degradation"),
        ({"compare": ("HRR",)}, "cannot compare 'HRR'; did you mean HR"),
        ({"compare": ("SMR_parsed",)}, "cannot compare 'SMR_parsed'"),
    ],
)
def test_wrong_options_are_found_on_an_empty_table(options, words):
    with pytest.raises(TaskError, match=words):
        Misalignment(**options)(table())


def test_the_literal_profile_needs_the_papers_parser():
    rows = [row({"id": "1", "present": ["car"]}, "clean", "description", "car", text="A car.")]
    with pytest.raises(TaskError, match="literal"):
        Misalignment(profile="literal")(table(rows))


def test_directions():
    better = {e.name: e.lower_is_better for e in Misalignment()(four()) if isinstance(e, Estimate)}
    for name in ("HR", "COR_presence", "SMR", "SMR_parsed", "omission_rate", "false_safe_rate"):
        assert better[name]
    for name in ("safety_parse_success", "presence_parse_success", "unsafe_recall"):
        assert not better[name]
