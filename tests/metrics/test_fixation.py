"""Boards with two players, of whom P made the line: the salient one."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from vlm_eval.core.errors import TaskError
from vlm_eval.core.options import build
from vlm_eval.metrics.fixation import Fixation, VersusBase
from vlm_eval.metrics.paired import PairedDifference
from vlm_eval.metrics.table import METRICS
from vlm_eval.stats.intervals import bonett_price
from vlm_eval.stats.multiplicity import holm
from vlm_eval.stats.permutation import mcnemar_exact

RULES, TARGETS, ORDERS = ("standard", "inverse"), ("winner", "loser"), ("image_first", "text_first")
FACTORS = {"rule": RULES, "target": TARGETS, "order": ORDERS}
BOARDS = [
    {"id": f"{game}-{state}", "game": game, "state": state, "salient": "P"}
    for game, states in (("connect4", 10), ("reversi", 16))
    for state in range(states)
]


def gold(trial):
    return "P" if (trial["rule"] == "standard") == (trial["target"] == "winner") else "Q"


def other(player):
    return "Q" if player == "P" else "P"


MODELS = {
    "perfect": gold,
    "fixated": lambda trial: gold({**trial, "rule": "standard"}),
    "always salient": lambda _: "P",
    "contrary": lambda trial: other(gold(trial)),
    "mute": lambda _: None,
}


@pytest.fixture
def play(make_table):
    def play(model, boards=BOARDS, factors=FACTORS, **options):
        return make_table(boards, factors, model, gold=gold, **options)

    return play


def random_model(seed, unparsed=0.0):
    def answer(trial):
        rng = np.random.default_rng([seed, *map(ord, str(sorted(trial.items())))])
        if rng.random() < unparsed:
            return None
        skill = 0.85 if trial["rule"] == "standard" else 0.4
        return gold(trial) if rng.random() < skill else other(gold(trial))

    return answer


def numbers(results):
    return {(r.name, *r.where.items()): r for r in results}


@pytest.mark.parametrize(
    ("model", "standard", "inverse", "gap", "bias", "sensitivity"),
    [
        ("perfect", 1, 1, 0, 0, 1),
        ("fixated", 1, 0, 1, 0, 0),
        ("always salient", 0.5, 0.5, 0, 0.5, 0),
        ("contrary", 0, 0, 0, 0, -1),
        ("mute", 0, 0, 0, 0, -1),
    ],
)
def test_pure_strategies(play, model, standard, inverse, gap, bias, sensitivity) -> None:
    found = numbers(Fixation()(play(MODELS[model])))
    assert found["accuracy_macro", ("rule", "standard")].value == standard
    assert found["accuracy_macro", ("rule", "inverse")].value == inverse
    assert found["fixation_gap",].value == gap
    assert found["salience_bias",].value == bias
    assert found["rule_sensitivity",].value == sensitivity
    for name in ("fixation_gap", "salience_bias", "rule_sensitivity"):
        result = found[name,]
        assert result.signed
        assert result.low < result.high
        assert result.low <= result.value <= result.high


def test_winner_only_gap_tells_fixation_from_naming_the_salient_player(play) -> None:
    """50/50 with gap 0 over both targets, 100/0 asked for the winner."""
    found = numbers(Fixation()(play(MODELS["always salient"])))
    assert found["fixation_gap",].value == 0
    assert found["fixation_gap", ("target", "winner")].value == 1
    assert found["fixation_gap", ("target", "loser")].value == -1
    assert found["fixation_gap", ("target", "winner"), ("order", "image_first")].value == 1
    cell = found["accuracy", ("game", "reversi"), ("rule", "inverse"), ("target", "loser")]
    assert (cell.value, cell.n) == (1.0, 32)


def test_api_style_gap_is_the_gap_of_a_winner_only_image_first_task(play) -> None:
    whole = numbers(Fixation()(play(random_model(1))))
    factors = {"rule": RULES, "target": ("winner",), "order": ("image_first",)}
    alone = numbers(Fixation()(play(random_model(1), factors=factors)))
    sliced = whole["fixation_gap", ("target", "winner"), ("order", "image_first")]
    assert replace(sliced, where={}) == alone["fixation_gap",]
    assert not [key for key in alone if ("target", "winner") in key]


def test_identities_of_the_spec(play) -> None:
    table = play(random_model(2))
    found = numbers(Fixation()(table))
    for game in ("connect4", "reversi"):
        a = {
            (rule, target): found[
                "names_salient", ("game", game), ("rule", rule), ("target", target)
            ].value
            for rule, target in itertools.product(RULES, TARGETS)
        }
        rows = [row for row in table.rows if row.fields["game"] == game]
        for rule, target in a:
            cell = [
                row for row in rows if (row.value("rule"), row.value("target")) == (rule, target)
            ]
            assert a[rule, target] == pytest.approx(np.mean([row.answer == "P" for row in cell]))
        standard = (a["standard", "winner"] + 1 - a["standard", "loser"]) / 2
        inverse = (1 - a["inverse", "winner"] + a["inverse", "loser"]) / 2
        place = ("game", game)
        assert found["accuracy", place, ("rule", "standard")].value == pytest.approx(standard)
        assert found["accuracy", place, ("rule", "inverse")].value == pytest.approx(inverse)
        gap = (
            a["standard", "winner"]
            - a["standard", "loser"]
            + a["inverse", "winner"]
            - a["inverse", "loser"]
        ) / 2
        assert found["fixation_gap", place].value == pytest.approx(gap)
        assert found["fixation_gap", place].value == pytest.approx(standard - inverse)
        bias = found["salience_bias", place].value
        assert bias == pytest.approx(sum(a.values()) / 4 - 0.5)
        assert found["rule_sensitivity", place].value == pytest.approx(standard + inverse - 1)


def test_gap_is_the_paired_difference_with_the_papers_sign(play) -> None:
    table = play(random_model(3))
    found = numbers(Fixation()(table))
    paired = {
        tuple(c.where.items()): c for c in PairedDifference(factor="rule", by=("game",))(table)
    }
    for game in ("connect4", "reversi"):
        gap, difference = found["fixation_gap", ("game", game)], paired[("game", game),]
        assert gap.value == pytest.approx(-difference.difference)
        assert gap.se == pytest.approx(difference.se)
        assert (gap.low, gap.high) == pytest.approx((-difference.high, -difference.low))
        assert (gap.n, gap.clusters) == (difference.n_pairs, difference.n_clusters)
        assert gap.method == "student_t"
    assert gap.lower_is_better


def test_mean_over_games_is_unweighted_with_errors_in_quadrature(play) -> None:
    found = numbers(Fixation()(play(random_model(4))))
    for name in ("fixation_gap", "salience_bias", "rule_sensitivity"):
        games = [found[name, ("game", game)] for game in ("connect4", "reversi")]
        macro = found[name,]
        assert macro.value == pytest.approx(sum(game.value for game in games) / 2)
        assert macro.se == pytest.approx(math.hypot(*(game.se for game in games)) / 2)
        assert (macro.method, macro.clusters) == ("mover", 26)
        assert macro.n == sum(game.n for game in games)


def test_one_game_needs_no_mean_over_games(play) -> None:
    boards = [board for board in BOARDS if board["game"] == "reversi"]
    found = numbers(Fixation()(play(random_model(5), boards)))
    game = found["fixation_gap", ("game", "reversi")]
    assert found["fixation_gap",] == replace(game, where={})


def test_games_that_share_clusters_have_no_error_of_their_mean(play) -> None:
    boards = [{**board, "cluster": board["state"]} for board in BOARDS]
    found = numbers(Fixation()(play(random_model(6), boards)))
    assert found["fixation_gap", ("game", "reversi")].se is not None
    macro = found["fixation_gap",]
    assert (macro.se, macro.low, macro.method) == (None, None, "none")
    assert macro.value is not None


def test_perfect_fixation_is_not_certain(play) -> None:
    found = numbers(Fixation()(play(MODELS["fixated"])))
    gap = found["fixation_gap", ("game", "connect4")]
    assert (gap.value, gap.se) == (1.0, 0.0)
    assert (gap.low, gap.high, gap.method) == bonett_price(0, 10, 10)


def test_an_unparsed_answer_names_neither_player(play) -> None:
    def shy(trial):
        return None if trial["state"] % 2 else "P"

    found = numbers(Fixation()(play(shy)))
    assert found["salience_bias",].value == pytest.approx(0.25)
    assert found["accuracy_macro", ("rule", "standard")].value == pytest.approx(0.25)


def test_a_failed_trial_drops_its_pair_from_gap_bias_and_sensitivity(play) -> None:
    def failing(trial):
        if trial["rule"] == "inverse" and trial["state"] == 0:
            raise KeyError
        return gold(trial)

    found = numbers(Fixation()(play(failing)))
    place = ("game", "connect4")
    assert (found["fixation_gap", place].n, found["fixation_gap", place].clusters) == (36, 9)
    assert found["rule_sensitivity", place].n == 36
    assert found["salience_bias", place].n == 72
    assert found["accuracy", place, ("rule", "standard")].n == 40
    assert found["accuracy", place, ("rule", "inverse")].n == 36


def test_prompt_variants_are_never_pooled(play) -> None:
    def model(trial):
        return (MODELS["fixated"] if trial["prompt_variant"] == "base" else gold)(trial)

    factors = {**FACTORS, "prompt_variant": ("base", "alias"), "render": ("canonical",)}
    found = numbers(Fixation()(play(model, factors=factors)))
    assert found["fixation_gap", ("prompt_variant", "base")].value == 1
    assert found["fixation_gap", ("prompt_variant", "alias")].value == 0
    assert found["fixation_gap", ("prompt_variant", "alias"), ("game", "reversi")].value == 0
    assert all(key[1][0] == "prompt_variant" for key in found)


def test_salience_is_read_under_the_rows_own_rendering(make_table) -> None:
    """A glyph rendering renames the players, so the salient label differs between conditions."""
    factors = {"rule": RULES, "target": TARGETS, "order": ORDERS, "render": ("canonical", "glyph")}
    table = make_table(
        BOARDS, factors, lambda t: "P" if t["render"] == "canonical" else "K", gold=gold
    )
    rows = tuple(
        replace(row, fields={**row.fields, "salient": "K"})
        if row.value("render") == "glyph"
        else row
        for row in table.rows
    )
    found = numbers(Fixation()(replace(table, rows=rows)))
    assert found["salience_bias", ("render", "canonical")].value == 0.5
    assert found["salience_bias", ("render", "glyph")].value == 0.5


def test_the_papers_own_parser(play) -> None:
    table = play(MODELS["perfect"])
    rows = tuple(
        replace(row, literal="P", scores={**row.scores, "accuracy_literal": float(row.gold == "P")})
        for row in table.rows
    )
    found = numbers(Fixation(score="accuracy_literal")(replace(table, rows=rows)))
    assert found["salience_bias_literal",].value == 0.5
    assert found["accuracy_literal_macro", ("rule", "standard")].value == 0.5
    assert all(name[0].endswith("_literal") or "accuracy_literal" in name[0] for name in found)


def test_boards_without_a_salient_player_have_no_bias(play) -> None:
    boards = [{key: board[key] for key in ("id", "game", "state")} for board in BOARDS]
    found = numbers(Fixation()(play(MODELS["perfect"], boards)))
    assert found["salience_bias",].value is None
    assert found["fixation_gap",].value == 0


def test_row_order_does_not_matter(play) -> None:
    table = play(random_model(7, unparsed=0.1))
    results = Fixation()(table)
    assert Fixation()(replace(table, rows=table.rows[::-1])) == results


def test_an_empty_table_gives_unknown_values(play) -> None:
    empty = replace(play(MODELS["perfect"]), rows=())
    for metric in (Fixation(), VersusBase(factor="order")):
        results = metric(empty)
        assert results
    assert {(r.value, r.se, r.low) for r in Fixation()(empty)} == {(None, None, None)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "fixation", "game": "gaem"}, "did you mean game"),
        ({"name": "fixation", "score": "acuracy"}, "did you mean accuracy"),
        ({"name": "versus_base", "factor": "ordr"}, "did you mean order"),
        ({"name": "versus_base", "factor": "order", "within": "rle"}, "did you mean rule"),
        ({"name": "versus_base", "factor": "rule"}, "cannot be broken down by it"),
    ],
)
def test_wrong_options_are_named(play, options, message) -> None:
    with pytest.raises(TaskError, match=message):
        build(METRICS, options, where="t.yaml")(play(MODELS["perfect"]))


def test_fixation_needs_both_rules(play) -> None:
    table = play(MODELS["perfect"], factors={"rule": ("standard",), "target": TARGETS})
    with pytest.raises(TaskError, match="'inverse' of 'rule'"):
        Fixation()(table)


# Versus base

VARIANTS = ("base", "alias", "semalias")


@pytest.fixture
def variants(play):
    def model(trial):
        worse = {"base": 0, "alias": 3, "semalias": 5}[trial["prompt_variant"]]
        return other(gold(trial)) if trial["state"] < worse else gold(trial)

    return play(model, factors={**FACTORS, "prompt_variant": VARIANTS})


def test_versus_base_gives_both_p_values_by_name(variants) -> None:
    results = VersusBase(factor="prompt_variant")(variants)
    found = {(c.name, c.where["rule"], c.level): c for c in results}
    assert len(results) == len(found) == 8
    for rule in RULES:
        rows = found["accuracy_versus_base_mcnemar", rule, "alias"]
        boards = found["accuracy_versus_base", rule, "alias"]
        assert (rows.right_to_wrong, rows.wrong_to_right, rows.n_pairs) == (24, 0, 104)
        assert rows.p == pytest.approx(mcnemar_exact(24, 0))
        assert rows.p == pytest.approx(2 * 0.5**24)
        # Six boards got worse in all four of their rows: that is six tosses of a coin, not 24.
        assert boards.p == pytest.approx(2 * 0.5**6)
        assert (rows.p_method, boards.p_method) == ("mcnemar_exact_rows", "sign_flip")
        assert (rows.difference, rows.se, rows.low) == (boards.difference, boards.se, boards.low)
        assert (boards.baseline, boards.n_clusters) == ("base", 26)


def test_holm_family_is_the_non_base_levels_of_one_rule(variants) -> None:
    results = VersusBase(factor="prompt_variant")(variants)
    assert {c.family for c in results} == {2}
    for name, rule in itertools.product({c.name for c in results}, RULES):
        family = [c for c in results if (c.name, c.where["rule"]) == (name, rule)]
        assert [c.p_adjusted for c in family] == pytest.approx(holm([c.p for c in family]))


def test_each_game_is_a_family_of_its_own(variants) -> None:
    results = VersusBase(factor="prompt_variant", by=("game",))(variants)
    places = {tuple(c.where.items()) for c in results}
    assert places == {
        *((("rule", rule),) for rule in RULES),
        *((("rule", rule), ("game", game)) for rule in RULES for game in ("connect4", "reversi")),
    }
    assert {c.family for c in results} == {2}


def test_published_discordant_counts_give_half_the_printed_p(play) -> None:
    """Sonnet-4.5, Animals, Flip: 3 against 0 of 546; the paper prints 0.50, exact is 0.25."""
    boards = [{"id": str(i), "game": "x", "state": i} for i in range(546)]

    def model(trial):
        right = trial["prompt_variant"] == "alias" and trial["state"] < 3
        return gold(trial) if right else other(gold(trial))

    factors = {"rule": RULES, "prompt_variant": ("base", "alias")}
    table = play(model, boards, {**factors, "target": ("winner",)})
    results = VersusBase(factor="prompt_variant")(table)
    assert {(c.p, c.p_adjusted) for c in results} == {(0.25, 0.25)}
    assert {c.p_method for c in results} == {"mcnemar_exact", "mcnemar_exact_rows"}
