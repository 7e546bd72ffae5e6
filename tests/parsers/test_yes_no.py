import pytest

from vlm_eval.parsers.yes_no import YesNo

YN = ("Yes", "No")


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("Yes", "Yes", "exact"),
        ("**NO**.", "No", "exact"),
        ("no\n", "No", "exact"),
        ("<think>yes?</think>No", "No", "exact"),
        ("Yes. There is no cat though.", "Yes", "leading"),
        ("No, but yes", "No", "leading"),
        ("(yes) it does", "Yes", "leading"),
        ("It shows no cat but a dog. Answer: yes", "Yes", "answer"),
        ("answer: yes? The answer is no", "No", "answer"),
        ("I would say \\boxed{no}, not yes", "No", "boxed"),
        ('{"answer": "Yes", "why": "no dog"}', "Yes", "answer"),
        ('{"match": "No", "note": "yes and no"}', "No", "json"),
        ('```json\n{"match": "yes"}\n```', "Yes", "json"),
        ("I would say yes", "Yes", "only"),
        ("There is no dog in the image.", "No", "only"),
        ("It does not match, so no", "No", "only"),
        ("There is no doubt: yes", "Yes", "only"),
        ("No doubt it is, yes", "Yes", "only"),
        ("No one is there, so yes", "Yes", "only"),
        ("", None, "none"),
        ("maybe", None, "none"),
        ("notice", None, "none"),
        ("yesterday I knew", None, "none"),
        ("I have no idea", None, "none"),
        ("Well, yes and no", None, "none"),
        ("Yes or no", None, "none"),
        ("Yes/No", None, "none"),
        ("Answer: yes or no", None, "none"),
        ("It is not yes", None, "none"),
        ("There isn't a dog.", None, "none"),
        ("I cannot see one.", None, "none"),
        ("Not sure", None, "none"),
        ('{"a": "yes", "b": "no"}', None, "none"),
        ('{"a": "yes"', "Yes", "only"),
        ('{"a": ' * 5000 + "}", None, "none"),
    ],
)
def test_strict(text, answer, rule):
    found = YesNo()(text, YN)
    assert (found.answer, found.rule) == (answer, rule)


# The parser disagreement table of the POPE protocol, section C4: official and VLMEvalKit columns.
@pytest.mark.parametrize(
    ("text", "pope", "vlmeval"),
    [
        ("Yes", "Yes", "Yes"),
        ("No", "No", "No"),
        ("yes.", "Yes", "Yes"),
        ("no.", "No", "No"),
        ("NO", "Yes", "No"),
        ("No\n", "Yes", "No"),
        ("There is not a dog in the image.", "No", None),
        ("There isn't a dog.", "Yes", None),
        ("Yes. There is no cat though.", "Yes", None),
        ("I cannot see one.", "Yes", None),
        ("Not sure", "Yes", None),
        ("", "Yes", None),
        ("no, it is", "No", "No"),
        ("Sure. no", "Yes", "No"),
        ("yes-no", "Yes", None),
        ("yes! 1,000 of them", "Yes", "Yes"),
        ("well-no", "Yes", "No"),
        ("well-no 1,000", "Yes", None),
    ],
)
def test_published_policies(text, pope, vlmeval):
    for policy, answer in (("pope", pope), ("vlmeval", vlmeval)):
        found = YesNo(policy=policy)(text, YN)
        assert (found.answer, found.rule) == (answer, policy if answer else "none")


@pytest.mark.parametrize(
    ("text", "first", "naturalbench"),
    [
        ("Yes, no dog", "Yes", "Yes"),
        ("I see no dog, yes", None, "No"),
        ("yes or no", None, "Yes"),
        ("Answer: no", None, "No"),
        ("nothing", None, None),
        ("no-one", None, "No"),
    ],
)
def test_first_word_policies(text, first, naturalbench):
    assert YesNo(policy="first")(text, YN).answer == first
    assert YesNo(policy="naturalbench")(text, YN).answer == naturalbench


def test_the_choice_comes_back_as_it_is_spelled_and_only_if_it_is_one():
    assert YesNo()("Yes", ("no", "YES")).answer == "YES"
    assert YesNo()("Yes", ("A", "B")).answer is None
    assert YesNo(policy="pope")("", ("A", "B")).rule == "none"
