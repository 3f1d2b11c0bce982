"""Read one generation of the index: hybrid search and whole sections, on one pinned version."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import numpy as np
from lancedb.query import FullTextOperator, LanceVectorQueryBuilder, MatchQuery
from lancedb.table import Table

from rag_assets.index.fusion import reciprocal_rank_fusion
from rag_assets.index.naming import naming
from rag_assets.lake.generations import INDEX, Generation
from rag_assets.lake.store import LakeError, LakeStore, quoted, scan

N_CANDIDATES = 50  # hits taken from each of the two rankings before fusion
N_GROUPS = 40  # of the vector index's some 8,192 vectors, read by a search: all of 300,000 rows
N_SAMPLED = 64  # documents among which a name is looked for
MIN_SAMPLED = 8
N_SAMPLES = 64  # filters of which the sample is kept
REFINE = 2  # times as many are found by the index's rounded vectors, then ranked by the stored ones


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A row of the index: the chunk's text, its place, its document."""

    chunk_id: str
    partition: str
    document_id: str
    section_id: str
    section_ordinal: int
    ordinal: int
    uri: str
    aliases: list[str]
    title: str
    language: str
    heading_path: list[str]
    page: int | None
    start: int
    end: int
    text: str
    blocks: list[dict[str, Any]]  # kind, start, end, as in the table ``chunks``
    document_type: str
    topics: list[str]
    modified_at: datetime
    copies: list[str]  # those of the aliases that hold the same text, word for word
    superseded_by: str  # uri of the newest version of the document; "" if this is it
    superseded_by_title: str
    stated: str = ""  # the day of the document, as it says itself: YYYY-MM-DD; "" if it does not
    # start, page: where its pages begin, in order, in the document's text
    pages: list[dict[str, int]] = field(default_factory=list)

    def is_table(self, place: int) -> bool:
        """Whether a place of the document, within this chunk, stands in a table."""
        return any(
            block["kind"] == "table" and block["start"] <= place < block["end"]
            for block in self.blocks
        )

    def page_of(self, place: int) -> int | None:
        """The page of a place of the document, within this chunk; None where there are no pages."""
        begun = [one["page"] for one in self.pages if one["start"] <= place]
        return begun[-1] if begun else self.page


