import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_eval.data.answers.vqa import CONTRACTIONS, PUNCTUATION, normalise_vqa


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("Yes.", "yes"),
        ("The dog", "dog"),
        ("a", ""),
        ("two\nDogs\t", "2 dogs"),
        ("none", "0"),
        ("ten", "10"),
        ("eleven", "eleven"),
        # Punctuation: a blank where it stands between letters, nothing beside a blank.
        ("red/blue", "red blue"),
        ("red / blue", "red blue"),
        ("t-shirt, red", "t shirt red"),
        ("red/ blue/green", "red bluegreen"),
        ("stop!", "stop"),
        # A number with a comma deletes every mark.
        ("1,000", "1000"),
        ("red/blue 1,000", "redblue 1000"),
        ("1, 000", "1 000"),
        # Periods go unless a digit follows.
        ("3.5", "3.5"),
        ("3.", "3"),
        ("p.m.", "pm"),
        (".5", ".5"),
        # Contractions.
        ("dont", "don't"),
        ("Its raining, isnt it", "its raining isn't it"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("yalld've", "yalld've"),
        ("yall'd've", "y'all'd've"),
        ("oclock", "o'clock"),
        ("somebody'd", "somebodyd"),
        ("Im", "im"),
        ("shed", "shed"),
        ("well", "well"),
        ("man's", "man's"),
        ("it: yes", "it: yes"),
    ],
)
def test_vqav2(text, normal):
    assert normalise_vqa(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Man's hat", "man 's hat"),
        ("really? yes, 5", "really yes 5"),
        ("1,000", "1000"),
        ("red,blue", "redblue"),
        ("The U.S.", "us"),
    ],
)
def test_textvqa_tokenises_first(text, normal):
    assert normalise_vqa(text, "textvqa") == normal


def test_the_contractions_are_those_of_the_challenge():
    assert len(CONTRACTIONS) == 114
    listed = {"aint": "ain't", "hed": "he'd", "hed've": "he'd've", "he'dve": "he'd've",
              "ow's'at": "'ow's'at", "'ows'at": "'ow's'at", "'ow'sat": "'ow's'at",
              "yall'll": "y'all'll", "y'allll": "y'all'll", "twas": "'twas", "maam": "ma'am",
              "whod've": "who'd've", "youve": "you've", "wont": "won't"}  # fmt: skip
    assert listed.items() <= CONTRACTIONS.items()
    assert (
        not {"well", "shell", "shed", "wed", "ill", "id", "im", "ive", "its"} & CONTRACTIONS.keys()
    )


@given(st.text() | st.text("aA the'.,/1?-\n\t"))
def test_any_text_gives_single_spaced_words_without_marks(text):
    normal = normalise_vqa(text)
    assert normal == " ".join(normal.split())
    assert not set(normal) & set(PUNCTUATION)
    assert not {"a", "an", "the", "none", "one", "ten"} & set(normal.split())


@given(st.text("ab 'nt3", max_size=12))
def test_a_second_time_changes_nothing_but_contractions(text):
    once = normalise_vqa(text)
    if not set(once.split()) & set(CONTRACTIONS):
        assert normalise_vqa(once) == once
