"""Plan a refresh: a dry run of ``lake.delta.diff`` over a source's listing and the lake's lineage.

The first stage's work follows from the listing, and that of a stage whose upstream stays as it is
from the lake. Rows that the upstream computes anew are taken to change all that follows from them;
rows to come are numbers, by the average so far. Such figures are named in ``StagePlan.estimated``,
all others are what the refresh reports. Nothing is written or asked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from rag_assets.errors import RagError
from rag_assets.lake import generations
from rag_assets.lake.delta import diff, origins
from rag_assets.lake.generations import Generation
from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.history import ENGINES, FINGERPRINTS, load_costs
from rag_assets.pipeline.plan import DELTA, FIGURES, PartitionPlan, RefreshPlan, StagePlan, totals
from rag_assets.pipeline.run import ModelFacts
from rag_assets.pipeline.stage import Stage, checked
from rag_assets.pipeline.stages import STAGES
from rag_assets.sources import stage as source_files
from rag_assets.sources.declaration import Source
from rag_assets.sources.found import FoundFile
from rag_assets.sources.listing import no_file_found, opened

NEW_AT_SOURCE = "new at source"
CHANGED_AT_SOURCE = "source changed"
UNFINISHED = "earlier refresh unfinished"
UNREAD = "could not be read before"
COUNTS = frozenset({*DELTA, "unchanged"})
Files = Mapping[str, FoundFile]  # by uri


def plan_refresh(
    store: LakeStore,
    sources: Sequence[Source],
    facts: ModelFacts,
    stages: Sequence[Stage] = STAGES,
    *,
    accept_deletions: bool = False,
) -> RefreshPlan:
    """What a refresh of these sources would do now.

    Raises:
        StageError: the stages make no list that can be run.
    """
    planner = _Planner(store, facts, checked(stages))
    found = [plan for one in sources for plan in planner.source(one, accept_deletions)]
    where = {name: cost.where for name, cost in planner.costs.items()}
    return RefreshPlan(found, planner.whole(found), where, planner.parts, planner.empty)


def up_to_date(store: LakeStore, plan: RefreshPlan) -> Generation | None:
    """The live generation, if a refresh would end where it began; a refused one a run reports."""
    candidate, live = generations.candidate(store), generations.live(store)
    is_live = candidate is not None and live is not None and live.generation_id == candidate.id
    return candidate if is_live and plan.is_empty else None


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What a refresh will make of a stage's rows; others may move as well if it ``is_open``."""

    redone: Mapping[str, str] = field(default_factory=dict)  # key -> why; or it may go
    added: Counter[str] = field(default_factory=Counter)  # why -> rows to come
    gone: Set[str] = frozenset()  # keys
    is_open: bool = False


