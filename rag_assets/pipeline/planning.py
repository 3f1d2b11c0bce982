"""Plan a refresh: read listings and the lake's lineage columns, write no row, ask no model."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from rag_assets.chunks import stage as cut
from rag_assets.documents import stage as normalise
from rag_assets.embeddings import stage as embed
from rag_assets.enrichments import stage as enrich
from rag_assets.index import stage as build
from rag_assets.lake.store import LakeStore, batches, quoted
from rag_assets.pipeline.flow import Rows, Stored, Work, changed_parts, read_stored, work_on
from rag_assets.pipeline.plan import FIGURES, PartitionPlan, RefreshPlan, StagePlan
from rag_assets.pipeline.rates import Rate, load_rates
from rag_assets.pipeline.stages import Models, Stage, stages
from rag_assets.sections import stage as structure
from rag_assets.sections.boilerplate import MIN_PAGES
from rag_assets.sources import stage as ingest
from rag_assets.sources.buckets import partitions_to_retire
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import FoundFile
from rag_assets.sources.listing import opened

FINGERPRINTS = "plans/fingerprints"  # record: fingerprint -> its parts
ENGINES = "engines"
GATE = "index_evaluation"
DELTA = ("new", "changed", "gone")
WITH_CACHE = {"embeddings": embed.CACHE, enrich.TABLE.name: enrich.CACHE}
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
        # Table -> partitions that it has: to look for those that it has not takes as long.
        self._stored = {
            table.name: frozenset(store.partitions(table.name))
            for stage in self._stages
            for table in stage.tables
        }
        # What partitions planned so far put into the caches: keys, and whether others as well.
        self._coming: dict[str, set[str]] = {name: set() for name in WITH_CACHE.values()}
        self._others_come: set[str] = set()

    def source(
        self, source: Source, partitions: Sequence[str], accept_deletions: bool
    ) -> list[PartitionPlan]:
        """Plans of these partitions and of those that the source has no longer.

        Its listing is read once, and no file.
        """
        if source.kind == "web":
            found = [self._unasked(source, partition) for partition in partitions]
            return found + self._retired(source)
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
        found = []
        for partition, its in mine.items():
            states = {uri: file.state for uri, file in its.items()}
            found.append(self._planned(source, partition, states, its))
        return found + self._retired(source)

    def _planned(
        self,
        source: Source,
        partition: str,
        states: Mapping[str, str],
        files: Mapping[str, FoundFile],
    ) -> PartitionPlan:
        is_stored = partition in self._stored[ingest.TABLE.name]
        plan = PartitionPlan(
            partition, self._chain(source, partition, states, files), is_stored=is_stored
        )
        if plan.needs_run:
            return plan
        return replace(plan, stages=[replace(stage, seconds=0.0) for stage in plan.stages])

    def _retired(self, source: Source) -> list[PartitionPlan]:
        """Plans of partitions from which everything goes."""
        retired = partitions_to_retire(self.store, source)
        return [self._planned(source, partition, {}, {}) for partition in retired]

    def _unasked(self, source: Source, partition: str) -> PartitionPlan:
        rows = self.store.rows(ingest.TABLE.name, partition, columns=["uri", "input_hash"])
        held = {row["uri"]: row["input_hash"] for row in rows}
        note = (
            "which pages changed cannot be known without asking; the last crawl held "
            f"{len(held):,} pages, and the plan takes them as they are"
        )
        planned = self._chain(source, partition, held, {})
        self._others_come |= WITH_CACHE.keys()
        marked = [replace(one, estimated=sorted({*FIGURES, "unchanged"})) for one in planned]
        return PartitionPlan(partition, marked, note=note)

    def _chain(
        self,
        source: Source,
        partition: str,
        states: Mapping[str, str],
        files: Mapping[str, FoundFile],
    ) -> list[StagePlan]:
        rows = {"": Rows(standing=dict(states))}
        unread = ingest.unread(self.store, partition, files) if files else set()
        found = []
        for stage in self._stages:
            inputs, stored = rows[stage.upstream or ""], Stored({}, {})
            if any(partition in self._stored[table.name] for table in stage.tables):
                stored = read_stored(self.store, stage, partition)
            if stage.name == enrich.TABLE.name and not source.enrich:
                inputs = Rows()
            moves = False
            if stage.name == structure.TABLE.name:
                inputs = self._with_boilerplate(partition, inputs)
                moves = max(len(states), len(stored.made_from)) >= MIN_PAGES and _differ(
                    inputs, stored
                )
            work = work_on(
                stage,
                stored,
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

    def _with_boilerplate(self, partition: str, inputs: Rows) -> Rows:
        """The documents as ``sections`` takes them."""
        if not inputs.standing:
            return inputs
        left_out = structure.known_boilerplate(self.store, partition)
        standing = {
            key: structure.input_hash(digest, left_out.get(key))
            for key, digest in inputs.standing.items()
        }
        return replace(inputs, standing=standing)

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
        # A text that an earlier partition will bring need not be asked for again in this one.
        if stage.name in WITH_CACHE:
            units = calls
            others_come = bool(n_unknown) or not work.estimated.isdisjoint({"new", "changed"})
            if others_come or (calls and stage.name in self._others_come):
                estimated |= {"calls", "tokens_in", "tokens_out"}
            self._others_come |= {stage.name} if others_come else set()
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
        """(texts that are not in the cache, their tokens, tokens of a chunk on average).

        Those of earlier partitions of this plan will be there.
        """
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
        missing = self._missing(embed.CACHE, texts.keys())
        average = n_tokens / n_rows if n_rows else self.rates[cut.TABLE.name].tokens_per_row
        return len(missing), sum(texts[key] for key in missing), average

    def _to_classify(self, stage: Stage, partition: str, document_ids: Sequence[str]) -> int:
        """Excerpts that are not in the cache; these documents' beginnings are read."""
        keys: set[str] = set()
        for start in range(0, len(document_ids), BATCH):
            ids = document_ids[start : start + BATCH]
            excerpts = enrich.read_excerpts(self.store, partition, ids)
            keys |= {enrich.cache_key(text, stage.fingerprint) for text in excerpts.values()}
        return len(self._missing(enrich.CACHE, keys))

    def _missing(self, name: str, keys: Set[str]) -> Set[str]:
        """Those of the keys that a refresh will not find in the cache, but put there."""
        missing = keys - self._coming[name]
        missing -= self._cached(name, missing)
        self._coming[name] |= missing
        return missing

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
        unsure = ["changed"] if _may_work(documents) else []
        grouped = self._whole("duplicates", unsure, changed=n_documents if moved else 0)
        index = self._index(embedded, enriched)
        calls = any(one.calls for one in [*embedded, *enriched]) or index.has_work
        unsure = ["changed"] if _may_work([*embedded, *enriched]) else []
        gate = self._whole(GATE, unsure, changed=int(index.has_work))
        engines = self._whole(ENGINES, unsure, changed=int(calls))
        found = [grouped, index, gate, engines]
        if not any(one.needs_run for one in partitions):
            return [replace(one, seconds=0.0) for one in found]
        return found

    def _index(self, embedded: Sequence[StagePlan], enriched: Sequence[StagePlan]) -> StagePlan:
        """Rows of the index follow their chunks; new labels write all chunks of their document."""
        new, changed = sum(one.new for one in embedded), sum(one.changed for one in embedded)
        gone = sum(one.gone for one in embedded)
        relabelled = sum(one.changed for one in enriched)
        unsure = DELTA if _may_work([*embedded, *enriched]) else ()
        if not (new or changed or gone or relabelled):
            return self._whole(build.INDEX, unsure)
        n_chunks = self._count(cut.TABLE.name)
        n_documents = self._count(normalise.TABLE.name)
        index = self.store.table(build.INDEX)
        # Copies and flagged pages have chunks, too, and no rows.
        share = 1.0 if index is None or not n_chunks else min(index.count_rows() / n_chunks, 1.0)
        changed = max(changed, round(relabelled * n_chunks / max(n_documents, 1)))
        return self._whole(
            build.INDEX,
            unsure,
            new=round(new * share),
            changed=round(changed * share),
            gone=round(gone * share),
        )

    def _whole(
        self, name: str, unsure: Iterable[str], *, new: int = 0, changed: int = 0, gone: int = 0
    ) -> StagePlan:
        rate: Rate = self.rates[name]
        return StagePlan(
            stage=name,
            new=new,
            changed=changed,
            gone=gone,
            seconds=rate.idle_seconds + (new + changed) * rate.seconds_per_unit,
            estimated=sorted({*unsure, "seconds"}),
        )

    def _count(self, name: str) -> int:
        tables = (self.store.table(name, one) for one in self.store.partitions(name))
        return sum(table.count_rows() for table in tables if table is not None)


def _differ(documents: Rows, stored: Stored) -> bool:
    """Whether documents that stand are no longer, or not the only, ones that were cut.

    Boilerplate follows from all documents of a partition, so it may change as soon as one does.
    """
    cut_before = {key: digest for key, (digest, _) in stored.made_from.items()}
    return bool(documents.standing) and (bool(documents.added) or documents.standing != cut_before)


def _may_work(plans: Iterable[StagePlan]) -> bool:
    return any(one.has_work or not set(DELTA).isdisjoint(one.estimated) for one in plans)