COLUMNS = [column.name for column in fields(IndexedChunk)]
_ADDED: dict[str, Any] = {
    "blocks": [],
    "copies": [],
    "superseded_by": "",
    "superseded_by_title": "",
    "stated": "",
    "pages": [],
}


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found, with the evidence for it."""

    chunk: IndexedChunk  # what was found
    score: float  # fused score (RRF), unitless; comparable within one search only
    # cosine similarity to the question in [-1, 1]; None if only BM25 found it
    similarity: float | None
    bm25: float | None  # BM25 score; None if only the vector search found it


def nearest(
    table: Table, vector: np.ndarray, n: int, where: str | None = None
) -> LanceVectorQueryBuilder:
    """The query for the ``n`` rows nearest to ``vector``, (d,) floats, by cosine.

    ``where`` is an SQL filter over the columns, applied before ranking. The nearest groups of the
    vector index may hold no row that it leaves; then further ones are searched.
    """
    query = table.search(vector, vector_column_name="vector").distance_type("cosine")
    query = query.nprobes(N_GROUPS).refine_factor(REFINE).limit(n)
    if where is None:
        return query
    return query.maximum_nprobes(0).where(where, prefilter=True)  # 0: as many as it takes


class IndexReader:
    """The chunk index at the version that a generation pins; rows never change under it.

    Attributes:
        generation: that is read.
        where: SQL filter over the columns that all rows read satisfy; None for all of them.
        columns: that this generation's rows have, of those of ``IndexedChunk``.
        has_text_index: whether words can be searched.

    Raises:
        LakeError: the index, or the generation's version of it, is not there.
    """

    def __init__(self, store: LakeStore, generation: Generation) -> None:
        self.generation = generation
        self.where: str | None = None
        self._names: Callable[[str], bool] | None = None
        table = store.table(INDEX)
        if table is None:
            raise LakeError(
                f"generation {generation.id} names an index that is not in the lake at "
                f"{store.uri}; run `rag refresh`"
            )
        table.checkout(generation.index_version)
        self._table: Table = table
        # Narrowed readers are made for each question, and share what was sampled under a filter.
        self._sample = lru_cache(N_SAMPLES)(partial(_sampled, table))
        # A generation that was built before a column was added lacks it.
        self.columns = [name for name in COLUMNS if name in table.schema.names]
        self.has_text_index = any(
            index.columns == ["search_text"] for index in table.list_indices()
        )

    def __len__(self) -> int:
        return int(self._table.count_rows(self.where))

    def narrowed(self, where: str, names: Callable[[str], bool] | None = None) -> "IndexReader":
        """The same version, of which every method reads only some of the rows.

        Args:
            where: SQL filter over the index's columns; it is applied before ranking.
            names: tells by its uri whether another document may be named, as a copy of the one
                that is read or as its newest version; all may where none is given.
        """
        narrow = copy.copy(self)
        narrow.where = where if self.where is None else f"({self.where}) AND ({where})"
        before = self._names
        if names is not None and before is not None:
            narrow._names = lambda uri: before(uri) and names(uri)
        else:
            narrow._names = names or before
        return narrow

    def problem(self) -> str:
        """Why no row can be read any more, as a sentence; "" if one can."""
        try:
            self._table.search().select(["chunk_id"]).limit(1).to_arrow()
        except (OSError, RuntimeError, ValueError) as error:  # as LanceDB raises them
            return f"the rows of generation {self.generation.id} cannot be read: {error}"
        return ""

    def prewarm(self) -> None:
        """Read the search indexes once, so that the first question does not pay for it."""
        for index in self._table.list_indices():
            self._table.prewarm_index(index.name)

    def search(
        self,
        question: str,
        vector: np.ndarray | None,
        *,
        limit: int = 20,
        n_candidates: int = N_CANDIDATES,
    ) -> list[Hit]:
        """Chunks for a question, best first: vector and BM25 rankings fused by RRF.

        Args:
            question: in plain words; no query syntax is read from it. "" for vectors alone.
            vector: (dimension,) float32 unit vector of the question; None for BM25 alone.
            limit: hits returned at most.
            n_candidates: hits taken from each of the two rankings before fusion.
        """
        rows: dict[str, dict[str, Any]] = {}
        by_vector = [] if vector is None else self._by_vector(vector, n_candidates)
        by_text = self._by_text(question, n_candidates)
        for row in [*by_vector, *by_text]:
            rows.setdefault(row["chunk_id"], {}).update(row)
        rankings = [[row["chunk_id"] for row in found] for found in (by_vector, by_text)]
        hits = [
            Hit(self._chunk(rows[key]), score, rows[key].get("similarity"), rows[key].get("_score"))
            for key, score in reciprocal_rank_fusion(rankings)
        ]
        return _once(hits)[:limit]

    def _by_vector(self, vector: np.ndarray, n_candidates: int) -> list[dict[str, Any]]:
        query = nearest(self._table, vector, n_candidates, self.where)
        found: list[dict[str, Any]] = query.select([*self.columns, "_distance"]).to_list()
        for row in found:
            row["similarity"] = 1.0 - float(row["_distance"])
        return found

    def search_near(self, word: str, *, limit: int) -> list[Hit]:
        """Chunks with a word whose stem is up to two edits from this one's, by BM25."""
        rows = self._by_text(word, limit, fuzziness=2)
        return [Hit(self._chunk(row), row["_score"], None, row["_score"]) for row in rows]

    def _by_text(
        self, question: str, n_candidates: int, fuzziness: int = 0
    ) -> list[dict[str, Any]]:
        if not self.has_text_index or not question.strip():
            return []
        question = question.encode("utf-8", "replace").decode()  # JSON may bring lone surrogates
        wanted = MatchQuery(question, "search_text", fuzziness=fuzziness, prefix_length=1)
        query = self._table.search(wanted, query_type="fts")
        if self.where is not None:
            query = query.where(self.where, prefilter=True)
        return list(query.select([*self.columns, "_score"]).limit(n_candidates).to_list())

    def sections(self, section_ids: Sequence[str]) -> dict[str, list[IndexedChunk]]:
        """All chunks of these sections, in reading order, by section id."""
        found: dict[str, list[IndexedChunk]] = {}
        for chunk in self._with("section_id", section_ids):
            found.setdefault(chunk.section_id, []).append(chunk)
        return {key: sorted(rows, key=lambda c: c.ordinal) for key, rows in found.items()}

    def documents(self) -> list[IndexedChunk]:
        """The first chunk of each document, by uri."""
        by_id = {one.document_id: one for one in self._those("section_ordinal = 0 AND ordinal = 0")}
        return sorted(by_id.values(), key=lambda chunk: chunk.uri)

    def share_with(self, words: str) -> float:
        """Share of documents that hold all the words in one chunk, among a sample of them.

        0 where there are fewer than eight documents: a share of so few says nothing.
        """
        if not self.has_text_index or not words.strip():
            return 0.0
        sample = self._sample(self._narrow("section_ordinal = 0 AND ordinal = 0"))
        if len(sample) < MIN_SAMPLED:
            return 0.0
        wanted = MatchQuery(words, "search_text", operator=FullTextOperator.AND)
        of_sample = self._narrow(f"document_id IN ({quoted(sample)})")
        query = self._table.search(wanted, query_type="fts").where(of_sample, prefilter=True)
        rows = query.select(["document_id", "_score"]).limit(self._table.count_rows()).to_arrow()
        return len(set(rows["document_id"].to_pylist())) / len(sample)

    def document(self, document_id: str) -> list[IndexedChunk]:
        """All chunks of a document, in reading order; none of one that is not held."""
        chunks = self._with("document_id", [document_id])
        return sorted(chunks, key=lambda chunk: (chunk.section_ordinal, chunk.ordinal))

    def document_facts(self) -> list[dict[str, Any]]:
        """``uri``, ``document_type`` and ``modified_at`` of each document, without its text."""
        first = self._narrow("section_ordinal = 0 AND ordinal = 0")
        columns = ["uri", "document_type", "modified_at"]
        rows = scan(self._table, columns=columns, where=first).to_pylist()
        return list({row["uri"]: row for row in rows}.values())

    def chunks(self, chunk_ids: Sequence[str]) -> dict[str, IndexedChunk]:
        """These chunks by id; ids that this generation does not hold are left out."""
        return {chunk.chunk_id: chunk for chunk in self._with("chunk_id", chunk_ids)}

    def _with(self, column: str, ids: Sequence[str]) -> list[IndexedChunk]:
        return self._those(f"{column} IN ({quoted(ids)})") if ids else []

    def _those(self, where: str) -> list[IndexedChunk]:
        rows = scan(self._table, columns=self.columns, where=self._narrow(where)).to_pylist()
        return [self._chunk(row) for row in rows]

    def _narrow(self, where: str) -> str:
        return where if self.where is None else f"{where} AND ({self.where})"

    def _chunk(self, row: dict[str, Any]) -> IndexedChunk:
        known: dict[str, Any] = {name: row.get(name) for name in COLUMNS}
        for name, blank in _ADDED.items():  # what an older generation lacks
            known[name] = blank if known[name] is None else known[name]
        return IndexedChunk(**(known if self._names is None else naming(known, self._names)))


def _sampled(table: Table, where: str) -> list[str]:
    """Ids of some of the documents whose first chunks satisfy a filter."""
    rows = scan(table, columns=["document_id"], where=where)
    return sorted(rows["document_id"].to_pylist())[:N_SAMPLED]  # ids are hashes


def _once(hits: Sequence[Hit]) -> list[Hit]:
    """Without chunks that a better hit of another copy says already.

    Copies with different readers all stand in the index; some may read several.
    """
    kept: list[Hit] = []
    said: dict[str, set[str]] = {}  # text -> uris that say the same as those it was kept of
    for hit in hits:
        if hit.chunk.uri not in said.get(hit.chunk.text, ()):
            kept.append(hit)
            said.setdefault(hit.chunk.text, set()).update(hit.chunk.aliases)
    return kept
