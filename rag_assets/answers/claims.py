"""An answer as claims: its sentences, what each cites, and whether the evidence supports it.

The check compares words: most content words of a sentence, and every number in it, must occur in
the passages that it cites. This catches what small models get wrong most: a fact of one document
told about another, and a number that occurs nowhere. It takes microseconds and no model call.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import combinations

from rag_assets.answers.prompts import NOT_FOUND
from rag_assets.retrieval.passages import Passage
from rag_assets.retrieval.terms import content_words, coverage, numbers, sentences, terms

MAX_CITED = 4  # passages one sentence may need; more is a list of sources, not a citation
FOREIGN_FACTOR = 0.4  # on min_support where the passage is not English and words cannot match
MARKER = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_NUMBER_WEIGHT = 3  # a matching number says more than a matching word
_SOURCES = r"(?:documents?|evidence|context|texts?|sections?)"
_APOSTROPHE = "['\u2019]"
_REFUSAL = re.compile(
    rf"\b{NOT_FOUND}\b"
    rf"|\b{_SOURCES}\s+(?:\w+\s+){{0,2}}(?:(?:do|does|did)(?:\s+not|n{_APOSTROPHE}t)|cannot|can{_APOSTROPHE}t)\s+"
    r"(?:\w+\s+){0,2}(?:contain|mention|provide|specify|state|answer|include|say|give|tell)"
    rf"|(?:\bnot|n{_APOSTROPHE}t)\s+(?:\w+\s+){{0,3}}"
    r"(?:mentioned|provided|specified|stated|found|available|given)"
    rf"\s+(?:\w+\s+){{0,2}}in\s+the\s+(?:\w+\s+)?{_SOURCES}\b"
    r"|\bno\s+(?:information|mention)\b",
    re.IGNORECASE,
)
_LEADING_LABEL = re.compile(r"^\s*(?:answer|a)\s*:\s*", re.IGNORECASE)


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


def parse_claims(answer: str) -> list[Claim]:
    """The sentences of an answer with the evidence numbers that each cites.

    A marker behind the full stop ("It closes at five. [1] It ...") belongs to the sentence before.
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
            claims[-1] = Claim(last.text, _marked(leading.group()), last.breaks)
            raw = raw[leading.end() :]
        text = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(MARKER.sub(" ", raw).split()))
        if any(char.isalnum() for char in text):
            claims.append(Claim(text, _marked(raw), breaks and bool(claims)))
    return claims


