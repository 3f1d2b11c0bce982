"""What a partition's refresh would do, stage by stage, from what the lake holds; nothing is run.

A stage's inputs are of four kinds before a refresh. Those that **stand** keep their content, so the
anti-join that the refresh itself makes tells exactly what becomes of them. Those that **go** are
known by name, and so is everything made of them. Those that are **redone** keep their name, but
not surely their content: what they would change downstream is taken to be all of it, an upper
bound. Those **added** are numbers only: as many as such inputs gave so far, on average. What no
figure says for certain is named in ``Work.estimated``; every other one is what a refresh reports.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from rag_assets.lake.delta import origins
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.stages import Stage

NEW_AT_SOURCE = "new at source"
CHANGED_AT_SOURCE = "source changed"
UNFINISHED = "earlier refresh unfinished"
UNREAD = "could not be read before"

Why = Callable[[Stage, str], str]  # stage, a fingerprint stored in it -> what differs


@dataclass(slots=True)
class Rows:
    """A stage's rows as a refresh will leave them, as far as that is known before it.

    Attributes:
        standing: key -> row hash.
        redone: key -> cause; they are computed anew and may come out otherwise, or not at all.
        added: cause -> number of rows to come, an expectation.
        gone: keys of those that go.
        is_exact: whether ``redone`` keep their keys, and nothing comes beside them.
        moves: whether what stands may be computed all the same, and change, go or grow.
    """

    standing: dict[str, str] = field(default_factory=dict)
    redone: dict[str, str] = field(default_factory=dict)
    added: dict[str, float] = field(default_factory=dict)
    gone: Set[str] = frozenset()
    is_exact: bool = True
    moves: bool = False


@dataclass(slots=True)
class Work:
    """What one stage would do to one partition.

    Attributes:
        new, changed, gone, unchanged: inputs.
        estimated: names of those that are no counts but expectations or bounds.
        causes: why inputs are computed -> how many.
        known: inputs to compute whose content is known, so that caches can be asked.
        rows: what the next stage will find.
    """

    new: int = 0
    changed: int = 0
    gone: int = 0
    unchanged: int = 0
    estimated: Set[str] = frozenset()
    causes: Counter[str] = field(default_factory=Counter)
    known: list[str] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)

    @property
    def to_compute(self) -> int:
        """Inputs to compute."""
        return self.new + self.changed


@dataclass(frozen=True, slots=True)
class Stored:
    """What a stage holds: where its inputs' rows came from, and the rows of its main table."""

    made_from: Mapping[str, tuple[str, str]]  # input id -> (hash, fingerprint)
    rows: Mapping[str, tuple[str, str]]  # key -> (input id, hash that the next stage takes)


def read_stored(store: LakeStore, stage: Stage, partition: str) -> Stored:
    """Read a stage's lineage columns; no content."""
    lineage: list[dict[str, str]] = []
    rows: dict[str, tuple[str, str]] = {}
    for table in stage.tables:
        columns = dict.fromkeys([table.key, "input_id", "input_hash", "fingerprint", table.passes])
        read = store.rows(table.name, partition, columns=list(columns))
        lineage += read
        if table is stage.main:
            rows = {row[table.key]: (row["input_id"], row[table.passes]) for row in read}
    return Stored(origins(lineage), rows)


