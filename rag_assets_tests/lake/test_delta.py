import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.lake.delta import Delta, Report, StageTable, diff, refresh, upstream_hashes
from rag_assets.lake.schemas import LINEAGE, stage_rows
from rag_assets.lake.store import LakeError, LakeStore

SCHEMA = pa.schema([pa.field("key", pa.string()), pa.field("text", pa.string()), *LINEAGE])
SIDE = StageTable("bad", SCHEMA, "key")
MAIN = StageTable("good", SCHEMA, "key")
Edit = tuple[str, str, int]  # what to do, to which input, new value


@dataclass
class Stage:
    """A tiny stage: input n yields n % 3 + 1 rows, or one in the side table where 4 divides n."""

    store: LakeStore
    contents: dict[str, int] = field(default_factory=dict)
    fingerprint: str = "1"
    computed: list[str] = field(default_factory=list)
    fail_at: int | None = None  # number of the batch that raises
    n_batches: int = 0

    def compute(self, ids: Sequence[str]) -> Mapping[str, pa.Table]:
        self.n_batches += 1
        if self.n_batches == self.fail_at:
            raise RuntimeError("killed")
        self.computed += ids
        good, bad = [], []
        for key in ids:
            n = self.contents[key]
            rows = [
                {
                    "input_id": key,
                    "input_hash": str(n),
                    "key": f"{key}/{i}",
                    "text": f"{n}/{i}/{self.fingerprint}",
                }
                for i in range(n % 3 + 1)
            ]
            if n % 4 == 0:
                bad += rows[:1]
            else:
                good += rows
        return {SIDE.name: stage_rows(SCHEMA, bad), MAIN.name: stage_rows(SCHEMA, good)}

    def refresh(self, partition: str = "p.0", run_id: str = "r", batch_inputs: int = 2) -> Report:
        return refresh(
            self.store,
            [SIDE, MAIN],
            partition,
            upstream=lambda: {key: str(n) for key, n in self.contents.items()},
            compute=self.compute,
            fingerprint=self.fingerprint,
            run_id=run_id,
            batch_inputs=batch_inputs,
        )

    def rows(self, partition: str = "p.0") -> list[tuple[tuple[str, str], ...]]:
        """All rows of both tables without run ids, sorted."""
        return sorted(
            (("table", table.name), *((k, v) for k, v in row.items() if k != "run_id"))
            for table in (SIDE, MAIN)
            for row in self.store.rows(table.name, partition)
        )

    def versions(self, partition: str = "p.0") -> list[int]:
        found = [self.store.table(table.name, partition) for table in (SIDE, MAIN)]
        return [table.version for table in found if table is not None]


@pytest.fixture
def stage(store: LakeStore) -> Stage:
    return Stage(store, {"a": 1, "b": 2, "c": 4, "d'": 5, "e": 7})


edits = st.tuples(
    st.sampled_from(["put", "put", "delete", "fingerprint", "none"]),
    st.sampled_from(["a", "b", "c", "d'"]),
    st.integers(0, 12),
)


def apply(stage: Stage, edit: Edit) -> None:
    what, key, n = edit
    if what == "put":
        stage.contents[key] = n
    elif what == "delete":
        stage.contents.pop(key, None)
    elif what == "fingerprint":
        stage.fingerprint = str(n)


