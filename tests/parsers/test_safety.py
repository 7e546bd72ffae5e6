import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.parsers.safety import Safety

CHOICES = ("safe", "unsafe")
PIECES = ["yes", "no", "No, ", "safe", "unsafe", "not ", "decision: ", "{", "}", '"', ". ", "? ",
          "if ", "caution", "it depends", "answer is ", "\n", "<think>", "\u0301"]  # fmt: skip


def parse(text, choices=CHOICES):
    found = Safety()(text, choices)
    return found.answer, found.rule


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ('{"decision": "NO", "reason": "it is safe, use caution"}', "unsafe", "decision"),
        ("decision: NO, reason: pedestrians ahead", "unsafe", "decision"),
        ("**Decision:** Yes", "safe", "decision"),
        ("- **Decision**: No", "unsafe", "decision"),
        ("Decision: Safe to proceed forward", "safe", "decision"),
        ("Decision: not safe to proceed forward.", "unsafe", "decision"),
        ('{"safe": false}', "unsafe", "decision"),
        ("Yes", "safe", "leading"),
        ("Yes, it is safe to proceed forward.", "safe", "leading"),
        ("No.", "unsafe", "leading"),
        ("No, it is not safe. Use caution.", "unsafe", "leading"),
        ("No, pedestrians may step out.", "unsafe", "leading"),
        ("Is it safe to proceed forward? No.", "unsafe", "leading"),
        ("Based on this image, is it safe to proceed forward?\n\n**Yes**", "safe", "leading"),
        ("Safe to proceed: no", "unsafe", "leading"),
        ("Safe to proceed forward? No.", "unsafe", "leading"),
        ("Yes, there is no sign of pedestrians.", "safe", "leading"),
        ("The answer is no.", "unsafe", "answer"),
        ("It is safe to proceed.", "safe", "explicit"),
        ("It appears to be safe to proceed forward.", "safe", "explicit"),
        ("It is not safe to proceed.", "unsafe", "explicit"),
        ("It isn't safe.", "unsafe", "explicit"),
        ("It would be unsafe.", "unsafe", "explicit"),
        ("The car cannot proceed safely.", "unsafe", "explicit"),
        ("No pedestrians are visible. It is safe to proceed.", "safe", "explicit"),
        ("Is it safe to proceed? It is unsafe.", "unsafe", "explicit"),
        ("It is unsafe: proceed with caution.", "unsafe", "explicit"),
    ],
)
def test_decisions(text, answer, rule):
    assert parse(text) == (answer, rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The scene shows a road.",
        "It depends on the light.",
        "Proceed with caution.",
        "It is safe to proceed with caution.",
        "Yes, but proceed with caution.",
        "Yes, it is safe as long as the light is green.",
        "Yes, it is unsafe.",
        "No, it is safe.",
        "I cannot determine whether it is safe.",
        "No, I am not sure.",
        "It may be safe to proceed.",
        "If the light is green, it is safe.",
        "It is neither safe nor unsafe.",
        "It is safe on the left and unsafe on the right.",
        "Is it safe to proceed forward?",
        "Is it safe to proceed? Yes, but with caution.",
        "Is it safe to proceed? No pedestrians are visible.",
        "Should you stop? No.",
        "Is it unsafe to proceed? No.",
        "There is no indication that it is unsafe to proceed.",
        "There is no reason to believe it is unsafe.",
        "I see no sign it is unsafe.",
        "There is no reason to believe that proceeding is not safe.",
        "Keep a safe distance.",
        "Yes or no",
        "No pedestrians are visible.",
        "No doubt about the road.",
        '{"decision": "use caution"} It is safe.',
        "decision: yes, decision: no",
        "<think>yes",
    ],
)
def test_what_decides_nothing_is_no_answer(text):
    assert parse(text) == (None, "none")


def test_the_choices_spell_the_answer():
    assert parse("No", ("SAFE", "Unsafe")) == ("Unsafe", "leading")
    assert parse("No", ("yes", "no")) == (None, "none")


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_gives_a_choice_or_nothing(text):
    answer, rule = parse(text)
    assert answer in (None, *CHOICES)
    assert (answer is None) == (rule == "none")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("unit", ["safe ", "not safe ", "if ", "decision: {", "a?", "a", '"', "\n"])
def test_a_megabyte_takes_linear_time(unit):
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    assert parse(text)[0] in (None, *CHOICES)
