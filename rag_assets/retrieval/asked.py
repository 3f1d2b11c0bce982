"""What of a long question asks, and what of the story around it matters to that.

People tell a story first and ask last, or ask first and explain afterwards. Two pages of story
would make the search find what the story is about, and the model answer that.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from rag_assets.retrieval.languages import asks, language_of
from rag_assets.retrieval.terms import content_words, numbers, sentences

MOST_WORDS = 120  # of a question that is read as it is; a longer one is a story
_NAME = re.compile(r"(?<=\s)[^\W\d_a-z]\w+")
_MARK = re.compile(r"[?\uff1f\u061f]")


def asked(question: str) -> str:
    """The question as the search and the models read it: ``condensed`` if it tells a story."""
    return condensed(question, lambda text: len(text.split()) <= MOST_WORDS)


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