@settings(max_examples=12)
@given(st.lists(st.lists(edits, max_size=4), min_size=1, max_size=4))
def test_any_history_ends_where_a_full_rebuild_does(history: list[list[Edit]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(LakeStore(f"{folder}/lake"))
        stage.refresh()
        for run_id, step in enumerate(history):
            before, fingerprint = dict(stage.contents), stage.fingerprint
            for edit in step:
                apply(stage, edit)
            versions = stage.versions()
            stage.computed.clear()
            report = stage.refresh(run_id=str(run_id))
            changed = {k for k, n in stage.contents.items() if before.get(k) != n}
            expected = set(stage.contents) if fingerprint != stage.fingerprint else changed
            assert sorted(stage.computed) == sorted(expected)
            if stage.contents == before and not expected:
                assert report.is_noop
                assert stage.versions() == versions
        rebuilt = Stage(LakeStore(f"{folder}/rebuilt"), stage.contents, stage.fingerprint)
        rebuilt_report = rebuilt.refresh()
        assert stage.rows() == rebuilt.rows()
        assert stage.refresh().data_version == rebuilt_report.data_version


def test_diff_by_hand() -> None:
    stored = {"same": ("1", "f"), "edited": ("1", "f"), "old code": ("1", "e"), "gone": ("1", "f")}
    upstream = {"same": "1", "edited": "2", "old code": "1", "new": "1"}
    found = diff(upstream, stored, "f")
    assert found == Delta(("new",), ("edited", "old code"), ("gone",), 1)
    assert found.to_compute == ("edited", "new", "old code")


def test_report_counts(stage: Stage) -> None:
    report = stage.refresh()
    assert report.n_rows == {"bad": 1, "good": 2 + 3 + 3 + 2}
    assert report.n_written == 11
    assert not report.is_noop
    again = stage.refresh(run_id="other")
    assert again.is_noop
    assert again.n_written == 0
    assert again.data_version == report.data_version
    assert again.lance_versions == report.lance_versions


def test_input_moves_between_main_and_side_table(stage: Stage) -> None:
    stage.refresh()
    for n in (8, 9, 8):
        stage.contents["a"] = n
        stage.refresh()
        assert {row[0][1] for row in stage.rows() if ("input_id", "a") in row} == {
            "bad" if n == 8 else "good"
        }


def test_shrinking_input_leaves_no_row_behind(stage: Stage) -> None:
    stage.contents = {"a": 5}
    assert stage.refresh().n_rows["good"] == 3
    stage.contents = {"a": 3}
    assert stage.refresh().n_rows["good"] == 1


def test_early_cutoff_hash_ignores_what_is_not_content(store: LakeStore) -> None:
    table = StageTable("good", SCHEMA, "key", frozenset({"text"}))

    def run(text: str, fingerprint: str) -> dict[str, str]:
        row = {"input_id": "a", "input_hash": text, "key": "k", "text": text}
        rows = stage_rows(SCHEMA, [row])
        refresh(
            store, [table], "p.0", upstream=lambda: {"a": text}, compute=lambda ids: {"good": rows},
            fingerprint=fingerprint, run_id=text,
        )  # fmt: skip
        return upstream_hashes(store, table, "p.0")

    assert run("one", "1") == run("two", "2")


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_killed_between_batches_the_next_run_ends_right(
    stage: Stage, store: LakeStore, fail_at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stage.refresh()
    stage.contents = {"a": 8, "b": 2, "c": 5, "d'": 6, "f": 1, "g": 2}
    stage.fingerprint = "2"
    stage.n_batches, stage.fail_at = 0, fail_at
    with pytest.raises(RuntimeError, match="killed"):
        stage.refresh()
    stage.fail_at = None
    stage.computed.clear()
    stage.refresh()
    assert len(stage.computed) == 6 - 2 * (fail_at - 1)  # what was committed is not done again
    other = LakeStore(str(tmp_path_factory.mktemp("rebuilt")))
    rebuilt = Stage(other, stage.contents, stage.fingerprint)
    rebuilt.refresh()
    assert stage.rows() == rebuilt.rows()


def test_killed_between_the_two_tables_the_input_is_computed_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_assets.lake import delta

    stage.refresh()
    stage.contents["a"] = 8  # from the main table to the side table
    replace = delta._replace

    def dies(opened: object, table: StageTable, ids: Sequence[str], rows: pa.Table) -> int:
        if table is MAIN:
            raise KeyboardInterrupt
        return replace(opened, table, ids, rows)

    with monkeypatch.context() as patch:
        patch.setattr(delta, "_replace", dies)
        with pytest.raises(KeyboardInterrupt):
            stage.refresh()
    for n in (8, 1):  # also if the source went back meanwhile
        stage.contents["a"] = n
        stage.refresh()
        keys = [dict(row)["key"] for row in stage.rows() if ("input_id", "a") in row]
        assert len(keys) == len(set(keys)) == (1 if n == 8 else 2)


def test_rows_are_labelled_with_what_was_read(stage: Stage, store: LakeStore) -> None:
    stage.contents = {"a": 5}

    def compute(ids: Sequence[str]) -> Mapping[str, pa.Table]:
        stage.contents["a"] = 8  # another run writes after this one has listed its inputs
        made = stage.compute(ids)
        stage.contents["a"] = 5  # and yet another brings back what was listed
        return made

    refresh(
        store, [SIDE, MAIN], "p.0", upstream=lambda: {"a": "5"}, compute=compute,
        fingerprint=stage.fingerprint, run_id="r",
    )  # fmt: skip
    assert stage.refresh().delta.changed == ("a",)
    rebuilt = Stage(LakeStore(f"{store.uri}-rebuilt"), stage.contents)
    rebuilt.refresh()
    assert stage.rows() == rebuilt.rows()


def bad_compute(rows: Mapping[str, list[dict[str, str]]]) -> Callable[..., dict[str, pa.Table]]:
    return lambda ids: {name: stage_rows(SCHEMA, table) for name, table in rows.items()}


A, B = ({"input_id": key, "input_hash": "1", "key": key, "text": "t"} for key in "ab")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"good": [A]}, "made no row for 1 of 2 inputs, the first is 'b'"),
        ({"good": [A, B, A]}, "unique key in good, got 'a' more than once"),
        ({"good": [A, B], "bad": [A]}, "input 'a' has rows in bad and in good"),
    ],
)
def test_broken_contract_writes_nothing(
    store: LakeStore, rows: Mapping[str, list[dict[str, str]]], message: str
) -> None:
    with pytest.raises(LakeError, match=message):
        refresh(
            store, [SIDE, MAIN], "p.0",
            upstream=lambda: {"a": "1", "b": "1"}, compute=bad_compute(rows),
            fingerprint="1", run_id="r",
        )  # fmt: skip
    assert store.rows("good", "p.0") == store.rows("bad", "p.0") == []