class _Planner:
    """Plans partitions of one lake; what is the same for all is read once."""

    def __init__(self, store: LakeStore, facts: ModelFacts, stages: Sequence[Stage]) -> None:
        self.costs = load_costs(store, stages)
        self.parts: dict[str, Mapping[str, str]] = {}  # of each fingerprint as it is now
        self.empty: list[str] = []  # a sentence for each source that lists nothing
        self._store, self._facts = store, facts
        self._chain = [stage for stage in stages if stage.scope == "partition"]
        self._corpus = [stage for stage in stages if stage.scope == "corpus"]
        self._recorded: Mapping[str, Mapping[str, str]] = store.get_record(FINGERPRINTS) or {}
        # Partitions that each table has: to look for those that it has not takes as long.
        names = {table.name for stage in self._chain for table in stage.tables}
        self._held = {name: frozenset(store.partitions(name)) for name in names}

    def source(self, source: Source, accept_deletions: bool) -> list[PartitionPlan]:
        """Plans of its partitions; the listing is read once, and no file. No site is asked."""
        if source.kind == "web":
            note = "which pages changed cannot be known without asking; the last crawl held"
            held = {key: source_files.stored_files(self._store, key) for key in source.partitions}
            return [
                self._planned(source, key, files, f"{note} {len(files):,} pages")
                for key, files in held.items()
            ]
        try:
            with opened(source) as listing:
                found = source_files.listed(listing, accept_deletions)
            n_stood = 0 if accept_deletions else source_files.n_stored(self._store, source)
            source_files.refuse_shrunk(source, n_stood, source_files.count_readable(found))
        except (RagError, OSError) as error:
            return [PartitionPlan(key, [], problem=str(error)) for key in source.partitions]
        if not found and not accept_deletions:
            self.empty.append(no_file_found(source))
        mine: dict[str, dict[str, FoundFile]] = {key: {} for key in source.partitions}
        for file in found:
            mine[source.partition_of(file.uri)][file.uri] = file
        return [self._planned(source, key, files) for key, files in mine.items()]

    def _planned(
        self, source: Source, partition: str, files: Files, note: str = ""
    ) -> PartitionPlan:
        ahead: dict[str, _Ahead] = {}
        found: list[StagePlan] = []
        for stage in self._chain:
            made_by = stage.fingerprint(self._facts, source)
            parts = {"code version": stage.version, **stage.parts(self._facts, source)}
            self.parts[made_by] = {name: value_hash([part]) for name, part in parts.items()}
            before, inputs = _Ahead(), dict[str, str]()
            if not stage.upstream:
                inputs = {uri: file.state for uri, file in files.items()}
            elif stage.wanted(source):
                before = ahead[stage.upstream[0].name]
                if partition in self._held[stage.upstream[0].main.name]:
                    inputs |= stage.recorded_inputs(self._store, partition)
                inputs = {key: of for key, of in inputs.items() if key not in before.gone}
                inputs |= dict.fromkeys(before.redone, "")  # their hashes are not known yet
            plan, ahead[stage.name] = self._work(stage, made_by, partition, inputs, before, files)
            found.append(replace(plan, estimated=FIGURES) if note else plan)
        is_stored = partition in self._held[self._chain[0].main.name]
        return PartitionPlan(partition, found, note, is_stored=is_stored)

    def _work(
        self,
        stage: Stage,
        made_by: str,
        partition: str,
        inputs: Mapping[str, str],
        before: _Ahead,
        files: Files,
    ) -> tuple[StagePlan, _Ahead]:
        """What the stage would do, and what becomes of its rows."""
        lineage, input_of = list[dict[str, str]](), dict[str, str]()
        for table in stage.tables:  # the main one last
            columns = sorted({table.key, "input_id", "input_hash", "fingerprint"})
            is_held = partition in self._held[table.name]
            rows = self._store.rows(table.name, partition, columns=columns) if is_held else []
            lineage, input_of = lineage + rows, {row[table.key]: row["input_id"] for row in rows}
        stored = origins(lineage)
        unread = set() if stage.upstream else source_files.unread(self._store, partition, files)
        again = {key: ("", "") for key in unread if key in stored}
        delta = diff(inputs, stored | again, made_by)
        why = {
            key: self._why(stage, (inputs[key], made_by), stored.get(key), before.redone.get(key))
            for key in delta.to_compute
        }
        n_todo, cost = len(why) + before.added.total(), self.costs[stage.name]
        estimated = {"seconds"}
        if before.is_open:
            estimated |= COUNTS
        elif any(key in stored and stored[key][1] == made_by for key in before.redone):
            estimated |= {"changed", "unchanged"}
        if stage.asks and (n_todo or estimated & COUNTS):  # what its cache has is not looked up
            estimated |= {"calls", "tokens_in", "tokens_out"}
        plan = StagePlan(
            stage.name,
            new=len(delta.new) + before.added.total(),
            changed=len(delta.changed),
            gone=len(delta.gone),
            unchanged=delta.unchanged,
            calls=n_todo if stage.asks else 0,
            tokens_in=round(n_todo * cost.tokens_in / cost.units),
            tokens_out=round(n_todo * cost.tokens_out / cost.units),
            n_bytes=0 if stage.upstream else sum(files[uri].size for uri in why),
            seconds=cost.expected(n_todo),
            estimated=sorted(estimated),
            causes=dict(Counter(why.values()) + before.added),
            counts=stage.counts,
        )
        goes = set(delta.gone)
        gone = {key for key, input_id in input_of.items() if input_id in goes}
        if stage.one_row_an_input:
            return plan, _Ahead(why, before.added, gone, before.is_open)
        redone = {key: why[input_id] for key, input_id in input_of.items() if input_id in why}
        # Of what was rejected and is read again nobody knows whether a row will come of it.
        bare = Counter(why[key] for key in why.keys() - set(input_of.values())) + before.added
        per_input = len(input_of) / len(stored) if input_of else cost.rows_per_input
        added = Counter({cause: round(number * per_input) for cause, number in bare.items()})
        return plan, _Ahead(redone, added, gone, before.is_open or plan.has_work)

    def _why(
        self, stage: Stage, now: tuple[str, str], then: tuple[str, str] | None, redone: str | None
    ) -> str:
        """Why an input is computed: of its (hash, fingerprint), what differs from the stored."""
        if then and then[1] != now[1] and (redone or then[0] == now[0]):
            parts, known = self.parts[now[1]], self._recorded.get(then[1], {})
            differ = [name for name, part in parts.items() if part != known.get(name)]
            return f"{(' and ' if known.keys() == parts.keys() else ' or ').join(differ)} changed"
        if redone or then == now:
            return redone or UNREAD
        if stage.upstream:
            return UNFINISHED
        return CHANGED_AT_SOURCE if then else NEW_AT_SOURCE

    def whole(self, partitions: Sequence[PartitionPlan]) -> list[StagePlan]:
        """Of stages over the corpus and of the engines' start; estimates where there is work."""
        plans = {one.stage: one for one in totals(partitions)}
        found = []
        for stage in self._corpus:
            before = [plans[one.name] for one in stage.upstream if one.name in plans]
            rows = [one for one in before if one.counts]
            moves = {name: max((getattr(one, name) for one in rows), default=0) for name in DELTA}
            if any(one.has_work for one in before):
                moves["changed"] = moves["changed"] if rows else 1
            elif stage.is_current and not stage.is_current(self._store, stage, self._facts):
                moves["changed"] = max([1, *(one.unchanged for one in rows)])
            plans[stage.name] = self._estimate(stage.name, before, moves)
            found.append(plans[stage.name])
        asks = any(one.has_work for one in found) or any(one.calls for one in plans.values())
        return [*found, self._estimate(ENGINES, plans.values(), {"changed": int(asks)})]

    def _estimate(
        self, name: str, before: Iterable[StagePlan], moves: Mapping[str, Any]
    ) -> StagePlan:
        seconds = self.costs[name].expected(moves.get("new", 0) + moves["changed"])
        is_sure = all(COUNTS.isdisjoint(one.estimated) for one in before)
        marks = ["seconds"] if is_sure and not any(moves.values()) else [*DELTA, "seconds"]
        return StagePlan(name, **moves, seconds=seconds, estimated=marks)
