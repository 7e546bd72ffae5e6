import math
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.core.errors import RunError, TaskError
from vlm_eval.core.options import configurable
from vlm_eval.core.types import Answer, Failure
from vlm_eval.tasks.index import TaskIndex
from vlm_eval.tasks.scoring import NORMALISED, Scored, _judge, score
from vlm_eval.tasks.trials import expand

LITERAL = "literal: {name: label}"
DIRECT = {"blur": 1, "ask": "direct"}
REVERSE = {"blur": 1, "ask": "reverse"}


def options(*logprobs, counts=None):
    return Answer(logprobs=logprobs, token_counts=counts, finish="scored")


@pytest.fixture
def toy_score(load_toy):
    task = load_toy()

    def toy_score(outcome, gold="Yes", choices=("Yes", "No"), condition=DIRECT):
        return score(task, condition=condition, gold=gold, choices=choices, outcome=outcome)

    return toy_score


def test_the_likeliest_option_is_the_answer(toy_score):
    found = toy_score(options(-1.0, -2.0, counts=(1, 1)))
    assert (found.answer, found.parser_rule) == ("Yes", "argmax")
    assert found.scores == {"accuracy": 1.0, **dict.fromkeys(NORMALISED, 1.0)}
    found = toy_score(options(-2.0, -1.0, counts=(1, 1)))
    assert found.answer == "No"
    assert found.scores == {"accuracy": 0.0, **dict.fromkeys(NORMALISED, 0.0)}
    assert (found.span, found.literal_answer, found.literal_rule) == (None, None, None)


def test_length_normalisation_divides_by_the_tokens_of_each_option(toy_score):
    found = toy_score(options(-3.0, -1.5, counts=(3, 1)))
    assert found.answer == "No"
    assert found.scores == {
        "accuracy": 0.0, "accuracy_length_normalised": 1.0, "accuracy_byte_normalised": 0.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("choices", "right"),
    [(("Yes", "No"), 1.0), (("Yes", "Noo"), 0.0), (("Yes", "é"), 1.0), (("Yes", "éé"), 0.0)],
)
def test_byte_normalisation_divides_by_the_options_bytes(toy_score, choices, right):
    found = toy_score(options(-1.2, -1.0, counts=(1, 1)), choices=choices)
    assert found.scores == {
        "accuracy": 0.0, "accuracy_length_normalised": 0.0, "accuracy_byte_normalised": right
    }  # fmt: skip


def test_without_token_counts_there_is_no_normalised_score(toy_score):
    assert toy_score(options(-1.0, -2.0)).scores == {"accuracy": 1.0}


@pytest.mark.parametrize("logprobs", [(-1.0, -1.0), (-math.inf, -math.inf)])
def test_a_tie_is_unparsed_and_wrong(toy_score, logprobs):
    found = toy_score(options(*logprobs, counts=(1, 2)))
    assert (found.answer, found.parser_rule) == (None, "tie")
    assert found.scores["accuracy"] == 0.0


def test_the_first_of_tied_options_is_the_answer_where_the_task_says_so(load_toy):
    task = load_toy(("kind: choice", "kind: choice\n  ties: first"))

    def found(*logprobs, counts=None, choices=("Maybe", "Yes", "No")):
        outcome = options(*logprobs, counts=counts)
        return score(task, condition=DIRECT, gold="Yes", choices=choices, outcome=outcome)

    tied = found(-2.0, -1.0, -1.0)
    assert (tied.answer, tied.parser_rule, tied.scores["accuracy"]) == ("Yes", "tie_first", 1.0)
    assert found(-1.0, -1.0, -1.0).answer == "Maybe"
    alone = found(-2.0, -2.0, -1.0)
    assert (alone.answer, alone.parser_rule) == ("No", "argmax")
    by_mean = found(-3.0, -2.0, -1.0, counts=(3, 2, 1)).scores
    assert by_mean["accuracy"] == by_mean["accuracy_length_normalised"] == 0.0
    assert found(math.nan, -1.0, -1.0).parser_rule == "tie"