def work_on(
    stage: Stage,
    stored: Stored,
    inputs: Rows,
    why: Why,
    rows_per_input: float,
    *,
    moves: bool = False,
    retry: Set[str] = frozenset(),
) -> Work:
    """What the stage would do.

    Args:
        stage: as it is now.
        stored: what it holds of this partition.
        inputs: rows of its upstream.
        why: names what differs from a stored fingerprint.
        rows_per_input: rows that an input gives where nothing is stored to tell.
        moves: whether inputs that stand may be computed all the same, because what other inputs
            say of them changes (boilerplate).
        retry: inputs that are computed even if they stand.
    """
    work = Work()
    redone: dict[str, str] = {}
    new: dict[str, str] = {}
    for key, digest in inputs.standing.items():
        cause = _cause(stage, stored.made_from.get(key), digest, why)
        if cause is None and key in retry:
            cause = UNREAD
        if cause is None:
            work.unchanged += 1
            continue
        work.known.append(key)
        work.causes[cause] += 1
        if key in stored.made_from:
            work.changed += 1
            redone[key] = cause
        else:
            work.new += 1
            new[key] = cause
    estimated = set()
    for key, cause in inputs.redone.items():
        made_from = stored.made_from.get(key)
        if made_from is None:
            work.new += 1
            new[key] = cause
        else:
            work.changed += 1
            redone[key] = cause
            if made_from[1] != stage.fingerprint:  # computed anew whatever the input turns out
                cause = why(stage, made_from[1])
            else:
                estimated |= {"changed", "unchanged"}
        work.causes[cause] += 1
    for cause, number in inputs.added.items():
        work.new += round(number)
        work.causes[cause] += round(number)
    gone = stored.made_from.keys() - inputs.standing.keys() - inputs.redone.keys()
    work.gone = len(gone)
    may_stay: Set[str] = frozenset()
    if not inputs.is_exact and (inputs.added or inputs.redone):
        estimated |= {"new", "changed", "gone"} if inputs.redone else {"new"}
        may_stay = gone - inputs.gone  # left by an unfinished refresh; what comes may be the same
        estimated |= {"changed", "gone", "unchanged"} if may_stay else set()
    if moves or inputs.moves:
        estimated |= {"changed", "unchanged"}
    if inputs.moves:
        estimated |= {"new", "gone"}
    work.estimated = frozenset(estimated)
    work.rows = _rows_after(stage, stored, inputs, redone, new, rows_per_input)
    goes = gone - may_stay
    work.rows.gone = {key for key, (input_id, _) in stored.rows.items() if input_id in goes}
    work.rows.moves = moves or inputs.moves
    return work


def _cause(stage: Stage, made_from: tuple[str, str] | None, digest: str, why: Why) -> str | None:
    """Why an input that stands has to be computed; None if it has not."""
    if made_from == (digest, stage.fingerprint):
        return None
    if made_from is None or made_from[0] != digest:
        if stage.upstream is not None:
            return UNFINISHED
        return NEW_AT_SOURCE if made_from is None else CHANGED_AT_SOURCE
    return why(stage, made_from[1])


def _rows_after(
    stage: Stage,
    stored: Stored,
    inputs: Rows,
    redone: Mapping[str, str],
    new: Mapping[str, str],
    rows_per_input: float,
) -> Rows:
    """The stage's rows; ``redone`` and ``new`` are inputs that it computes -> cause."""
    stays = (inputs.standing.keys() | inputs.redone.keys()) - redone.keys()
    rows = Rows(is_exact=stage.one_row_an_input and inputs.is_exact)
    without_row = {**redone, **new}
    for key, (input_id, row_hash) in stored.rows.items():
        without_row.pop(input_id, None)
        if input_id in redone:
            rows.redone[key] = redone[input_id]
        elif input_id in stays:
            rows.standing[key] = row_hash
    if stage.one_row_an_input:
        rows.redone |= without_row
        rows.added = dict(inputs.added)
        return rows
    if stored.rows:
        rows_per_input = len(stored.rows) / len(stored.made_from)
    # Of what was rejected and is read again nobody knows whether a row will come of it.
    for cause, number in [*Counter(without_row.values()).items(), *inputs.added.items()]:
        rows.added[cause] = rows.added.get(cause, 0.0) + number * rows_per_input
    return rows


def changed_parts(now: Mapping[str, str], then: Mapping[str, str] | None) -> str:
    """What a stage's fingerprint differs in, for a person.

    Args:
        now: its parts.
        then: those of a stored fingerprint; None where they were not recorded.
    """
    names: Iterator[str] = (
        iter(now) if then is None else (name for name in now if now[name] != then.get(name))
    )
    joined = (" or " if then is None else " and ").join(names)
    return f"{joined or 'code version'} changed"
