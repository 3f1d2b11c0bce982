"""Search alone: passages for a question, ranked as for an answer, and no language model asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from rag_assets.answers.citations import Citation
from rag_assets.answers.filters import NO_FILTERS, Filters
from rag_assets.answers.questions import MAX_CHARS_PER_TOKEN, QuestionError, plain_question
from rag_assets.index.search import IndexReader
from rag_assets.models.protocols import Embedder
from rag_assets.retrieval.asked import asked
from rag_assets.retrieval.focus import focused
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets.retrieval.searching import retrieve
from rag_assets.retrieval.selection import ranked
from rag_assets.retrieval.terms import terms
from rag_assets.retrieval.times import wanted_times

MOST_HITS = 50
MOST_TOKENS = 1000  # of a question, as of one that is answered
QUOTE_WORDS = 60


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        citation: where it stands; its quote are the lines nearest to the question.
        text: all of it.
        score: comparable within one search only; the best come first.
        similarity: cosine of its vector with the question's; None if only its words were found.
        document_type: label of its document; "" if it has none.
        language: of its document.
        stated: day that its document states; "" if it states none.
    """

    citation: Citation
    text: str
    score: float
    similarity: float | None
    document_type: str
    language: str
    stated: str

    def to_record(self) -> dict[str, Any]:
        """As JSON prints it."""
        return {
            **self.citation.to_record(),
            "text": self.text,
            "score": round(self.score, 6),
            "similarity": None if self.similarity is None else round(self.similarity, 4),
            "document_type": self.document_type,
            "language": self.language,
            "stated": self.stated,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found, best first."""

    question: str
    hits: tuple[Hit, ...]
    n_chunks: int  # that were searched: those which the filters and the caller's rights leave
    generation_id: str

    def to_record(self) -> dict[str, Any]:
        """The contract of ``rag search --json``; fields may be added to it, none taken away."""
        return {
            "question": self.question,
            "hits": [hit.to_record() for hit in self.hits],
            "chunks_searched": self.n_chunks,
            "generation": {"id": self.generation_id},
        }


def find(
    reader: IndexReader,
    embedder: Embedder,
    question: str,
    *,
    filters: Filters = NO_FILTERS,
    limit: int = 10,
    clock: Callable[[], date] = date.today,
) -> Findings:
    """Passages for a question.

    Args:
        reader: the generation to search.
        embedder: the model that it was made with.
        question: in plain words, or search words.
        filters: which documents are searched.
        limit: passages, at most ``MOST_HITS``.
        clock: the day on which it is asked.

    Raises:
        QuestionError: question, filters or limit are none.
        EngineUnavailableError: the embedder does not answer.
    """
    text = plain_question(question)
    if len(text) > MOST_TOKENS * MAX_CHARS_PER_TOKEN:
        raise QuestionError(f"the question has {len(text):,} characters; ask it alone")
    if not 1 <= limit <= MOST_HITS:
        raise QuestionError(f"limit must be between 1 and {MOST_HITS}; got {limit}")
    where = filters.sql(reader)
    narrow = reader if where is None else reader.narrowed(where)
    times = wanted_times(text, clock())
    words = " ".join([asked(text), *times.words])
    found = retrieve(narrow, embedder, words, limit=limit)
    wanted = terms(found.question)
    weights = dict.fromkeys(wanted, 1.0)
    hits = []
    for n, (hit, score) in enumerate(ranked(found.hits, wanted, times), start=1):
        chunk = hit.chunk
        passage = Passage(pieces_of([chunk]), frozenset(), score, hit.similarity, whole=False)
        near = focused(passage.without_headings(), weights, QUOTE_WORDS, _n_words)
        quote = max(near.pieces, key=lambda piece: len(wanted & terms(piece.text)))
        hits.append(
            Hit(
                Citation.of(n, quote),
                chunk.text,
                score,
                hit.similarity,
                chunk.document_type,
                chunk.language,
                chunk.stated,
            )
        )
    return Findings(text, tuple(hits), len(narrow), reader.generation.id)


def _n_words(text: str) -> int:
    return len(text.split())