def test_progress_ends_at_the_total(store: LakeStore) -> None:
    seen: list[tuple[int, int]] = []
    rows = {"good": [A, B]}
    refresh(
        store, [MAIN], "p.0", upstream=lambda: {"a": "1", "b": "1"}, compute=bad_compute(rows),
        fingerprint="1", run_id="r", progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(2, 2)]


def refresh_partition(uri: str, partition: str) -> None:
    stage = Stage(LakeStore(uri), {f"{partition}{i}": i for i in range(20)})
    stage.refresh(partition)


def test_two_processes_lose_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    uri = str(tmp_path_factory.mktemp("lake"))
    context = multiprocessing.get_context("spawn")
    partitions = ["p.0", "p.1"]
    workers = [context.Process(target=refresh_partition, args=(uri, p)) for p in partitions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = LakeStore(uri)
    for partition in partitions:
        stage = Stage(store, {f"{partition}{i}": i for i in range(20)})
        assert stage.refresh(partition).is_noop
        assert len({row for row in stage.rows(partition)}) == len(stage.rows(partition))


def test_two_processes_on_one_partition_leave_each_row_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A sensor's run and a person's of one source: Lance let both insert what both missed."""
    uri = str(tmp_path_factory.mktemp("lake"))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=refresh_partition, args=(uri, "p.0")) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    stage = Stage(LakeStore(uri), {f"p.0{i}": i for i in range(20)})
    assert stage.refresh("p.0").is_noop
    keys = [row["key"] for row in stage.store.rows(MAIN.name, "p.0", columns=["key"])]
    assert len(keys) == len(set(keys))


def test_rows_that_stand_twice_are_not_passed_over(stage: Stage) -> None:
    stage.contents = {"a": 1}
    stage.refresh()
    table = stage.store.table(MAIN.name, "p.0")
    assert table is not None
    table.add(table.to_arrow())
    with pytest.raises(LakeError, match="same key"):
        stage.refresh()


def test_input_deleted_meanwhile_by_another_run_is_no_failure(stage: Stage) -> None:
    """Two runs of one partition: what one had listed, the other's earlier stages took away."""
    stage.refresh()
    stage.contents |= {"a": 2, "b": 5}
    compute = stage.compute

    def loses(ids: Sequence[str]) -> Mapping[str, pa.Table]:
        stage.contents.pop("a", None)
        return compute([key for key in ids if key != "a"])

    stage.compute = loses  # type: ignore[method-assign]
    stage.refresh()
    assert not [row for row in stage.rows() if ("input_id", "a") in row]
    assert [row for row in stage.rows() if ("input_id", "b") in row]
    stage.compute = compute  # type: ignore[method-assign]
    assert stage.refresh().is_noop


def test_rows_that_go_are_counted(stage: Stage) -> None:
    stage.refresh()
    del stage.contents["b"]  # three rows
    stage.contents["a"] = 3  # one row, where there were two
    report = stage.refresh()
    assert (report.n_computed, report.n_written, report.n_deleted) == (1, 1, 3 + 1)


def with_columns(table: StageTable, *fields: pa.Field, without: str = "") -> StageTable:
    kept = [field for field in table.schema if field.name != without]
    return StageTable(table.name, pa.schema([*kept, *fields]), table.key)


def rewritten(stage: Stage, table: StageTable, fingerprint: str) -> Report:
    """A refresh by a version of the stage with one table, and other columns."""
    names = table.schema.names
    values = {"text": "-", "added": "-"}

    def compute(ids: Sequence[str]) -> Mapping[str, pa.Table]:
        rows = [
            {"input_id": key, "input_hash": str(stage.contents[key]), "key": key}
            | {name: value for name, value in values.items() if name in names}
            for key in ids
        ]
        return {table.name: stage_rows(table.schema, rows)}

    return refresh(
        stage.store,
        [table],
        "p.0",
        upstream=lambda: {key: str(n) for key, n in stage.contents.items()},
        compute=compute,
        fingerprint=fingerprint,
        run_id="r",
        batch_inputs=2,
    )


@pytest.mark.parametrize(
    "later",
    [
        with_columns(MAIN, without="text"),
        with_columns(MAIN, pa.field("added", pa.string(), nullable=False)),
        with_columns(MAIN, pa.field("added", pa.string()), without="text"),
        with_columns(MAIN, pa.field("text", pa.large_string(), nullable=False), without="text"),
    ],
    ids=["a column is gone", "a required column is new", "both", "a column has another type"],
)
def test_a_table_of_an_earlier_version_with_other_columns_is_made_anew(
    stage: Stage, later: StageTable
) -> None:
    rewritten(stage, MAIN, "code 1")
    with pytest.raises(LakeError, match="has other columns"):
        rewritten(
            stage, later, "code 1"
        )  # the same fingerprint: these rows would not be made again
    assert len(stage.store.rows(MAIN.name, "p.0")) == len(stage.contents)
    rewritten(stage, later, "code 2")
    rows = stage.store.rows(MAIN.name, "p.0")
    assert {row["key"] for row in rows} == stage.contents.keys()
    assert all(row.keys() == set(later.schema.names) for row in rows)
