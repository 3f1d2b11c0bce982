"""Plan a refresh: read listings and the lake's lineage columns, write no row, ask no model."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from rag_assets.chunks import cut
from rag_assets.documents import normalise
from rag_assets.embeddings import embed
from rag_assets.enrichments import enrich
from rag_assets.index import build
from rag_assets.lake.store import LakeStore, batches, quoted
from rag_assets.plans.flow import Rows, Work, changed_parts, read_stored, work_on
from rag_assets.plans.plan import PartitionPlan, RefreshPlan, StagePlan
from rag_assets.plans.rates import Rate, load_rates
from rag_assets.plans.stages import Models, Stage, stages
from rag_assets.sections import structure
from rag_assets.sections.boilerplate import MIN_PAGES
from rag_assets.sources import ingest
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import FoundFile
from rag_assets.sources.listing import opened

FINGERPRINTS = "plans/fingerprints"  # record: fingerprint -> its parts
ENGINES = "engines"
GATE = "index_evaluation"
BATCH = 1000


def plan_refresh(
    store: LakeStore,
    sources: Sequence[Source],
    models: Models,
    *,
    partitions: Sequence[str] | None = None,
    accept_deletions: bool = False,
) -> RefreshPlan:
    """What a refresh of these sources would do now.

    Args:
        store: the lake; only read.
        sources: to plan for; a web source is not asked.
        models: of the profile.
        partitions: only these of the sources'; None: all.
        accept_deletions: as for the refresh.
    """
    planner = Planner(store, models)
    found = []
    for source in sources:
        wanted = [p for p in source.partitions if partitions is None or p in partitions]
        found += planner.source(source, wanted, accept_deletions)
    rates = {name: rate.where for name, rate in planner.rates.items()}
    return RefreshPlan(found, planner.whole(found), rates)


class Planner:
    """Plans partitions of one lake, with rates and recorded fingerprints read once."""

    def __init__(self, store: LakeStore, models: Models) -> None:
        self.store = store
        self.rates = load_rates(store)
        self._stages = stages(models)
        self._recorded: Mapping[str, Mapping[str, str]] = store.get_record(FINGERPRINTS) or {}

    def source(
        self, source: Source, partitions: Sequence[str], accept_deletions: bool
    ) -> list[PartitionPlan]:
        """Plans of these partitions; its listing is read once, and no file."""
        if source.kind == "web":
            return [self._unasked(source, partition) for partition in partitions]
        try:
            with opened(source) as listing:
                files = listing.files()
        except SourceError as error:
            return [PartitionPlan(p, [], problem=str(error)) for p in partitions]
        n_listed = sum(file.problem is None for file in files)
        n_stood = 0 if accept_deletions else ingest.n_stored(self.store, source)
        if ingest.has_shrunk(n_stood, n_listed):
            problem = (
                f"source {source.name} lists {n_listed:,} readable files where {n_stood:,} stood; "
                "its refresh stops and deletes nothing, unless --accept-deletions is given"
            )
            return [PartitionPlan(p, [], problem=problem) for p in partitions]
        mine: dict[str, dict[str, FoundFile]] = {partition: {} for partition in partitions}
        for file in files:
            of = source.partition_of(file.uri)
            if of in mine:
                mine[of][file.uri] = file
        return [PartitionPlan(p, self._planned(source, p, mine[p])) for p in partitions]

    def _unasked(self, source: Source, partition: str) -> PartitionPlan:
        rows = self.store.rows(ingest.TABLE.name, partition, columns=["uri", "input_hash"])
        held = {row["uri"]: row["input_hash"] for row in rows}
        note = (
            "which pages changed cannot be known without asking; the last crawl held "
            f"{len(held):,} pages, and the plan takes them as they are"
        )
        planned = self._chain(source, partition, held, {})
        unknown = ("new", "changed", "gone", "unchanged")
        marked = [replace(one, estimated=sorted({*one.estimated, *unknown})) for one in planned]
        return PartitionPlan(partition, marked, note=note)

    def _planned(
        self, source: Source, partition: str, files: Mapping[str, FoundFile]
    ) -> list[StagePlan]:
        states = {uri: file.state for uri, file in files.items()}
        return self._chain(source, partition, states, files)

    def _chain(
        self,
        source: Source,
        partition: str,
        states: Mapping[str, str],
        files: Mapping[str, FoundFile],
    ) -> list[StagePlan]:
        rows = {"": Rows(standing=dict(states))}
        unread = ingest.unread(self.store, partition, files)
        found = []
        for stage in self._stages:
            inputs = rows[stage.upstream or ""]
            if stage.name == enrich.TABLE.name and not source.enrich:
                inputs = Rows()
            moves = False
            if stage.name == structure.TABLE.name:
                inputs, moves = self._with_boilerplate(partition, inputs)
            work = work_on(
                stage,
                read_stored(self.store, stage, partition),
                inputs,
                self._why,
                self.rates[stage.name].rows_per_input,
                moves=moves,
                retry=unread if stage.upstream is None else frozenset(),
            )
            rows[stage.name] = work.rows
            found.append(self._costed(stage, partition, work, files))
        return found

    def _why(self, stage: Stage, stored: str) -> str:
        return changed_parts(stage.parts, self._recorded.get(stored))

    def _with_boilerplate(self, partition: str, inputs: Rows) -> tuple[Rows, bool]:
        """The documents as ``sections`` takes them, and whether their boilerplate may change.

        It follows from all documents of a partition, so it may as soon as any of them does.
        """
        left_out = structure.known_boilerplate(self.store, partition)
        standing = {
            key: structure.input_hash(digest, left_out.get(key))
            for key, digest in inputs.standing.items()
        }
        table = self.store.table(normalise.TABLE.name, partition)
        n_before = 0 if table is None else table.count_rows()
        n_after = len(inputs.standing) + len(inputs.redone) + sum(inputs.added.values())
        stand_all = len(inputs.standing) == n_before and not inputs.added
        may_move = bool(standing) and not stand_all and max(n_before, n_after) >= MIN_PAGES
        return replace(inputs, standing=standing), may_move

    def _costed(
        self, stage: Stage, partition: str, work: Work, files: Mapping[str, FoundFile]
    ) -> StagePlan:
        rate, estimated = self.rates[stage.name], {*work.estimated, "seconds"}
        calls = n_tokens_in = n_tokens_out = n_bytes = 0
        units: float = work.to_compute
        n_unknown = work.to_compute - len(work.known)
        if stage.name == ingest.TABLE.name:
            n_bytes = sum(files[uri].size for uri in work.known if uri in files)
        elif stage.name == "embeddings" and work.to_compute:
            calls, tokens, per_call = self._to_embed(stage, partition, work.known)
            calls += n_unknown
            n_tokens_in = round(tokens + n_unknown * per_call)
        elif stage.name == enrich.TABLE.name and work.to_compute:
            calls = self._to_classify(stage, partition, work.known) + n_unknown
            n_tokens_in = round(calls * rate.tokens_in / max(rate.units, 1))
            n_tokens_out = round(calls * rate.tokens_out / max(rate.units, 1))
            estimated |= {"tokens_in", "tokens_out"}
        if stage.name in ("embeddings", enrich.TABLE.name):
            units = calls
            estimated |= {"calls", "tokens_in"} if n_unknown else set()
        return StagePlan(
            stage=stage.name,
            new=work.new,
            changed=work.changed,
            gone=work.gone,
            unchanged=work.unchanged,
            calls=calls,
            tokens_in=n_tokens_in,
            tokens_out=n_tokens_out,
            n_bytes=n_bytes,
            seconds=rate.idle_seconds + units * rate.seconds_per_unit,
            estimated=sorted(estimated),
            causes=dict(work.causes),
        )

    def _to_embed(
        self, stage: Stage, partition: str, chunk_ids: Sequence[str]
    ) -> tuple[int, int, float]:
        """(texts that are not in the cache, their tokens, tokens of a chunk on average)."""
        wanted, texts = set(chunk_ids), {}
        n_tokens, n_rows = 0, 0
        table = self.store.table(cut.TABLE.name, partition)
        if table is not None:
            columns = ["chunk_id", "embedded_hash", "n_tokens"]
            for batch in batches(table, columns=columns):
                for chunk_id, digest, size in zip(
                    *(batch[name].to_pylist() for name in columns), strict=True
                ):
                    n_tokens, n_rows = n_tokens + size, n_rows + 1
                    if chunk_id in wanted:
                        texts[embed.cache_key(digest, stage.fingerprint)] = size
        missing = texts.keys() - self._cached(embed.CACHE, texts.keys())
        average = n_tokens / n_rows if n_rows else self.rates[cut.TABLE.name].tokens_per_row
        return len(missing), sum(texts[key] for key in missing), average

    def _to_classify(self, stage: Stage, partition: str, document_ids: Sequence[str]) -> int:
        """Excerpts that are not in the cache; these documents' beginnings are read."""
        keys: set[str] = set()
        for start in range(0, len(document_ids), BATCH):
            ids = document_ids[start : start + BATCH]
            excerpts = enrich.read_excerpts(self.store, partition, ids)
            keys |= {enrich.cache_key(text, stage.fingerprint) for text in excerpts.values()}
        return len(keys - self._cached(enrich.CACHE, keys))

    def _cached(self, name: str, keys: Set[str]) -> set[str]:
        """Those of the keys that the cache holds; its keys are read once, its values not."""
        table = self.store.table(name) if keys else None
        if table is None:
            return set()
        if len(keys) <= BATCH:
            where = f"key IN ({quoted(sorted(keys))})"
            return {row["key"] for row in self.store.rows(name, columns=["key"], where=where)}
        found: set[str] = set()
        for batch in batches(table, columns=["key"], batch_size=65_536):
            found |= keys & set(batch["key"].to_pylist())
        return found

    def whole(self, partitions: Sequence[PartitionPlan]) -> list[StagePlan]:
        """Of the stages that look at all partitions: estimates, as what they read will change."""
        by_stage: dict[str, list[StagePlan]] = {}
        for partition in partitions:
            for stage in partition.stages:
                by_stage.setdefault(stage.stage, []).append(stage)
        documents, embedded, enriched = (
            by_stage.get(name, []) for name in ("documents", "embeddings", "enrichments")
        )
        moved = any(one.has_work for one in documents)
        n_documents = self._count(normalise.TABLE.name) if moved else 0
        n_documents += sum(one.new for one in documents) - sum(one.gone for one in documents)
        grouped = self._whole("duplicates", changed=n_documents if moved else 0)
        index = self._index(embedded, enriched)
        gate = self._whole(GATE, changed=int(index.has_work))
        calls = any(one.calls for one in [*embedded, *enriched]) or index.has_work
        engines = self._whole(ENGINES, changed=int(calls))
        return [grouped, index, gate, engines]

    def _index(self, embedded: Sequence[StagePlan], enriched: Sequence[StagePlan]) -> StagePlan:
        """Rows of the index follow their chunks; new labels write all chunks of their document."""
        new, changed = sum(one.new for one in embedded), sum(one.changed for one in embedded)
        gone = sum(one.gone for one in embedded)
        relabelled = sum(one.changed for one in enriched)
        if not (new or changed or gone or relabelled):
            return self._whole(build.INDEX)
        n_chunks = self._count(cut.TABLE.name)
        n_documents = self._count(normalise.TABLE.name)
        index = self.store.table(build.INDEX)
        # Copies and flagged pages have chunks, too, and no rows.
        share = 1.0 if index is None or not n_chunks else min(index.count_rows() / n_chunks, 1.0)
        changed = max(changed, round(relabelled * n_chunks / max(n_documents, 1)))
        return self._whole(
            build.INDEX,
            new=round(new * share),
            changed=round(changed * share),
            gone=round(gone * share),
        )

    def _whole(self, name: str, *, new: int = 0, changed: int = 0, gone: int = 0) -> StagePlan:
        rate: Rate = self.rates[name]
        counts = {"changed": changed, "gone": gone, "new": new}
        return StagePlan(
            stage=name,
            new=new,
            changed=changed,
            gone=gone,
            seconds=rate.idle_seconds + (new + changed) * rate.seconds_per_unit,
            estimated=(*(kind for kind, n in counts.items() if n), "seconds"),
        )

    def _count(self, name: str) -> int:
        tables = (self.store.table(name, one) for one in self.store.partitions(name))
        return sum(table.count_rows() for table in tables if table is not None)
