"""The list of stages, in the order in which data flows; the only place that names them.

To add a stage: write its room (a table and a function that gives rows), and add an entry here. If
answers are to see its rows, name it in the upstream of ``CHUNK_INDEX`` and read it in
``index/stage.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from rag_assets import plugins
from rag_assets.access.file import readers_in
from rag_assets.chunks import checks as chunk_checks
from rag_assets.chunks import stage as chunks
from rag_assets.documents import checks as document_checks
from rag_assets.documents import stage as documents
from rag_assets.documents.readers.registry import Reader
from rag_assets.duplicates import stage as duplicates
from rag_assets.embeddings import stage as embeddings
from rag_assets.enrichments import checks as enrichment_checks
from rag_assets.enrichments import stage as enrichments
from rag_assets.index import checks as index_checks
from rag_assets.index import gate, promotion
from rag_assets.index import stage as index
from rag_assets.lake.delta import Progress
from rag_assets.lake.figures import Finding, Markdown, Outcome, Value
from rag_assets.lake.generations import INDEX
from rag_assets.markup import markdown_cell
from rag_assets.pipeline.run import Run
from rag_assets.pipeline.stage import Check, Cost, Stage, changed, checked
from rag_assets.plugins import PluginError
from rag_assets.sections import stage as sections
from rag_assets.settings import find_home
from rag_assets.sources import stage as source_files
from rag_assets.sources.golden import Case, CaseError, load_cases

_PAGES = "194 HTML pages, 2-core AMD EPYC without AVX-512, 2026-11-22"
_SAMPLE = "first refresh of the sample, 2-core AMD EPYC with AVX-512, 2026-11-22"
MAX_NOTICES = 50  # of files that could not be read, in the UI
_ENGINE = "bf16 MiniLM, chunks of 200 tokens, 2-core Xeon with AMX, 2026-11-22"


def _read_by(readers: Sequence[Reader]) -> dict[str, Any]:
    """What the stage of documents owes to further readers."""
    return {
        "parts": lambda _facts, _source: documents.parts(readers),
        "compute": lambda run, batch: documents.read(
            run.store, batch.partition, batch.ids, run.pool, readers
        ),
    }


def _check(check: Callable[..., Finding], *needs: str) -> Check:
    """A check of a room, given the lake, the partitions, and what else it needs of the run."""

    @wraps(check)
    def checked(run: Run, partitions: Sequence[str]) -> Finding:
        return check(run.store, partitions, *(getattr(run, name) for name in needs))

    return checked


def _kept_unread(run: Run, _partitions: Sequence[str]) -> Mapping[str, Value]:
    notices = run.files.notices
    shown = "\n".join(f"- {markdown_cell(text)}" for text in notices[:MAX_NOTICES]) or "none"
    return {"n_kept_unread": len(notices), "kept_unread": Markdown(shown)}


def _chunk_summary(run: Run, partitions: Sequence[str]) -> Mapping[str, Value]:
    return {"window": run.facts.max_tokens, **chunks.summary(run.store, partitions)}


def _evaluated(run: Run, _stage: Stage, _progress: Progress) -> Outcome:
    cases, warnings = list[Case](), list[str]()
    for source in run.sources.values():
        try:
            cases += load_cases(source)
        except CaseError as error:
            warnings.append(f"the golden questions of {source.name} are not asked: {error}")
    return replace(
        gate.evaluate(run.store, cases, run.embedder, run.question_embedder), warnings=warnings
    )


SOURCE_FILES = Stage(
    name="source_files",
    description="What exists at the sources now: uri, size, mtime, xxh3_128 of the bytes. The "
    "bytes are kept under their hash, so that later stages never ask the source again.",
    version=source_files.VERSION,
    tables=(source_files.TABLE,),
    inputs=lambda run, _stage, partition: run.files.inputs(partition),
    compute=lambda run, batch: run.files.rows(batch.ids),
    retry=lambda run, partition: run.files.unread(partition),
    summaries={source_files.TABLE.name: _kept_unread},
    batch=source_files.BATCH_FILES,
    one_row_an_input=True,
    group="ingest",
    kinds=frozenset({"lancedb", "xxhash"}),
    counts="files",
    cost=Cost(194, 0.35, where=_PAGES),
)

DOCUMENTS = Stage(
    name="documents",
    description="Normalised text with structure, language, title and MinHash signature.",
    version=documents.VERSION,
    upstream=(SOURCE_FILES,),
    tables=(documents.REJECTED, documents.TABLE),
    **_read_by(()),
    batch=documents.BATCH_FILES,
    size_of=documents.sizes_of_files,
    checks=(_check(document_checks.every_file_accounted_for),),
    summaries={
        documents.TABLE.name: lambda run, keys: documents.summary(run.store, keys),
        documents.REJECTED.name: lambda run, keys: documents.rejects_summary(run.store, keys),
    },
    group="normalise",
    kinds=frozenset({"lancedb", "python"}),
    counts="files read",
    cost=Cost(194, 9.5, where=_PAGES),
)

DUPLICATES = Stage(
    name="duplicates",
    description="Which documents others stand for: exact duplicates by xxh3_128 of the text, near "
    "ones, which MinHash proposes, by all that they say but for layout and page furniture. One row "
    "per alias. Versions, siblings, documents that are similar or contain one another are in "
    "related_documents.",
    version=duplicates.VERSION,
    upstream=(DOCUMENTS,),
    whole=lambda run, stage, _progress: duplicates.collapse(run.store, stage.version),
    is_current=lambda store, stage, _facts: duplicates.is_current(store, stage.version),
    group="normalise",
    kinds=frozenset({"lancedb", "xxhash"}),
    cost=Cost(194, 0.12, where=_PAGES),
)

SECTIONS = Stage(
    name="sections",
    description="One row per section: heading path, page, half-open offsets into the document's "
    "text. Blocks that repeat across a partition's pages are in no section.",
    version=sections.VERSION,
    upstream=(DOCUMENTS,),
    tables=(sections.TABLE,),
    inputs=lambda run, stage, partition: sections.inputs(run.store, partition, stage.version),
    recorded=sections.recorded_inputs,
    compute=lambda run, batch: sections.cut(run.store, batch.partition, batch.ids),
    size_of=documents.sizes_of_documents,
    summaries={sections.TABLE.name: lambda run, keys: sections.summary(run.store, keys)},
    group="structure",
    kinds=frozenset({"lancedb", "python"}),
    counts="documents cut",
    cost=Cost(194, 0.35, rows_per_input=1.4, where=_PAGES),
)

CHUNKS = Stage(
    name="chunks",
    description="One row per chunk; none crosses a section, none exceeds the embedder's window.",
    version=chunks.VERSION,
    upstream=(SECTIONS,),
    tables=(chunks.TABLE,),
    parts=lambda facts, _source: {"tokenizer": facts.tokenizer_id, "window": facts.max_tokens},
    is_hashed=True,
    compute=lambda run, batch: chunks.cut(
        run.store, batch.partition, batch.ids, run.window.tokenizer, run.facts.max_tokens
    ),
    batch=512,
    size_of=sections.sizes,
    checks=(
        _check(chunk_checks.chunks_fit_the_embedder, "window"),
        _check(chunk_checks.chunk_ids_unique),
    ),
    summaries={chunks.TABLE.name: _chunk_summary},
    group="chunk",
    kinds=frozenset({"lancedb", "python"}),
    counts="sections cut",
    cost=Cost(263, 2.3, rows_per_input=5.2, where=_PAGES),
)

EMBEDDINGS = Stage(
    name="embeddings",
    description="One unit vector a chunk by the embedder, cached by text and model.",
    version=embeddings.VERSION,
    upstream=(CHUNKS,),
    tables=(embeddings.TABLE,),
    schema=lambda facts: embeddings.schema(facts.dimension),
    parts=lambda facts, _source: {
        "model": facts.embedder[0],
        "model revision": facts.embedder[1],
    },
    is_hashed=True,
    compute=lambda run, batch: embeddings.embed(
        run.store, batch.partition, batch.ids, run.embedder, batch.fingerprint, run.count_embedded
    ),
    batch=512,
    one_row_an_input=True,
    asks="embedder",
    cache=embeddings.CACHE,
    group="embed",
    kinds=frozenset({"lancedb", "vllm"}),
    counts="chunks embedded",
    cost=Cost(136, 1.0, tokens_in=136 * 203, where=_ENGINE),
)

ENRICHMENTS = Stage(
    name="enrichments",
    description="Of what type each document is: nearest description by the embedder, close calls "
    "by the small model. Topics, a summary and a question where the source asks for them.",
    version=enrichments.VERSION,
    upstream=(DOCUMENTS,),
    tables=(enrichments.TABLE,),
    parts=lambda facts, source: enrichments.parts(source, facts.embedder, facts.slm),
    is_hashed=True,
    compute=lambda run, batch: enrichments.enrich(
        run.store, batch.partition, batch.ids, batch.source, run.labeller, run.slm, batch.version
    ),
    wanted=lambda source: enrichments.wanted_of(source) is not None,
    may_be_missing=True,
    batch=enrichments.BATCH,
    size_of=documents.sizes_of_documents,
    one_row_an_input=True,
    asks="slm",
    cache=enrichments.CACHE,
    checks=(_check(enrichment_checks.labels_are_in_the_set, "sources"),),
    summaries={enrichments.TABLE.name: lambda run, keys: enrichments.summary(run.store, keys)},
    group="enrich",
    kinds=frozenset({"lancedb", "vllm"}),
    counts="documents described",
    # 9 of the 54 were close calls: two prompts of about 200 tokens each, and two short answers.
    cost=Cost(
        54,
        5.7,
        tokens_in=18 * 200,
        tokens_out=18 * 5,
        where="first refresh of the sample, 2 cores of an Intel Xeon with AMX, 2026-11-29",
    ),
)

CHUNK_INDEX = Stage(
    name=INDEX,
    description="Vectors, BM25 and scalar indexes in one LanceDB table; a new candidate if rows "
    "changed.",
    version=index.VERSION,
    upstream=(DUPLICATES, DOCUMENTS, CHUNKS, EMBEDDINGS, ENRICHMENTS),
    whole=lambda run, stage, progress: index.build(
        run.store,
        stage,
        dimension=run.facts.dimension,
        models=run.facts.identities,
        run_id=run.run_id,
        readers=readers_in(find_home()),
        progress=progress,
    ),
    is_current=lambda store, stage, facts: index.is_current(
        store, stage, facts.identities, readers_in(find_home())
    ),
    checks=(_check(index_checks.index_covers_all_rows),),
    group="index",
    cost=Cost(338, 0.37, where="the sample, 2-core AMD EPYC without AVX-512, 2026-11-22"),
)

INDEX_EVALUATION = Stage(
    name="index_evaluation",
    description="Golden questions and canaries, asked of the candidate and of the live generation.",
    version=gate.VERSION,
    upstream=(CHUNK_INDEX,),
    whole=_evaluated,
    checks=(_check(gate.candidate_may_go_live),),
    group="index",
    cost=Cost(1, 2.0, where="assumed"),
)

LIVE_INDEX = Stage(
    name="live_index",
    description="Publishes the candidate that passed its gate; one atomic write makes it live.",
    version=promotion.VERSION,
    upstream=(INDEX_EVALUATION,),
    whole=lambda run, _stage, _progress: promotion.publish_candidate(run.store),
    group="index",
)

STAGES = (
    SOURCE_FILES,
    DOCUMENTS,
    DUPLICATES,
    SECTIONS,
    CHUNKS,
    EMBEDDINGS,
    ENRICHMENTS,
    CHUNK_INDEX,
    INDEX_EVALUATION,
    LIVE_INDEX,
)


def with_readers(stages: Sequence[Stage], readers: Sequence[Reader] = ()) -> Sequence[Stage]:
    """The stages, where documents are read by these readers and the installed ones, too.

    Args:
        stages: in the order in which data flows.
        readers: asked before the package's own, in this order.

    Raises:
        PluginError: an installed reader cannot be imported, or one is none.
    """
    checked(stages)
    found = (*readers, *plugins.installed(plugins.READERS))
    for reader in found:
        lacking = [
            name
            for name in ("media_types", "version", "recognise", "read")
            if isinstance(reader, type) or not hasattr(reader, name)
        ]
        if lacking:
            raise PluginError(
                f"expected a reader with {', '.join(lacking)}, got {reader!r:.200}; pass an "
                "object, not its class, and test it with rag_assets.contracts.check_reader"
            )
    return changed(stages, DOCUMENTS.name, **_read_by(found)) if found else stages
