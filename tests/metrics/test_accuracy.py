from dataclasses import replace

import pytest

from vlm_eval.core.errors import DataError, TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.accuracy import Accuracy, ParseFailures
from vlm_eval.metrics.table import METRICS
from vlm_eval.stats.clusters import Clusters
from vlm_eval.stats.mean import clustered_mean

SAMPLES = [
    {"id": f"s{i}", "cluster": f"c{i // 2}", "game": "x" if i < 6 else "y"} for i in range(8)
]
FACTORS = {"blur": (0, 5), "order": ("ab",)}


def answers(trial):
    number = int(trial["id"][1:])
    if trial["blur"] == 5 and number == 3:
        raise KeyError
    if trial["blur"] == 5 and number in {0, 1, 2}:
        return None
    return "wrong" if number == 7 else "right"


@pytest.fixture
def table(make_table):
    return make_table(SAMPLES, FACTORS, answers)


def places(results):
    return {tuple(result.where.items()): result for result in results}


def test_accuracy_overall_by_level_and_by_slice(table) -> None:
    found = places(Accuracy(by=("game",))(table))
    assert [list(place) for place in found] == [
        [],
        [("blur", 0)],
        [("blur", 5)],
        [("game", "x")],
        [("game", "x"), ("blur", 0)],
        [("game", "x"), ("blur", 5)],
        [("game", "y")],
        [("game", "y"), ("blur", 0)],
        [("game", "y"), ("blur", 5)],
    ]
    assert {result.name for result in found.values()} == {"accuracy"}
    assert found[()].value == pytest.approx(10 / 15)
    assert (found[()].n, found[()].clusters) == (15, 4)
    assert found[("blur", 0),].value == pytest.approx(7 / 8)
    # Three unparsed answers are wrong, one failed trial is not in the mean.
    assert found[("blur", 5),].value == pytest.approx(3 / 7)
    assert found[("game", "y"), ("blur", 5)].value == pytest.approx(1 / 2)


def test_errors_are_clustered(table) -> None:
    overall = Accuracy()(table)[0]
    rows = [row for row in table.rows if not row.failed]
    scores = [row.scores["accuracy"] for row in rows]
    expected = clustered_mean(scores, Clusters.of(row.cluster for row in rows))
    assert (overall.se, overall.low, overall.high) == (expected.se, expected.low, expected.high)
    assert overall.method == "student_t"


def test_another_score(table) -> None:
    rows = [replace(row, scores={**row.scores, "accuracy_literal": 1.0}) for row in table.rows]
    result = Accuracy(score="accuracy_literal")(replace(table, rows=tuple(rows)))[0]
    assert (result.name, result.value) == ("accuracy_literal", 1.0)


def test_a_level_that_a_slice_lacks_by_design_is_no_row_of_dashes(table) -> None:
    rows = tuple(r for r in table.rows if r.fields["game"] == "x" or r.condition["blur"] == 0)
    found = places(Accuracy(by=("game",))(replace(table, rows=rows)))
    assert (("game", "y"), ("blur", 0)) in found
    assert (("game", "y"), ("blur", 5)) not in found


def test_an_empty_table_gives_unknown_values(table) -> None:
    empty = replace(table, rows=())
    for metric in (Accuracy(by=("game",)), ParseFailures()):
        results = metric(empty)
        assert results
        assert {(r.value, r.se, r.low, r.n) for r in results} == {(None, None, None, 0)}


def test_parse_failures_are_counted_by_condition(table) -> None:
    found = places(ParseFailures()(table))
    assert set(found) == {(), (("blur", 0),), (("blur", 5),)}
    assert {result.name for result in found.values()} == {"parse_failures"}
    blurred = found[("blur", 5),]
    assert blurred.value == pytest.approx(3 / 7)
    assert (round(blurred.value * blurred.n), blurred.n) == (3, 7)
    assert found[("blur", 0),].value == 0.0
    assert all(result.lower_is_better for result in found.values())


def test_no_parse_failure_is_not_certainty(table) -> None:
    sharp = places(ParseFailures()(table))[("blur", 0),]
    assert (sharp.low, sharp.method) == (0.0, "wilson")
    assert sharp.high > 0.2


def test_parse_failures_by_every_condition_and_slice(make_table) -> None:
    table = make_table(SAMPLES, {"a": (0, 1), "b": (0, 1)}, lambda _: None)
    found = places(ParseFailures(by=("game",))(table))
    crossed = [(("a", a), ("b", b)) for a in (0, 1) for b in (0, 1)]
    assert list(found) == [(), (("game", "x"),), (("game", "y"),), *crossed]
    assert {result.value for result in found.values()} == {1.0}


def test_parse_failures_of_the_papers_own_parser(table) -> None:
    rows = [
        replace(
            row, scores={"accuracy": 1.0, "accuracy_literal": 0.0}, answer="right", literal=None
        )
        for row in table.rows
    ]
    table = replace(table, rows=tuple(rows))
    assert ParseFailures()(table)[0].value == 0.0
    literal = ParseFailures(score="accuracy_literal")(table)[0]
    assert (literal.name, literal.value) == ("parse_failures_literal", 1.0)


def test_a_question_counts_once(table) -> None:
    doubled = replace(table, rows=table.rows * 2)
    for metric in (Accuracy(), ParseFailures()):
        with pytest.raises(DataError, match="two trials"):
            metric(doubled)


def test_wrong_options_are_named(table) -> None:
    with pytest.raises(TaskError, match="did you mean by"):
        build(METRICS, {"name": "accuracy", "bye": ["game"]}, where="t.yaml")
    with pytest.raises(TaskError, match="did you mean game"):
        build(METRICS, {"name": "accuracy", "by": ["gane"]}, where=None)(table)
    with pytest.raises(TaskError, match="did you mean accuracy"):
        build(METRICS, {"name": "parse_failures", "score": "acuracy"}, where=None)(table)


def test_options_come_from_yaml_lists(table) -> None:
    metric = build(METRICS, {"name": "accuracy", "by": ["game", ["game", "blur"]]}, where=None)
    assert metric == Accuracy(by=("game", ("game", "blur")))
    assert len(metric(table)) == 3 + 6 + 4
