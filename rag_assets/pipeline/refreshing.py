"""Refresh sources into a lake in this process, without Dagster: the same stages, checks and gate.

Locks, deltas, gate and promotion are those of ``refresh_job``, so both may work on one lake, also
at the same time. What this leaves out is Dagster's record of runs, and a cluster.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from rag_assets.documents.readers.registry import Reader
from rag_assets.documents.stage import REJECTED
from rag_assets.errors import RagError
from rag_assets.lake.generations import live
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.roles import Models
from rag_assets.models.protocols import ChatModel, Embedder
from rag_assets.pipeline.run import ModelFacts, Run
from rag_assets.pipeline.stage import Stage, counted, refresh_stage
from rag_assets.pipeline.stages import STAGES, with_readers
from rag_assets.sources.catalog import Catalog, add_folder, added, by_name, declared, joined
from rag_assets.sources.declaration import Source, SourceError

Progress = Callable[[str, int, int], None]  # stage, inputs done, inputs to do


class RefreshError(RagError):
    """A check failed, or no source could be read; the live generation is as it was."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a stage did with its inputs."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """A file that gave no document, and why."""

    uri: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        generation_id: that is live now.
        stages: what each stage over partitions did, by name.
        rejects: files of these sources that give no document.
        failed: sources that stayed as they are stored, and why: they are declared wrongly, could
            not be read, or list far less than they held.
        notices: what a person should hear that is in no row.
    """

    generation_id: str
    stages: Mapping[str, Counts]
    rejects: tuple[Reject, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


class Pipeline:
    """Sources, a lake and models, to refresh the one from the others.

    Args:
        sources: a folder, a ``sources.yaml``, or sources.
        lake: folder or object-store URI; it is made if there is none.
        stages: what a refresh runs, in the order in which data flows.
        readers: of further media types, asked before the package's own.
        embedder: in place of the engine of the profile (``RAG_PROFILE``), which has to run.
        slm: likewise.

    Raises:
        SourceError: the folder does not exist, or no source of the file can be used.
    """

    def __init__(
        self,
        sources: str | Path | Sequence[Source],
        lake: str | Path,
        *,
        stages: Sequence[Stage] = STAGES,
        readers: Sequence[Reader] = (),
        embedder: Embedder | None = None,
        slm: ChatModel | None = None,
    ) -> None:
        self.store = LakeStore(str(lake))
        self.stages = with_readers(stages, readers)
        found = _sources(sources, self.store)
        self.sources, self.faults = tuple(found.values()), found.faults
        self._models = Models(embedder=embedder, slm=slm)

    def refresh(
        self, *, accept_deletions: bool = False, progress: Progress | None = None
    ) -> Refreshed:
        """Bring the lake up to date, and make a new generation live if it passes the gate.

        A source that cannot be read does not keep the others from being refreshed.

        Args:
            accept_deletions: also where a source lists far less than it held.
            progress: called with a stage's name, its inputs done, and its inputs to do.

        Raises:
            RefreshError: a check failed, or no source could be read.
            EngineUnavailableError: something is new, and a model does not answer.
        """
        facts = ModelFacts(self._models)
        # Golden questions of all sources judge the index, which holds all of them.
        known = joined(added(self.store), Catalog(self.sources, self.faults))
        refresh = _Refresh(self.stages, progress or (lambda _stage, _done, _total: None))
        with Run(
            self.store,
            facts,
            self._models,
            known,
            run_id=str(uuid.uuid4()),
            partitions=[key for source in self.sources for key in source.partitions],
            accept_deletions=accept_deletions,
        ) as run:
            for source in self.sources:
                refresh.source(run, source)
            if len(refresh.failed) == len(self.sources):
                said = "\n  ".join(refresh.failed.values()) or "none is declared"
                raise RefreshError(f"no source could be read:\n  {said}")
            refresh.corpus(run)
            notices = tuple(run.files.notices)
        pointer = live(self.store)
        return Refreshed(
            "" if pointer is None else pointer.generation_id,
            refresh.counts,
            tuple(_rejects(self.store, self.sources)),
            refresh.failed | {fault.name: fault.problem for fault in self.faults},
            notices,
        )


@dataclass(slots=True)
class _Refresh:
    """One refresh: what it runs, and what came of it so far."""

    stages: Sequence[Stage]
    progress: Progress
    counts: dict[str, Counts] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def source(self, run: Run, source: Source) -> None:
        """The stages over the partitions of one source."""
        for stage in self.stages:
            if stage.scope == "corpus":
                continue
            tell = partial(self.progress, stage.name)
            try:
                reports = [refresh_stage(run, stage, key, tell) for key in source.partitions]
            except (RagError, OSError) as error:
                if stage.upstream:
                    raise
                self.failed[source.name] = str(error)  # nothing of it has changed
                return
            moved = counted(reports)
            so_far = self.counts.get(stage.name, Counts())
            self.counts[stage.name] = Counts(
                **{name: moved[name] + value for name, value in asdict(so_far).items()}
            )
            _check(run, stage, source.partitions)

    def corpus(self, run: Run) -> None:
        """The stages over the corpus: they look at the partitions of every source."""
        for stage in self.stages:
            if stage.whole is not None:
                stage.whole(run, stage, partial(self.progress, stage.name))
                table = stage.main.name if stage.tables else stage.name
                _check(run, stage, run.store.partitions(table))


def _check(run: Run, stage: Stage, partitions: Sequence[str]) -> None:
    for check in stage.checks:
        found = check(run, partitions)
        if not found.passed:
            name = f"{check.__name__} of {stage.name}"
            raise RefreshError(f"check {name} failed: {found.description}")


def _sources(given: str | Path | Sequence[Source], store: LakeStore) -> Catalog:
    if isinstance(given, Sequence) and not isinstance(given, str):
        return Catalog(by_name(given).values())
    if not isinstance(given, str | Path):
        raise SourceError(
            f"expected a folder, a sources.yaml or a list of sources, got {given!r:.200}"
        )
    place = Path(given)
    if not place.is_file():
        return Catalog([add_folder(store, place)])
    found = declared(place)
    if found.faults and not found:
        raise SourceError("\n".join(found.problems))
    return found


def _rejects(store: LakeStore, sources: Sequence[Source]) -> Iterator[Reject]:
    columns = ["uri", "reason", "detail"]
    for key in (key for source in sources for key in source.partitions):
        for row in store.rows(REJECTED.name, key, columns=columns):
            yield Reject(**row)
