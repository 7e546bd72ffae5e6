"""The classes that a free text mentions, by keyword matching."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_eval.core.options import configurable
from vlm_eval.core.text import without_reasoning
from vlm_eval.core.types import Parsed
from vlm_eval.data.lexicon.lexicon import load_lexicon
from vlm_eval.data.lexicon.mentions import Profile, as_answer, find_mentions


@configurable
class Mentions:
    """Finds the classes that a text mentions; the answer is their sorted list, ``car, road``.

    An answer that mentions no class is ``none``; one without any text is no answer. Terms are
    matched as whole words, in singular and plural, the longest first (arXiv 2601.08355, section 4.2
    says keyword matching; the lexicon and the two profiles are this project's).

    Attributes
    ----------
    lexicon
        ``cityscapes``, or a file as :func:`vlm_eval.data.lexicon.lexicon.load_lexicon` takes it.
    profile
        ``robust``: what the text takes back ("no cars", "car: false") is not mentioned.
        ``literal``: plain keyword matching, as the paper has it.

    Raises
    ------
    DataError
        If the lexicon cannot be used.
    """

    lexicon: str = "cityscapes"
    profile: Profile = "robust"

    def __post_init__(self) -> None:
        load_lexicon(self.lexicon)

    def __call__(self, text: str, choices: Sequence[str]) -> Parsed:
        """Return the list, rule ``mentions``, or ``no_mention`` where it is empty.

        Where there are choices, a list that is none of them is no answer. There is no span: what is
        mentioned is mentioned in several places, and dictionaries are taken apart.
        """
        if not without_reasoning(text).strip():
            return Parsed(None, "none")
        found = find_mentions(text, load_lexicon(self.lexicon), self.profile)
        answer = as_answer({mention.name for mention in found})
        if choices and answer not in choices:
            return Parsed(None, "none")
        return Parsed(answer, "mentions" if found else "no_mention")