def _marked(text: str) -> tuple[int, ...]:
    found = [int(n) for match in MARKER.finditer(text) for n in re.findall(r"\d+", match.group())]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The passages of one prompt, read once for all claims.

    Attributes:
        passages: numbered from 1 in the prompt, from 0 here.
        terms: words and numbers of each, name included.
        names: words of the passages' titles.
        question: the question's words and numbers.
    """

    passages: tuple[Passage, ...]
    terms: tuple[frozenset[str], ...]
    names: frozenset[str]
    question: frozenset[str]

    @classmethod
    def of(cls, passages: Sequence[Passage], question: str) -> "Evidence":
        """Read passages and question."""
        read = tuple(terms(f"{passage.title}\n{passage.text}") for passage in passages)
        names = content_words("\n".join(passage.head.title for passage in passages))
        return cls(tuple(passages), read, names, terms(question))

    def held(self, indices: Iterable[int]) -> frozenset[str]:
        """Words and numbers of these passages together."""
        return frozenset[str]().union(*(self.terms[index] for index in indices))


def supporting(
    claim: Claim, evidence: Evidence, *, answer_numbers: frozenset[str], min_support: float
) -> list[int] | None:
    """Indices of the passages that support a claim, at most ``MAX_CITED``; None if none do.

    What the claim cites itself is tried first, then all passages: a right sentence under a wrong
    number is a mistake of numbering, and the number is put right.

    Args:
        claim: one sentence.
        evidence: the passages it may rest on.
        answer_numbers: all numbers of the whole answer (a sum may be told of two of them).
        min_support: share of its content words that the chosen passages must hold.
    """
    words = content_words(claim.text)
    figures = numbers(claim.text) - evidence.question
    held = evidence.held(range(len(evidence.terms)))
    required = figures - _derived(figures - held, answer_numbers & held)
    required |= _names(claim.text, evidence)
    wanted = words | required
    if not wanted:
        wanted = numbers(claim.text)  # it repeats numbers of the question and nothing else
    cited = [n - 1 for n in claim.markers if 1 <= n <= len(evidence.passages)]
    cited = [index for index in cited if wanted & evidence.terms[index]]

    def is_supported(by: Sequence[int]) -> bool:
        held = evidence.held(by)
        foreign = any(evidence.passages[index].head.language != "en" for index in by)
        wanted_share = min_support * (FOREIGN_FACTOR if foreign else 1.0)
        enough = not words or coverage(words, held) >= wanted_share
        return bool(by) and required <= held and enough

    chosen: list[int] = []
    for pool in (cited, range(len(evidence.passages))):
        while not is_supported(chosen):
            best = _best_addition(wanted, required, chosen, pool, evidence)
            if best is None:
                break
            chosen.append(best)
    for index in list(chosen):  # a wrong marker may have brought in what later ones made needless
        without = [other for other in chosen if other != index]
        if is_supported(without):
            chosen = without
    if not (is_supported(chosen) and _each_is_named(words, chosen, evidence)):
        return None
    agreeing = [index for index in cited if index not in chosen and is_supported([index])]
    return sorted((chosen + agreeing)[:MAX_CITED])


def _names(text: str, evidence: Evidence) -> frozenset[str]:
    """Stems of the claim's capitalised words that name a passage (are in its title)."""
    capitalised = content_words(" ".join(re.findall(r"[^\W\d_a-z][\w'\u2019-]*", text)))
    return capitalised & evidence.names


def _each_is_named(words: frozenset[str], chosen: Sequence[int], evidence: Evidence) -> bool:
    """Whether each document of a joint support shares a word with the claim that only it has.

    "Alder was built in 2003" has "Alder" from one page and "2003" from Tern's: together they hold
    every word, but the claim never speaks of Tern. "Alder in 1994 and Tern in 2003" speaks of both.
    """
    by_document: dict[str, frozenset[str]] = {}
    for index in chosen:
        document = evidence.passages[index].head.document_id
        shared = words & evidence.terms[index]
        by_document[document] = by_document.get(document, frozenset()) | shared
    if len(by_document) < 2:
        return True
    return all(
        shared - frozenset[str]().union(*(s for d, s in by_document.items() if d != document))
        for document, shared in by_document.items()
    )


def _best_addition(
    wanted: frozenset[str],
    required: frozenset[str],
    chosen: Sequence[int],
    pool: Sequence[int],
    evidence: Evidence,
) -> int | None:
    """The passage of the pool that adds most to the chosen ones; None if none adds anything."""
    if len(chosen) >= MAX_CITED:
        return None
    held = evidence.held(chosen)

    def gain(index: int) -> tuple[float, float, int]:
        new = (wanted & evidence.terms[index]) - held
        weight = len(new) + (_NUMBER_WEIGHT - 1) * len(new & required)
        return weight, coverage(evidence.question, evidence.terms[index]), -index

    best = max((i for i in pool if i not in chosen), key=gain, default=None)
    return best if best is not None and gain(best)[0] > 0 else None


def _derived(missing: frozenset[str], given: frozenset[str]) -> frozenset[str]:
    """Numbers that are a sum or a difference of two numbers which the answer quotes as well."""
    values = [value for value in map(_decimal, given) if value is not None]
    results = {result for a, b in combinations(sorted(values), 2) for result in (a + b, abs(a - b))}
    return frozenset(n for n in missing if _decimal(n) in results)


def _decimal(number: str) -> Decimal | None:
    try:
        return Decimal(number)
    except InvalidOperation:
        return None