def test_a_tie_of_the_losers_is_no_tie(toy_score):
    found = toy_score(options(-1.0, -3.0, -3.0), choices=("Yes", "No", "Maybe"))
    assert (found.answer, found.parser_rule) == ("Yes", "argmax")


def test_what_is_not_a_number_is_no_answer(toy_score):
    for logprobs in [(math.nan, -1.0), (-1.0, math.nan), (math.nan, math.nan)]:
        found = toy_score(options(*logprobs))
        assert found.answer is None
        assert found.scores["accuracy"] == 0.0


@given(st.lists(st.floats(-50, 0), min_size=2, max_size=5, unique=True), st.randoms())
def test_the_order_of_the_options_does_not_matter(logprobs, random):
    task = TaskIndex().load("scene-presence")
    names = [f"option {i}" for i in range(len(logprobs))]
    pairs = list(zip(names, logprobs, strict=True))
    random.shuffle(pairs)
    shuffled, values = zip(*pairs, strict=True)
    best = max(pairs, key=lambda pair: pair[1])[0]
    found = score(task, condition={}, gold=best, choices=shuffled, outcome=options(*values))
    assert found.answer == best
    assert found.scores["accuracy"] == 1.0


def test_text_is_parsed_and_the_papers_parser_stands_beside(toy_score):
    found = toy_score(Answer(text="Yes, it is."))
    assert found.answer == "Yes"
    assert found.scores["accuracy"] == 1.0
    assert found.literal_rule is not None
    assert set(found.scores) == {"accuracy", "accuracy_literal"}


def test_parser_and_literal_may_differ(load_toy):
    change = ("name: yes_no\n  literal: {name: label}", "name: label\n  literal: {name: vlm_fix}")
    task = load_toy(change)
    found = score(
        task,
        condition=DIRECT,
        gold="No",
        choices=("Yes", "No"),
        outcome=Answer(text="Yes would be wrong. No"),
    )
    assert (found.literal_answer, found.scores["accuracy_literal"]) == ("No", 1.0)
    assert (found.answer, found.scores["accuracy"]) == (None, 0.0), "two labels: it never guesses"


def test_each_condition_uses_its_own_parser(toy_score):
    found = toy_score(Answer(text="rose"), "rose", ("rose", "stone"), REVERSE)
    assert (found.answer, found.scores) == ("rose", {"accuracy": 1.0})


@pytest.mark.parametrize("text", ["", "I cannot tell.", None])
def test_unparsed_text_is_wrong_and_no_answer(toy_score, text):
    found = toy_score(Answer(text=text))
    assert (found.answer, found.parser_rule) == (None, "none")
    assert found.scores["accuracy"] == 0.0


def test_a_failure_has_no_scores(toy_score):
    assert toy_score(Failure("oom", "out of memory")) == Scored(None, "")


@pytest.mark.parametrize(
    ("choices", "counts"), [(None, None), (("Yes",), None), (("Yes", "No"), (1,))]
)
def test_options_and_log_likelihoods_must_correspond(toy_score, choices, counts):
    with pytest.raises(RunError, match="differ in number"):
        toy_score(options(-1.0, -2.0, counts=counts), choices=choices)


def test_text_needs_a_parser(load_toy):
    task = load_toy(("parser:\n  name: yes_no\n  literal: {name: label}\n", ""))
    with pytest.raises(RunError, match="task toy has no parser"):
        score(task, condition=DIRECT, gold="Yes", choices=None, outcome=Answer(text="Yes"))


