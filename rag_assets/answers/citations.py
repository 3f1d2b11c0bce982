"""Citations: each sentence of an answer cites text that supports it, or it is removed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rag_assets.answers.claims import Claim, Evidence, parse_claims, says_nothing, supporting
from rag_assets.answers.places import Place, places_of
from rag_assets.answers.support import supports
from rag_assets.retrieval.marks import UNDATED
from rag_assets.retrieval.passages import Passage, Piece
from rag_assets.retrieval.terms import coverage, terms

MAX_QUOTE_CHARS = 500


@dataclass(frozen=True, slots=True)
class Citation:
    """Text of a document that supports a part of an answer.

    ``quote`` is the document's text from ``char_start`` to ``char_end`` (half-open), unchanged;
    ``page`` is that on which it begins.
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
            page=chunk.page_of(piece.char_start),
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


def ground(answer: str, passages: Sequence[Passage], question: str) -> Grounded:
    """Check an answer against its evidence, sentence by sentence.

    Args:
        answer: the model's text.
        passages: evidence in order of its numbers, from 1.
        question: what was asked.
    """
    evidence = Evidence.of(passages, question)
    kept: list[tuple[Claim, list[Piece]]] = []
    removed: list[str] = []
    moved = n_facts = n_refusals = 0
    for claim, so_far in _with_beginnings(parse_claims(answer, len(passages))):
        found = _holding(claim, evidence, so_far)
        if found is None:  # a sum may be told before its numbers
            found = supporting(claim, evidence, answer)
        if found is None and claim.is_refusal:
            n_refusals += 1
            continue
        n_facts += 1
        if found is None:
            removed.append(claim.text)
            continue
        read = {place.passage for place in found}
        moved += bool(claim.markers and found) and not {n - 1 for n in claim.markers} & read
        kept.append((claim, pieces_of_places(claim, found)))
    kept = with_bare_answers_supported(kept, evidence)
    if not any(pieces for _, pieces in kept):
        said = (claim.text for claim, _ in kept)
        return Grounded("", removed=(*removed, *said), refused=bool(n_refusals) and not n_facts)
    return written(kept, tuple(removed), _notes(moved, len(removed), n_facts))


def grounded_beginning(claims: Sequence[Claim], evidence: Evidence) -> Grounded:
    """What ``ground`` is certain to begin with, whatever follows these claims; "" while nothing is.

    It ends before the first claim that what follows may still hold up, and is empty as long as no
    claim has content of its own: a bare "Yes." may get a passage of its own, or be taken away.
    """
    kept: list[tuple[Claim, list[Piece]]] = []
    for claim, so_far in _with_beginnings(claims):
        found = _holding(claim, evidence, so_far)
        if found is None:
            break
        kept.append((claim, pieces_of_places(claim, found)))
    is_certain = any(pieces and not says_nothing(claim.text) for claim, pieces in kept)
    return written(kept) if is_certain else Grounded("")


def _with_beginnings(claims: Sequence[Claim]) -> Iterator[tuple[Claim, str]]:
    """Each claim, with the answer up to its end."""
    so_far = ""
    for claim in claims:
        so_far = f"{so_far} {claim.text}".strip()
        yield claim, so_far


def _holding(claim: Claim, evidence: Evidence, so_far: str) -> list[Place] | None:
    return [] if says_nothing(claim.text) else supporting(claim, evidence, so_far)


def with_bare_answers_supported(
    kept: list[tuple[Claim, list[Piece]]], evidence: Evidence
) -> list[tuple[Claim, list[Piece]]]:
    """Give an answer that is only "Yes." the passage it cites, or the one nearest the question."""
    if not kept or not evidence.passages or any(not says_nothing(c.text) for c, _ in kept):
        return kept
    wanted = terms(evidence.question)
    shares = [coverage(wanted, terms(f"{p.title}\n{p.text}")) for p in evidence.passages]
    cited = [n - 1 for claim, _ in kept for n in claim.markers]
    best = max(range(len(shares)), key=lambda n: (n in cited, shares[n], -n))
    if best not in cited and shares[best] < 0.5:
        return kept
    return [(kept[0][0], [quote(evidence.question, evidence.passages[best])]), *kept[1:]]


