import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.table import METRICS
from vlm_eval.stats.permutation import mcnemar_exact
from vlm_eval.stats.results import Comparison, Estimate

FACTORS = {"config": ("base", "flip", "alias", "flip_alias")}


def measure(table, **options):
    return build(METRICS, {"name": "prior_bias", "factor": "config", **options}, where=None)(table)


def samples(**topics):
    """Three rows, of two objects, a topic: right is 5, known is 4."""
    return [
        {
            "id": f"{topic}{i}",
            "cluster": f"{topic}-{i // 2}",
            "topic": topic,
            "bias": "4",
            **changes,
        }
        for topic, changes in topics.items()
        for i in range(3)
    ]


ANSWERS = {  # base, flip, alias, flip_alias
    "Flags0": "4455", "Flags1": "4445", "Flags2": "4454",
    "Logos0": "5555", "Logos1": "4?94", "Logos2": "4455",
}  # fmt: skip


def said(trial):
    mark = ANSWERS[trial["id"]][FACTORS["config"].index(trial["config"])]
    return None if mark == "?" else mark


@pytest.fixture
def table(make_table):
    return make_table(samples(Flags={}, Logos={}), FACTORS, said, gold=lambda _: "5", chance=None)


def estimates(results):
    return {
        (e.name, e.where["config"], e.where.get("topic")): e
        for e in results
        if isinstance(e, Estimate)
    }


def test_accuracy_and_bias_of_every_level_over_rows_by_topic_and_over_topics(table):
    found = {key: e.value for key, e in estimates(measure(table)).items()}
    assert found["accuracy", "base", None] == pytest.approx(1 / 6)
    assert found["bias", "base", None] == pytest.approx(5 / 6)
    assert found["accuracy", "flip", None] == pytest.approx(1 / 6)
    assert found["bias", "flip", None] == pytest.approx(4 / 6)  # the unparsed answer is neither
    assert found["accuracy", "alias", None] == pytest.approx(4 / 6)
    assert found["bias", "alias", "Flags"] == pytest.approx(1 / 3)
    assert found["bias", "alias", "Logos"] == 0
    assert found["accuracy", "flip_alias", "Flags"] == pytest.approx(2 / 3)
    assert found["accuracy_macro", "base", None] == pytest.approx((0 + 1 / 3) / 2)
    assert found["bias_macro", "flip", None] == pytest.approx((1 + 1 / 3) / 2)


def test_the_overall_number_is_over_rows_and_not_over_topics(make_table):
    rows = [*samples(Flags={}), *samples(Logos={})[:1]]
    made = make_table(rows, FACTORS, lambda t: "5" if t["topic"] == "Logos" else "4",
                      gold=lambda _: "5")  # fmt: skip
    found = {key: e.value for key, e in estimates(measure(made)).items()}
    assert found["accuracy", "base", None] == 1 / 4
    assert found["accuracy_macro", "base", None] == 1 / 2


def test_bias_is_better_low_and_clusters_are_objects(table):
    found = estimates(measure(table))
    assert found["bias", "base", None].lower_is_better
    assert not found["accuracy", "base", None].lower_is_better
    assert (found["bias", "base", None].n, found["bias", "base", None].clusters) == (6, 4)
    assert all(e.low is not None for key, e in found.items() if key[2] is None)


def test_each_level_is_compared_with_the_base_by_cluster_and_by_row(table):
    found = {
        (c.name, c.level): c for c in measure(table) if isinstance(c, Comparison) and not c.where
    }
    assert set(found) == {
        (name + test, level)
        for name in ("accuracy", "bias")
        for test in ("", "_mcnemar")
        for level in FACTORS["config"][1:]
    }
    alias = found["accuracy", "alias"]
    assert (alias.baseline, alias.difference, alias.n_clusters) == ("base", pytest.approx(0.5), 4)
    assert (alias.p_method, alias.family) == ("sign_flip", 3)
    rows = found["accuracy_mcnemar", "alias"]
    assert (rows.p, rows.p_method) == (mcnemar_exact(0, 3), "mcnemar_exact_rows")
    bias = found["bias", "alias"]  # 4 -> 5, 4, 5, -, 9, 5
    assert (bias.right_to_wrong, bias.wrong_to_right) == (0, 4)  # 0 is right
    assert found["bias", "flip"].parse_failures_level == 1


def test_the_papers_parser_has_scores_of_its_own(table):
    from dataclasses import replace

    rows = tuple(
        replace(row, literal="4", scores={**row.scores, "accuracy_literal": 0.0})
        for row in table.rows
    )
    found = estimates(measure(replace(table, rows=rows), score="accuracy_literal"))
    assert {key[0] for key in found} == {
        "accuracy_literal", "accuracy_literal_macro", "bias_literal", "bias_literal_macro",
    }  # fmt: skip
    assert found["bias_literal", "flip", None].value == 1


def test_rows_without_a_known_answer_have_no_bias(make_table):
    made = make_table(samples(Flags={}, Logos={"bias": None}), FACTORS, said, gold=lambda _: "5")
    found = estimates(measure(made))
    assert found["bias", "base", None].n == 3
    assert found["accuracy", "base", None].n == 6


def test_failures_drop_their_pairs(make_table):
    def fails(trial):
        if trial["id"] == "Flags0" and trial["config"] == "flip":
            raise KeyError
        return said(trial)

    made = make_table(samples(Flags={}, Logos={}), FACTORS, fails, gold=lambda _: "5")
    found = {
        (c.name, c.level): c for c in measure(made) if isinstance(c, Comparison) and not c.where
    }
    for name in ("accuracy", "bias"):
        assert (found[name, "flip"].n_pairs, found[name, "flip"].dropped["failed"]) == (5, 1)
        assert found[name, "alias"].n_pairs == 6


def test_an_empty_table_has_no_values_and_a_wrong_factor_is_an_error(make_table):
    empty = make_table([], FACTORS, said)
    assert all(e.value is None for e in estimates(measure(empty)).values())
    with pytest.raises(TaskError, match="'configuration'"):
        measure(empty, factor="configuration")
