"""Stage 2, the part that looks at all partitions: bring the table ``duplicates`` up to date.

The cost of a run depends on what changed. If no documents table changed, none is read. If one did,
the ids, bands and sketches of all documents are read and candidates are found again by sorting (3
processor seconds for 100,000 documents, 34 for a million). Only new texts are read, and
only pairs with one are compared.

A record says what the tables were made from. It is emptied before the first table is written and
written last, so a run that was killed in between is never taken for a finished one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from lancedb.table import Table as LanceTable

from rag_assets.documents import signatures
from rag_assets.duplicates import facts
from rag_assets.duplicates.candidates import MIN_BANDS, Postings
from rag_assets.duplicates.corpus import Corpus, load_corpus, open_documents
from rag_assets.duplicates.grouping import (
    CONTAINED_THRESHOLD,
    SIBLING_THRESHOLD,
    SIMILAR_THRESHOLD,
    Grouping,
    Related,
    find_related,
    group_near,
)
from rag_assets.duplicates.verifying import TEXT_KEYS, VERIFIED_PAIRS, Verifier
from rag_assets.duplicates.versions import Named, newer
from rag_assets.lake.erasing import scrub
from rag_assets.lake.figures import Outcome, Table
from rag_assets.lake.identity import data_version
from rag_assets.lake.schemas import TEXT, required, texts
from rag_assets.lake.store import GLOBAL, LakeStore, state_of

VERSION = "3"

DUPLICATES: Final = pa.schema(
    [
        required("document_id", TEXT),  # the alias
        *texts("uri", "canonical_id", "canonical_uri"),
        required("kind", TEXT),  # exact | near: the same but for layout and page furniture
        required("similarity", pa.float32()),  # Jaccard of word 3-shingles with the canonical
    ]
)

RELATED_DOCUMENTS: Final = pa.schema(  # pairs that both stand, neither for the other
    [
        required("document_id", TEXT),  # the older version, or the one with fewer shingles
        *texts("uri", "related_id", "related_uri", "related_title"),
        required("kind", TEXT),  # version | sibling | similar | contained
        required("similarity", pa.float32()),  # Jaccard of their shingles
        required("containment", pa.float32()),  # share of the smaller one's shingles in the larger
    ]
)

ALIASES = "duplicates"
RELATED = "related_documents"
PAIRS = "verified_pairs"
KEYS = "text_keys"
RELATIONS = ("version", "sibling", "similar", "contained")
STATE = "duplicates"  # record: what the tables were made from


@dataclass(frozen=True, slots=True)
class CollapseReport:
    """What the stage found, and what it took."""

    n_documents: int  # of all partitions
    by_kind: dict[str, int]  # aliases by kind, exact or near
    by_relation: dict[str, int]  # related pairs by kind
    changed: int  # aliases that appeared, vanished or moved
    n_pairs: int  # pairs of texts whose similarity the result rests on
    n_verified: int  # of these, compared in this run
    n_read: int  # texts read in this run
    data_version: str  # of the aliases and the versions: nothing downstream uses other relations


def collapse_duplicates(store: LakeStore, version: str = VERSION) -> CollapseReport:
    """Group all documents of all partitions; write only what changed."""
    opened = open_documents(store)
    made_from = _made_from(opened, version)
    state = store.get_record(STATE) or {}
    if _have_all(store) and state.get("made_from") == made_from:
        report = CollapseReport(**state["report"])
        return replace(report, changed=0, n_verified=0, n_read=0)
    is_same_code = state.get("made_from", {}).get("code") == made_from["code"]
    store.put_record(STATE, {"made_from": {"code": made_from["code"]}} if is_same_code else {})
    known = store.read(PAIRS, columns=VERIFIED_PAIRS.names) if is_same_code else None
    keyed = store.read(KEYS, columns=TEXT_KEYS.names) if is_same_code else None
    report = _collapse(store, opened, known, keyed)
    store.put_record(STATE, {"made_from": made_from, "report": asdict(report)})
    return report


def collapse(store: LakeStore, version: str) -> Outcome:
    """Group all documents; one run at a time, so that the later one sees what the earlier saw."""
    with store.locked(ALIASES):
        report = collapse_duplicates(store, version)
    aliases, related = store.rows(ALIASES), store.rows(RELATED)
    return Outcome(
        report.data_version,
        {
            "dagster/row_count": len(aliases),
            "documents": report.n_documents,
            "exact": report.by_kind.get("exact", 0),
            "near": report.by_kind.get("near", 0),
            "changed": report.changed,
            **{f"related_{kind}": report.by_relation.get(kind, 0) for kind in RELATIONS},
            "n_pairs": report.n_pairs,
            "n_verified": report.n_verified,
            "n_texts_read": report.n_read,
            "threshold_sibling": SIBLING_THRESHOLD,
            "threshold_similar": SIMILAR_THRESHOLD,
            "threshold_contained": CONTAINED_THRESHOLD,
            "aliases": Table(
                ("alias", "canonical", "kind", "similarity"),
                [
                    (r["uri"], r["canonical_uri"], r["kind"], f"{r['similarity']:.2f}")
                    for r in sorted(aliases, key=lambda row: str(row["canonical_uri"]))
                ],
            ),
            "related": Table(
                ("document", "related", "kind", "similarity", "containment"),
                [
                    (r["uri"], r["related_uri"], r["kind"],
                     f"{r['similarity']:.2f}", f"{r['containment']:.2f}")
                    for r in sorted(related, key=lambda row: str(row["related_uri"]))
                ],
            ),
        },
    )  # fmt: skip


def forget(store: LakeStore, version: str) -> None:
    """Group what documents there are still, and scrub the tables of those that are gone."""
    with store.locked(ALIASES):
        collapse_duplicates(store, version)
        for name in (ALIASES, RELATED, PAIRS, KEYS):
            scrub(store, name)


def is_current(store: LakeStore, version: str) -> bool:
    """Whether collapsing would find nothing changed; reads what a run reads to find that out."""
    made_from = (store.get_record(STATE) or {}).get("made_from")
    return _have_all(store) and made_from == _made_from(open_documents(store), version)


def _made_from(opened: Mapping[str, LanceTable], version: str) -> dict[str, Any]:
    return {
        "code": f"{version}/{signatures.VERSION}/{facts.VERSION}",
        "documents": {name: state_of(table) for name, table in opened.items()},
    }


def _have_all(store: LakeStore) -> bool:
    return all(store.table(name) is not None for name in (ALIASES, RELATED))


def _collapse(
    store: LakeStore,
    opened: Mapping[str, LanceTable],
    known: pa.Table | None,
    keyed: pa.Table | None,
) -> CollapseReport:
    corpus = load_corpus(list(opened.values()))
    verifier = Verifier(
        corpus.text_hashes(),
        VERIFIED_PAIRS.empty_table() if known is None else known,
        TEXT_KEYS.empty_table() if keyed is None else keyed,
        corpus.contents,
    )
    bands = corpus.bands()
    owners = Postings.of_bands(bands).owners(MIN_BANDS)
    grouping = group_near(owners, len(corpus.first), verifier)
    near = Postings.of_bands(bands, grouping.stands)
    del bands
    related = find_related(near, corpus.sketches(grouping.stands), verifier)
    used, used_keys = verifier.used(), verifier.keyed()
    if known is None or verifier.n_verified or used.num_rows != known.num_rows:
        store.overwrite(PAIRS, used)
    if keyed is None or not used_keys.equals(keyed):
        store.overwrite(KEYS, used_keys)
    aliases = _alias_rows(corpus, grouping)
    changed = _replace(store, ALIASES, aliases)
    relations = _related_rows(corpus, related)
    _replace(store, RELATED, relations)
    rows, pairs = aliases.to_pylist(), relations.to_pylist()
    return CollapseReport(
        n_documents=corpus.rows.num_rows,
        by_kind=dict(Counter(row["kind"] for row in rows)),
        by_relation=dict(Counter(pair["kind"] for pair in pairs)),
        changed=changed,
        n_pairs=used.num_rows,
        n_verified=verifier.n_verified,
        n_read=verifier.n_read,
        data_version=data_version(
            [(row["document_id"], f"{row['canonical_id']}/{row['kind']}") for row in rows]
            + [
                (pair["document_id"], f"{pair['related_id']}/{pair['related_title']}")
                for pair in pairs
                if pair["kind"] == "version"
            ]
        ),
    )


def _replace(store: LakeStore, name: str, rows: pa.Table) -> int:
    """Write the rows unless the table holds them; returns in how many documents they differ."""
    stored = store.table(name)
    before = _values(store.rows(name, GLOBAL)), _values(rows.to_pylist())
    if stored is None or before[0] != before[1]:
        store.overwrite(name, rows)
    return len({row[0] for row in before[0] ^ before[1]})


def _values(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in rows}


def _alias_rows(corpus: Corpus, grouping: Grouping) -> pa.Table:
    """Rows of ``DUPLICATES``, sorted by id: every document that is not its group's first.

    An exact copy of a near duplicate is listed under the near duplicate's canonical, as near.
    """
    canonical = corpus.first[grouping.leader[corpus.text_of]]
    aliases = np.flatnonzero(canonical != np.arange(len(canonical)))
    texts = corpus.text_of[aliases]
    named = corpus.rows.select(["document_id", "uri"])
    mine, theirs = named.take(pa.array(aliases)), named.take(pa.array(canonical[aliases]))
    kinds = np.where(grouping.stands[texts], "exact", "near").tolist()
    columns = [*mine.columns, *theirs.columns, pa.array(kinds, pa.string())]
    similarity = pa.array(grouping.similarity[texts])
    return pa.table([*columns, similarity], schema=DUPLICATES).sort_by("document_id")


def _related_rows(corpus: Corpus, related: Sequence[Related]) -> pa.Table:
    """Rows of ``RELATED_DOCUMENTS``, sorted by ids; the newer of two versions is the related."""
    texts = sorted({text for pair in related for text in (pair.small, pair.large)})
    names = dict(zip(texts, corpus.names(texts), strict=True))
    pairs = [_ordered(pair, names) for pair in related]
    ends = [
        corpus.rows.select(["document_id", "uri"]).take(
            pa.array(corpus.first[np.array(positions, dtype=np.int64)])
        )
        for positions in ([pair.small for pair in pairs], [pair.large for pair in pairs])
    ]
    titles = pa.array([names[pair.large].said for pair in pairs], TEXT)
    columns = [*ends[0].columns, *ends[1].columns, titles]
    columns += [
        pa.array([getattr(pair, field.name) for pair in pairs], field.type)
        for field in list(RELATED_DOCUMENTS)[len(columns) :]
    ]
    rows = pa.table(columns, schema=RELATED_DOCUMENTS)
    return rows.sort_by([("document_id", "ascending"), ("related_id", "ascending")])


def _ordered(pair: Related, names: Mapping[int, Named]) -> Related:
    """The pair, as a version and its newer one if it is that."""
    order = newer(names[pair.small], names[pair.large])
    if order == 0:
        return pair
    older, later = (pair.large, pair.small) if order > 0 else (pair.small, pair.large)
    return replace(pair, small=older, large=later, kind="version")