def pieces_of_places(claim: Claim, places: Sequence[Place]) -> list[Piece]:
    """The text of the places that hold a claim; those that follow each other are one piece."""
    quoted: list[Piece] = []
    for place in sorted(places, key=lambda place: (place.passage, place.piece.char_start)):
        names = {
            stem for stem in terms(claim.text) & place.before_terms if stem not in place.own_terms
        }
        quoted.append(place.quoted(with_before=bool(names)))
    return [_shortened(piece) for piece in joined(quoted)]


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Those that follow each other in one chunk as one, as long as a quote holds them."""
    runs: list[Piece] = []
    for piece in pieces:
        last = runs[-1] if runs else None
        if (
            last is not None
            and last.chunk.chunk_id == piece.chunk.chunk_id
            and piece.start - last.end <= len("\n\n")
            and piece.end - last.start <= MAX_QUOTE_CHARS
        ):
            runs[-1] = replace(last, end=max(last.end, piece.end))
        else:
            runs.append(piece)
    return runs


def _notes(moved: int, removed: int, total: int) -> tuple[str, ...]:
    notes = []
    if moved:
        notes.append(f"{moved} of {total} sentences cited the wrong evidence; put right")
    if removed:
        notes.append(f"removed {removed} of {total} sentences that the evidence does not support")
    return tuple(notes)


def written(
    kept: Sequence[tuple[Claim, Sequence[Piece]]],
    removed: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Grounded:
    """The kept sentences as one text with renumbered markers, and the citations they name."""
    citations: dict[tuple[str, int, int], Citation] = {}
    text = ""
    for claim, pieces in kept:
        named = []
        for piece in pieces:
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


def quote(claim: str, passage: Passage) -> Piece:
    """The sentence or row of a passage that says most of a text, held by it or not."""
    wanted = terms(claim)

    def worth(place: Place) -> tuple[int, int, int]:
        shared = wanted & place.own_terms
        figures = sum(term[0].isdigit() for term in shared)
        return len(shared) + 2 * figures, len(wanted & place.before_terms), -place.piece.char_start

    places = places_of(passage, 0)
    return _shortened(max(places, key=worth).piece if places else passage.pieces[0])


def quote_around(passage: Passage, start: int, end: int) -> Piece:
    """The sentences or rows of a passage that hold a span of the document, half-open."""
    units = [u for u in passage.units() if u.char_start < end and start < u.char_end]
    if not units:
        raise ValueError(f"no text from {start} to {end} in the passage {passage.title!r}")
    first, last = units[0], units[-1]
    same = first.chunk.chunk_id == last.chunk.chunk_id
    return _shortened(replace(first, end=last.end) if same else first)


def asserts_no_more(sentence: str, passage: Passage, start: int, end: int, question: str) -> bool:
    """Whether a sentence says nothing that the place around a span of the document does not hold.

    Args:
        sentence: phrased around the span.
        passage: where the span stands.
        start: of the span in the document.
        end: of the span, half-open.
        question: what was asked.
    """
    evidence = Evidence.of([passage], question)
    around = [
        place
        for place in evidence.places
        if place.piece.char_start < end and start < place.piece.char_end
    ]
    return supports(evidence.part(sentence, sentence), around) is not None


def _shortened(piece: Piece) -> Piece:
    """At most ``MAX_QUOTE_CHARS``, cut between words."""
    if piece.end - piece.start <= MAX_QUOTE_CHARS:
        return piece
    head = piece.text[:MAX_QUOTE_CHARS]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return replace(piece, end=piece.start + (cut if cut > 0 else MAX_QUOTE_CHARS))
