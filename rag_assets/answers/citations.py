"""Citations: each sentence of an answer cites text that supports it, or it is removed."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rag_assets.answers.claims import Claim, Evidence, parse_claims, supporting
from rag_assets.answers.questions import asks_yes_or_no, offers_choice
from rag_assets.retrieval.marks import UNDATED
from rag_assets.retrieval.passages import Passage, Piece
from rag_assets.retrieval.terms import content_words, coverage, numbers, terms

MAX_QUOTE_CHARS = 500
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_NAME = re.compile(r"[^\W\d_a-z][\w'\u2019-]{2,}")
_NUMBERED = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?\s+\D{3,80}[^.!?:;,|\d]$")


@dataclass(frozen=True, slots=True)
class Citation:
    """Text of a document that supports a part of an answer.

    ``quote`` is the document's text from ``char_start`` to ``char_end`` (half-open), unchanged.
    ``aliases`` are copies in which it stands word for word, ``superseded_by`` is the newest version
    of the document, "" if this is it.
    """

    n: int
    chunk_id: str
    document_id: str
    uri: str
    title: str
    heading_path: list[str]
    page: int | None
    char_start: int
    char_end: int
    quote: str
    aliases: list[str]
    modified_at: str
    superseded_by: str  # uri
    superseded_by_title: str

    @classmethod
    def of(cls, n: int, piece: Piece) -> "Citation":
        """Citation number ``n`` of a piece of a chunk."""
        chunk = piece.chunk
        return cls(
            n=n,
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            uri=chunk.uri,
            title=chunk.title,
            heading_path=list(chunk.heading_path),
            page=chunk.page,
            char_start=piece.char_start,
            char_end=piece.char_end,
            quote=piece.text,
            aliases=list(chunk.copies),
            modified_at=chunk.modified_at.isoformat() if chunk.modified_at != UNDATED else "",
            superseded_by=chunk.superseded_by,
            superseded_by_title=chunk.superseded_by_title,
        )

    def to_record(self) -> dict[str, Any]:
        """As JSON prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Grounded:
    """An answer reduced to what the evidence supports.

    Attributes:
        text: supported sentences with their markers, renumbered from 1; "" when none is left.
        citations: in order of their numbers.
        removed: sentences without support.
        refused: whether the model said that the evidence lacks the answer, and nothing else held.
        notes: what was put right, one sentence each.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    removed: tuple[str, ...] = ()
    refused: bool = False
    notes: tuple[str, ...] = ()


def ground(
    answer: str, passages: Sequence[Passage], question: str, *, min_support: float
) -> Grounded:
    """Check an answer against its evidence, sentence by sentence.

    Args:
        answer: the model's text.
        passages: evidence in order of its numbers, from 1.
        question: what was asked; its own numbers need no evidence.
        min_support: share of a sentence's content words that its passages must hold.
    """
    claims = parse_claims(answer)
    facts = [claim for claim in claims if not claim.is_refusal]
    if not facts:
        return Grounded("", refused=bool(claims))
    evidence = Evidence.of(passages, question)
    figures = numbers(" ".join(claim.text for claim in facts))
    kept: list[tuple[Claim, list[int]]] = []
    removed: list[str] = []
    moved = 0
    for claim in facts:
        found = supporting(claim, evidence, answer_numbers=figures, min_support=min_support)
        if found is None and _says_nothing(claim):
            found = []
        read = [passages[index] for index in found or ()]
        mistaken = _is_label(claim.text, read) or _is_row_of_another(claim, read, evidence)
        if found is None or mistaken:
            removed.append(claim.text)
            continue
        moved += bool(claim.markers) and not {n - 1 for n in claim.markers} & set(found)
        kept.append((claim, found))
    if _is_of_another_year(question, kept, evidence) or _repeats_question(question, kept):
        return Grounded("", removed=(*removed, *(claim.text for claim, _ in kept)))
    kept = with_bare_answers_supported(kept, evidence)
    if not any(found for _, found in kept):
        return Grounded("", removed=(*removed, *(claim.text for claim, _ in kept)))
    notes = _notes(moved, len(removed), len(facts))
    return written(kept, evidence, tuple(removed), notes)


def _is_label(text: str, passages: Sequence[Passage]) -> bool:
    """Whether it only repeats a heading of its evidence: "4.2 Equipment", "Rates".

    A heading is a name of the passage, or a line that begins with a section's number and is no
    sentence. Small models copy one instead of the answer.
    """
    bare = _folded(text)
    for passage in passages:
        names = (passage.title, passage.head.title, *passage.head.heading_path)
        lines = [unit.text for unit in passage.units() if _NUMBERED.match(unit.text)]
        if bare in {_folded(name) for name in (*names, *lines)}:
            return True
    return False


def _is_row_of_another(claim: Claim, read: Sequence[Passage], evidence: Evidence) -> bool:
    """Whether its figure is in a table row that lacks a name which question and claim share.

    "MV Bramble carries 11 liferafts" holds every word of a table without Bramble, and 11.
    """
    names = content_words(" ".join(_NAME.findall(claim.text))) & evidence.question
    figures = numbers(claim.text) - evidence.question
    rows = [
        (unit.text, passage)
        for passage in read
        for unit in passage.units()
        if unit.is_row and figures & numbers(unit.text)
    ]
    prose = numbers("\n".join(u.text for p in read for u in p.units() if not u.is_row))
    if not names or not rows or figures & prose:
        return False
    return not any(
        names <= terms(f"{passage.title}\n{row}") | _prose_terms(passage) for row, passage in rows
    )


def _prose_terms(passage: Passage) -> frozenset[str]:
    return terms("\n".join(unit.text for unit in passage.units() if not unit.is_row))


def _is_of_another_year(
    question: str, kept: Sequence[tuple[Claim, list[int]]], evidence: Evidence
) -> bool:
    """Whether the question names a year that nothing of what is cited does, its place included."""
    cited = {index for _, found in kept for index in found}
    passages = [evidence.passages[index] for index in cited]
    places = "\n".join(f"{p.title}\n{p.head.uri}\n{p.text}" for p in passages)
    return bool(cited) and not set(_YEAR.findall(question)) <= set(_YEAR.findall(places))


def _repeats_question(question: str, kept: Sequence[tuple[Claim, list[int]]]) -> bool:
    """Whether the answer has no word that the question lacks, as "They ran operations [1]" may.

    Small models restate a question that they cannot answer, and all of that is supported. To a
    choice, or a question for yes or no, the question's own words are an answer.
    """
    said = frozenset().union(*(terms(claim.text) for claim, _ in kept))
    is_open = not offers_choice(question) and not asks_yes_or_no(question)
    return is_open and bool(said) and said <= terms(question)


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _says_nothing(claim: Claim) -> bool:
    """Whether it has no content of its own to support: "Yes.", "In short:"."""
    return not terms(claim.text)


def with_bare_answers_supported(
    kept: list[tuple[Claim, list[int]]], evidence: Evidence
) -> list[tuple[Claim, list[int]]]:
    """Give an answer that is only "Yes." the passage that speaks most of the question."""
    if not kept or any(terms(claim.text) for claim, _ in kept) or not evidence.passages:
        return kept
    shares = [coverage(evidence.question, held) for held in evidence.terms]
    best = max(range(len(shares)), key=lambda index: (shares[index], -index))
    if shares[best] < 0.5:
        return kept
    return [(kept[0][0], [best]), *kept[1:]]


def _notes(moved: int, removed: int, total: int) -> tuple[str, ...]:
    notes = []
    if moved:
        notes.append(f"{moved} of {total} sentences cited the wrong evidence; put right")
    if removed:
        notes.append(f"removed {removed} of {total} sentences that the evidence does not support")
    return tuple(notes)


def written(
    kept: Sequence[tuple[Claim, list[int]]],
    evidence: Evidence,
    removed: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Grounded:
    """The kept sentences as one text with renumbered markers, and the citations they name."""
    citations: dict[tuple[str, int, int], Citation] = {}
    text = ""
    for claim, found in kept:
        named = []
        for index in found:
            piece = quote(claim.text, evidence.passages[index], evidence.question)
            key = (piece.chunk.chunk_id, piece.start, piece.end)
            if key not in citations:
                citations[key] = Citation.of(len(citations) + 1, piece)
            named.append(citations[key].n)
        marks = "".join(f"[{n}]" for n in sorted(set(named)))
        text += ("\n" if claim.breaks and text else " " if text else "") + _marked(
            claim.text, marks
        )
    return Grounded(text, tuple(citations.values()), removed, notes=notes)


def _marked(sentence: str, marks: str) -> str:
    """The sentence with its markers before the final full stop."""
    if not marks:
        return sentence
    body = sentence.rstrip(".!?")
    return f"{body} {marks}{sentence[len(body) :]}"


def cited(sentences: Sequence[tuple[str, Sequence[Piece]]]) -> Grounded:
    """Sentences that are known to stand on these pieces, with markers, and their citations."""
    citations: dict[tuple[str, int, int], Citation] = {}
    parts = []
    for sentence, pieces in sentences:
        named = []
        for piece in map(_shortened, pieces):
            key = (piece.chunk.chunk_id, piece.start, piece.end)
            if key not in citations:
                citations[key] = Citation.of(len(citations) + 1, piece)
            named.append(citations[key].n)
        marks = "".join(f"[{n}]" for n in sorted(set(named)))
        ended = sentence if sentence.rstrip()[-1:] in ".!?" else f"{sentence.rstrip()}."
        parts.append(_marked(ended, marks))
    return Grounded(" ".join(parts), tuple(citations.values()))


def quote(claim: str, passage: Passage, question: frozenset[str]) -> Piece:
    """The sentence or line of the passage that says most of a claim.

    The following lines join it while they add words of the claim and stay in the same chunk.
    """
    wanted = terms(claim)
    units = passage.units() or list(passage.pieces)
    read = [terms(unit.text) for unit in units]

    def worth(index: int) -> tuple[float, float, int]:
        shared = wanted & read[index]
        figures = sum(term[0].isdigit() for term in shared)
        return len(shared) + 2 * figures, coverage(question, read[index]), -index

    best = max(range(len(units)), key=worth)
    piece, held = units[best], read[best]
    for unit, words in zip(units[best + 1 :], read[best + 1 :], strict=True):
        same_chunk = unit.chunk.chunk_id == piece.chunk.chunk_id
        adds = (wanted & words) - held
        if not (same_chunk and adds and unit.end - piece.start <= MAX_QUOTE_CHARS):
            break
        piece, held = replace(piece, end=unit.end), held | words
    return _shortened(piece)


def _shortened(piece: Piece) -> Piece:
    """At most ``MAX_QUOTE_CHARS``, cut between words."""
    if piece.end - piece.start <= MAX_QUOTE_CHARS:
        return piece
    head = piece.text[:MAX_QUOTE_CHARS]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return replace(piece, end=piece.start + (cut if cut > 0 else MAX_QUOTE_CHARS))
