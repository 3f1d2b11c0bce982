"""An answer as claims: its sentences, what each cites, and which places of the evidence hold it.

This catches what small models get wrong most: a fact of one thing told about another, a number that
stands nowhere, a negation lost. It takes milliseconds and no model call.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rag_assets.answers.figures import tokens_of
from rag_assets.answers.places import Place, places_of, plain_line
from rag_assets.answers.prompts import NOT_FOUND
from rag_assets.answers.support import Part, cleaned, holds, supports
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import sentences, terms

MAX_MARKER = 999
MAX_CITED = 4  # passages one sentence may need; more is a list of sources, not a citation
_NUMBERS = r"\[[1-9]\d{0,2}(?:\s*[,;]\s*[1-9]\d{0,2})*\]"
# Behind a word or a bracket "[1]" is an index, reply["seats"][1], but at the end of a sentence.
MARKER = re.compile(
    rf"(?:(?<![\w\]\)\"'])(?:{_NUMBERS})+|(?<=\w)(?:{_NUMBERS})+(?=[.!?]?\s*$|[.!?]\s))",
    re.MULTILINE,
)
_SOURCES = (
    r"(?:the|these|those|any)\s+(?:\w+\s+)?"
    r"(?:documents?|evidence|context|texts?|sections?|passages?)"
)
_APOSTROPHE = "['\u2019]"
_REFUSAL = re.compile(
    rf"\b{NOT_FOUND}\b"
    rf"|\b{_SOURCES}\s+(?:do|does|did|can)(?:\s+not|not|n{_APOSTROPHE}t|{_APOSTROPHE}t)\s+(?:\w+\s+){{0,2}}"
    r"(?:contain|mention|provide|specify|state|answer|include|say|give|tell)"
    rf"|(?:\bnot|n{_APOSTROPHE}t)\s+(?:\w+\s+){{0,3}}"
    r"(?:mentioned|provided|specified|stated|found|available|given)"
    rf"\s+(?:\w+\s+){{0,2}}in\s+{_SOURCES}\b"
    r"|\bno\s+(?:information|mention)\b"
    r"(?=\W*$|\s+(?:about|on|of|regarding|concerning|in|that|is|was|given)\b)",
    re.IGNORECASE,
)
_LEADING_LABEL = re.compile(r"^\s*(?:answer|a)\s*:\s*", re.IGNORECASE)
_LANGUAGES = {
    "en": "the a an and is are was were be to of in on at by for with it not has have from that",
    "de": "der die das den dem und ist sind war wird werden nicht ein eine von mit für auf im am",
    "fr": "le la les et est sont une des du pour dans au aux ne pas il elle qui sur",
}
_SMALL_WORDS = {code: frozenset(words.split()) for code, words in _LANGUAGES.items()}


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer.

    Attributes:
        text: without its markers.
        markers: numbers it cites, as written, in order.
        breaks: whether a line ends before it.
    """

    text: str
    markers: tuple[int, ...]
    breaks: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether it says that the evidence lacks the answer."""
        return _REFUSAL.search(self.text) is not None


def parse_claims(answer: str, n_passages: int = MAX_MARKER) -> list[Claim]:
    """The sentences of an answer with the evidence numbers that each cites.

    A marker behind the full stop ("It closes at five. [1] It ...") belongs to the sentence before.

    Args:
        answer: the model's text.
        n_passages: markers that name none of so many are dropped.
    """
    claims: list[Claim] = []
    answer = _LEADING_LABEL.sub("", answer)
    before = 0
    for start, end in sentences(answer):
        raw, breaks = answer[start:end], "\n" in answer[before:start]
        before = end
        leading = re.match(rf"(?:{MARKER.pattern}\s*)+", raw)
        if leading and claims and not breaks and not claims[-1].markers:
            last = claims[-1]
            claims[-1] = Claim(last.text, _marked(leading.group(), n_passages), last.breaks)
            raw = raw[leading.end() :]
        text = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(MARKER.sub(" ", raw).split()))
        if any(char.isalnum() for char in text):
            claims.append(Claim(text, _marked(raw, n_passages), breaks and bool(claims)))
    return claims


def _marked(text: str, n_passages: int) -> tuple[int, ...]:
    found = [int(n) for match in MARKER.finditer(text) for n in re.findall(r"\d+", match.group())]
    return tuple(n for n in dict.fromkeys(found) if 1 <= n <= n_passages)


@dataclass(frozen=True)
class Evidence:
    """The passages of one prompt, read once for all claims.

    Attributes:
        passages: numbered from 1 in the prompt, from 0 here.
        question: what was asked.
    """

    passages: tuple[Passage, ...]
    question: str

    @classmethod
    def of(cls, passages: Sequence[Passage], question: str) -> "Evidence":
        """Passages and question."""
        return cls(tuple(passages), question)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The places of all passages, in order."""
        found = [p for n, passage in enumerate(self.passages) for p in places_of(passage, n)]
        for place in found:
            place.fellows.extend(found)
        return tuple(found)

    @cached_property
    def lower(self) -> frozenset[str]:
        """Stems of the words that evidence or question write without a capital."""
        return self._stems(is_upper=False)

    @cached_property
    def upper(self) -> frozenset[str]:
        """Stems of the words that they write with one."""
        return self._stems(is_upper=True)

    def _stems(self, *, is_upper: bool) -> frozenset[str]:
        read = [tokens_of(self.question), *(place.own for place in self.places)]
        if is_upper:
            read += [place.around for place in self.places]
        return frozenset(
            word.stem for t in read for word in t.words if word.text[:1].isupper() is is_upper
        )

    def part(self, text: str, given: str = "") -> Part:
        """A sentence, ready to be checked; ``given`` is the whole answer."""
        figures = tuple(
            figure
            for figure in tokens_of(given).figures
            if any(figure.equals(other) for place in self.places for other in place.own.figures)
        )
        return Part(
            cleaned(text), self.question, self.lower, self.upper, language_of(text), (), figures
        )


def supporting(claim: Claim, evidence: Evidence, answer: str = "") -> list[Place] | None:
    """The places that hold a claim, of at most ``MAX_CITED`` passages; None if none do.

    What the claim cites itself is tried first, then all passages: a right sentence under a wrong
    number is a mistake of numbering, and the number is put right.

    Args:
        claim: one sentence.
        evidence: the passages it may rest on.
        answer: the whole answer: a sum may be told of two of its numbers.
    """
    is_heading = any(plain_line(claim.text) in place.headings for place in evidence.places)
    if is_heading and not terms(claim.text) <= terms(evidence.question):
        return None  # it only repeats a heading, and chooses none that was asked about
    part = evidence.part(claim.text, answer or claim.text)
    cited = {n - 1 for n in claim.markers}
    places = sorted(evidence.places, key=lambda place: place.passage not in cited)
    found = supports(part, places, cited)
    if found is None or len({place.passage for place in found}) > MAX_CITED:
        return None
    read = {place.passage for place in found}
    for number in sorted(cited - read)[: MAX_CITED - len(read)]:
        found += [p for p in places if p.passage == number and holds(part, p)][:1]
    return found


def says_nothing(text: str) -> bool:
    """Whether it has no content of its own to support: "Yes.", "In short:"."""
    return not terms(cleaned(text))


def language_of(text: str) -> str:
    """German or French if more of its small words are, else English."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    counts = {code: sum(w in small for w in words) for code, small in _SMALL_WORDS.items()}
    return max(counts, key=lambda code: counts[code])