def test_other_parsers_read_the_same_text(load_toy):
    change = (LITERAL, LITERAL + "\n  also: [vlm_fix, {name: label}]")
    text = "Yes would be wrong. No"
    found = score(
        load_toy(change), condition=DIRECT, gold="No", choices=("Yes", "No"),
        outcome=Answer(text=text),
    )  # fmt: skip
    assert found.also == {"vlm_fix": "No", "label": None}
    assert found.scores["accuracy_vlm_fix"] == 1.0
    assert found.scores["accuracy_label"] == 0.0
    reverse = score(
        load_toy(change), condition=REVERSE, gold="rose", choices=("rose", "stone"),
        outcome=Answer(text="rose"),
    )  # fmt: skip
    assert reverse.also == {}, "the case replaces the parser whole"


@configurable
class Half:
    """Gives a share for an accepted answer, and counts words."""

    share: float
    words: str = "words"

    def __call__(self, text, answer, gold, fields):
        return {
            "accuracy": self.share if answer in fields.get("accepted", [gold]) else 0.0,
            self.words: float(len(text.split())),
        }


@pytest.fixture
def half(plugin, monkeypatch):
    plugin("vlm_eval.scorers", half="half_scorer:Half")
    monkeypatch.setitem(sys.modules, "half_scorer", SimpleNamespace(Half=Half))


def test_a_scorer_says_how_right_an_answer_is(load_toy, half):
    task = load_toy(("scorer: exact", 'scorer: {name: half, share: 0.6, words: "{{ word }}"}'))
    fields = {"word": "n_words", "accepted": ["Yes", "No"]}
    given = {"condition": DIRECT, "choices": ("Yes", "No"), "fields": fields, "gold": "Yes"}
    found = score(task, **given, outcome=Answer(text="No, never"))
    assert found.answer == "No"
    assert found.scores["accuracy"] == found.scores["accuracy_literal"] == 0.6
    assert found.scores["n_words"] == 2.0
    assert "n_words_literal" not in found.scores
    unparsed = score(task, **given, outcome=Answer(text="I cannot tell"))
    assert unparsed.answer is None
    assert (unparsed.scores["accuracy"], unparsed.scores["n_words"]) == (0.0, 3.0)
    scored = score(task, **given, outcome=options(-1.0, -2.0, counts=(1, 1)))
    assert scored.scores == {"accuracy": 0.6, **dict.fromkeys(NORMALISED, 0.6), "n_words": 0.0}
    tied = score(task, **given, outcome=options(-1.0, -1.0))
    assert (tied.answer, tied.scores["accuracy"]) == (None, 0.0)
    assert score(task, **given, outcome=Failure("oom", "x")).scores == {}


@pytest.mark.parametrize("share", [1.5, -0.1, math.nan])
def test_an_accuracy_beyond_its_range_is_a_fault_of_the_scorer(load_toy, half, share):
    task = load_toy(("scorer: exact", "scorer: {name: half, share: 0.6}"))
    broken = Half(share=share)
    with pytest.raises(RunError, match="the scorer of task toy gives"):
        _judge(task, broken, "Yes", "Yes", {})("Yes")


def test_an_unknown_scorer_or_option_is_named(load_toy, half):
    with pytest.raises(TaskError, match=r"key 'scorer\.shar'.*no option 'shar'.*share"):
        load_toy(("scorer: exact", "scorer: {name: half, shar: 1}"))
    with pytest.raises(TaskError, match=r"unknown scorer 'exakt'.*exact"):
        load_toy(("scorer: exact", "scorer: exakt"))


def test_parser_options_may_use_the_trials_fields():
    task = TaskIndex().load("mis", output="generate")
    trials = [t for t in expand(task, limit=1) if t.condition["question"] == "i2c"]
    assert len(trials) == 4
    for trial in trials:
        side = trial.condition["side"]
        said = Answer(text=f"The best one is: {trial.fields[f'caption_{side}']}")
        found = score(
            task,
            condition=trial.condition,
            gold=trial.gold,
            choices=trial.choices,
            outcome=said,
            fields=trial.fields,
        )
        assert (found.parser_rule, found.scores["accuracy"]) == ("restated", 1.0)
