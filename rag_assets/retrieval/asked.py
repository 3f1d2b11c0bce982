"""What of a question asks, and what of the story around it matters to that.

People tell a story first and ask last, or ask first and explain afterwards. Two pages of story
would make the search find what the story is about, and the model answer that. A sentence on how to
answer ("If several, list all. Thanks!") is read as part of what is asked, too: asked whether a
passage states the answer to exactly this, the model says no.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from rag_assets.retrieval.languages import asks, language_of
from rag_assets.retrieval.terms import content_words, numbers, sentences

MOST_WORDS = 120  # of a question that is read as it is; a longer one is a story
_NAME = re.compile(r"(?<=\s)[^\W\d_a-z]\w+")
_DIGIT = re.compile(r"\d")
_MARK = re.compile(r"[?\uff1f\u061f]")
_ABOUT_ANSWER = (
    r"(?:numbers?|names?|dates?|values?|figures?|amounts?|words?|answers?|results?|sources?|"
    r"citations?|references?)"
)
# Sentences on how to answer, which ask for nothing. A language or a form ("in German", "as a
# table") is none of these: the model that writes may follow it.
_MANNER = re.compile(
    r"(?:please,? |and |but )*(?:"
    r"if (?:there (?:is|are) |you find |you see )?(?:multiple|several|more than one|many|none|not|"
    r"unknown|unsure|in doubt)\b.*"
    r"|if (?:you|it|this|that|the (?:answer|documents?|texts?|context))(?:'re| are| is| do| does|"
    r" can| could)? ?(?:not|n't|unsure|unknown|missing|unclear)\b.*"
    r"|(?:answer|reply|respond|be|keep (?:it|this|your answer|the answer))\b[^,;]*?"
    r"\b(?:brief|short|concise|succinct|precise|(?:one|a single|a few|two) "
    r"(?:words?|sentences?|lines?))(?:ly)?\b.*"
    r"|(?:(?:give|tell|return|state|write)(?: me| us)? )?(?:just|only) the (?:exact )?"
    rf"{_ABOUT_ANSWER}(?:(?:,? and|,? or|,) (?:the )?{_ABOUT_ANSWER})*"
    rf"|(?:cite|quote|name|give|include|add|with)(?: me)?(?: your| the| all| any)* {_ABOUT_ANSWER}"
    r"|(?:do not|don't|never) (?:guess|explain|invent|speculate|make (?:it|things|anything) up)\b.*"
    r"|(?:many |with )?(?:thanks?|thank you|thx|cheers)\b.*"
    r"|(?:hello|hi|hey|good (?:morning|afternoon|evening|day))\b(?: there| all| team)?"
    r")(?:,? please)?\W*",
    re.IGNORECASE,
)


def asked(question: str) -> str:
    """The question as the search and the models read it.

    Sentences on how to answer are left out, and it is ``condensed`` if it tells a story.
    """
    return condensed(without_manner(question), lambda text: len(text.split()) <= MOST_WORDS)


def without_manner(question: str) -> str:
    """The question without sentences that only say how to answer.

    A sentence stays if it has a question mark, a name or a number. If no other is left, all stay.
    """
    told = [question[start:end] for start, end in sentences(question)]
    kept = [text for text in told if _asks_more(text) or not _is_manner(text)]
    return " ".join(kept) if 0 < len(kept) < len(told) else question


def _is_manner(sentence: str) -> bool:
    return (
        _MANNER.fullmatch(sentence.strip().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        is not None
    )


def _asks_more(sentence: str) -> bool:
    return any(part.search(sentence) for part in (_MARK, _NAME, _DIGIT))


def condensed(question: str, fits: Callable[[str], bool]) -> str:
    """The question, if it fits; else the sentences that ask, with those that tell of the same.

    A sentence tells of the same if it shares a word with those that ask, or, where they hold no
    name and no number ("How long does it take?"), if it is the next one to hold one. No sentence is
    told twice. Where nothing asks, the end is kept; of one sentence that is too long the words
    after its beginning if that asks, else its last words.

    Args:
        question: any text.
        fits: whether a text is short enough.
    """
    if fits(question):
        return question
    language = language_of(question)
    told = list(dict.fromkeys(question[start:end] for start, end in sentences(question)))
    asking = [place for place, text in enumerate(told) if asks(text, language)]
    kept: list[int] = []

    def add(place: int) -> None:
        if place not in kept and fits(" ".join(told[n] for n in sorted([*kept, place]))):
            kept.append(place)

    # With a question mark first, and the last first: a command may be part of the story.
    for place in sorted(asking, key=lambda n: (_MARK.search(told[n]) is None, -n)):
        add(place)
    if not kept:
        return _part(told[asking[-1]], fits, is_head=True) if asking else _end(question, fits)
    for place in _telling(told, kept):
        add(place)
    return " ".join(told[place] for place in sorted(kept))


def _telling(told: Sequence[str], asking: Sequence[int]) -> list[int]:
    """Places of the sentences that matter to those that ask, the most telling first."""
    about = " ".join(told[place] for place in asking)
    others = [place for place in range(len(told)) if place not in asking]

    def distance(place: int) -> int:
        return min(abs(place - other) for other in asking)

    # Before its question a story says what "it" is, so that side wins a tie.
    near = sorted(others, key=lambda place: (distance(place), place > asking[0]))
    shared = {place: len(content_words(about) & content_words(told[place])) for place in others}
    found = sorted((place for place in near if shared[place]), key=lambda place: -shared[place])
    if _is_named(about):
        return found
    return [*[place for place in near if _is_named(told[place])][:1], *found]


def _is_named(text: str) -> bool:
    return _NAME.search(text) is not None or bool(numbers(text))


def _end(text: str, fits: Callable[[str], bool]) -> str:
    """The last sentences that fit, or the last words, or the last characters."""
    for starts in ([start for start, _ in sentences(text)], [m.start() for m in _words(text)]):
        first = bisect_left(starts, True, key=lambda start: fits(text[start:]))
        if first < len(starts):
            return text[starts[first] :]
    return _part(text, fits, is_head=False)


def _part(text: str, fits: Callable[[str], bool], *, is_head: bool) -> str:
    """The first words that fit, or the first characters; or the last ones."""
    if not is_head:
        start = bisect_left(range(len(text)), True, key=lambda start: fits(text[start:]))
        return text[start:]
    ends = [match.end() for match in _words(text)]
    n_fit = bisect_left(ends, True, key=lambda end: not fits(text[:end]))
    if n_fit:
        return text[: ends[n_fit - 1]]
    end = bisect_left(range(len(text) + 1), True, key=lambda end: not fits(text[:end]))
    return text[: max(0, end - 1)]


def _words(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"\S+", text))
