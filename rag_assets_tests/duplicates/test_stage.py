from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_assets.duplicates import stage as collapse
from rag_assets.duplicates.stage import collapse_duplicates
from rag_assets.lake.store import LakeStore
from rag_assets_tests.duplicates.shelf import printed, put, text
from rag_assets_tests.world import World

TEXT = " ".join(f"word{n}" for n in range(100))
TABLES = ("duplicates", "related_documents", "verified_pairs", "text_keys")


def aliases(store: LakeStore) -> dict[str, str]:
    return {row["uri"]: row["canonical_uri"] for row in store.rows("duplicates")}


def all_rows(store: LakeStore) -> list[list[str]]:
    """Rows of all tables; the sides of a verified pair may be swapped."""
    return [
        sorted(str(sorted(map(str, row.values()))) for row in store.rows(name)) for name in TABLES
    ]


def plain(n: int) -> str:
    """A text of its own."""
    return " ".join(f"of{n}w{i}" for i in range(60))


def version(store: LakeStore) -> int:
    table = store.table("duplicates")
    assert table is not None
    return int(table.version)


def test_lake_without_documents(store: LakeStore) -> None:
    report = collapse_duplicates(store)
    assert (report.n_documents, report.by_kind, report.changed) == (0, {}, 0)
    assert (report.n_pairs, report.n_verified, report.n_read) == (0, 0, 0)
    assert store.rows("duplicates") == []


def test_across_partitions(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, world.store, "other")
    world.write("a.md", TEXT)
    other.write("deep/a.md", TEXT)
    other.write("deep/near.md", TEXT + "\n\nPage 1 of 1")
    world.stages()
    other.stages()
    report = collapse_duplicates(world.store)
    assert report.by_kind == {"exact": 1, "near": 1}
    assert set(aliases(world.store).values()) == {"docs:a.md"}


def test_nothing_is_written_when_nothing_changed(world: World) -> None:
    for name in ("a.md", "deep/a.md"):
        world.write(name, TEXT)
    world.stages()
    first = collapse_duplicates(world.store)
    before = version(world.store)
    again = collapse_duplicates(world.store)
    assert (first.changed, again.changed) == (1, 0)
    assert again.data_version == first.data_version
    assert version(world.store) == before


def test_deleted_canonical_promotes_an_alias(world: World) -> None:
    path = world.write("a.md", TEXT)
    world.write("deep/b.md", TEXT)
    world.write("deep/er/c.md", TEXT)
    world.stages()
    collapse_duplicates(world.store)
    assert set(aliases(world.store).values()) == {"docs:a.md"}
    path.unlink()
    world.stages()
    collapse_duplicates(world.store)
    assert aliases(world.store) == {"docs:deep/er/c.md": "docs:deep/b.md"}


def test_unchanged_documents_are_not_read(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text())})
    first = collapse_duplicates(store)
    assert (first.n_pairs, first.n_verified, first.n_read) == (1, 1, 2)
    monkeypatch.setattr(collapse, "load_corpus", None)  # would fail if it were called
    again = collapse_duplicates(store)
    assert again == replace(first, changed=0, n_verified=0, n_read=0)


def test_a_table_that_was_removed_is_made_again(store: LakeStore) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text())})
    collapse_duplicates(store)
    store._stage("duplicates").drop_table("all")
    assert collapse_duplicates(store).by_kind == {"near": 1}
    assert aliases(store) == {"s:bb": "s:a"}


def make_anew(store: LakeStore, texts: dict[str, str]) -> None:
    """The partition, removed and made anew: its versions begin again."""
    store._stage("documents").drop_table("docs.0")
    put(store, texts)


def test_documents_made_anew_with_the_same_version_and_number_are_seen(store: LakeStore) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text())})
    collapse_duplicates(store)
    make_anew(store, {"s:a": text(), "s:cc": plain(1)})
    assert collapse_duplicates(store).by_kind == {}
    assert aliases(store) == {}


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("killed_at", TABLES)
def test_killed_between_two_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str, is_written: bool
) -> None:
    store, fresh = LakeStore(str(tmp_path / "lake")), LakeStore(str(tmp_path / "fresh"))
    first = {"s:a": text(), "s:bb": printed(text()), "s:ccc": text(changed=30), "s:d": plain(1)}
    put(store, first)
    collapse_duplicates(store)
    with monkeypatch.context() as patch:
        overwrite = LakeStore.overwrite

        def die(self: LakeStore, name: str, rows: pa.Table) -> None:
            if name != killed_at or is_written:
                overwrite(self, name, rows)
            if name == killed_at:
                raise KeyboardInterrupt

        patch.setattr(LakeStore, "overwrite", die)
        others = {"s:a": text(), "s:bb": printed(text(), 2), "s:ee": plain(2), "s:d": plain(1)}
        make_anew(store, others)
        with pytest.raises(KeyboardInterrupt):
            collapse_duplicates(store)
    make_anew(store, first)  # as the finished run saw it, versions and all
    put(fresh, first)
    assert collapse_duplicates(store).by_kind == collapse_duplicates(fresh).by_kind
    assert all_rows(store) == all_rows(fresh)


def test_one_percent_more_compares_only_what_is_new(store: LakeStore) -> None:
    pairs = {f"s:{n}": plain(n) for n in range(100)}
    pairs |= {f"s:copies/{n}": printed(plain(n)) for n in range(100)}
    put(store, pairs)
    first = collapse_duplicates(store)
    assert (first.by_kind, first.n_verified, first.n_read) == ({"near": 100}, 100, 200)
    put(store, pairs | {"s:copies/7a": printed(plain(7), 2), "s:new": plain(1000)})
    second = collapse_duplicates(store)
    assert (second.by_kind, second.changed) == ({"near": 101}, 1)
    # Compared: the new copy with its canonical.
    assert (second.n_pairs, second.n_verified, second.n_read) == (101, 1, 2)


def test_other_shingles_compare_everything_again(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text())})
    collapse_duplicates(store)
    monkeypatch.setattr(collapse.signatures, "VERSION", "next")
    assert collapse_duplicates(store).n_verified == 1
    assert collapse_duplicates(store).n_verified == 0


def test_pairs_of_texts_that_are_gone_are_forgotten(store: LakeStore) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text())})
    collapse_duplicates(store)
    put(store, {"s:a": text()})
    collapse_duplicates(store)
    assert store.rows("verified_pairs") == []


def test_thousands_of_copies_of_one_text_are_compared_once_each(store: LakeStore) -> None:
    n = 3000
    put(store, {f"s:{i}": f"{text()}\nPage {i} of {n}" for i in range(n)})
    report = collapse_duplicates(store)
    assert report.by_kind == {"near": n - 1}
    assert (report.n_verified, report.n_read) == (n - 1, n)


def test_thousands_of_one_template_stand_and_cost_no_square(store: LakeStore) -> None:
    n = 1000
    put(store, {f"s:{i}": text(changed=3, first=i % 190, mark=f"v{i}x") for i in range(n)})
    report = collapse_duplicates(store)
    assert report.by_kind == {}
    assert set(report.by_relation) == {"sibling"}
    assert report.n_verified <= 8 * n
    assert report.n_read <= n


steps = st.lists(
    st.tuples(
        st.sampled_from(["s:a", "s:b/a", "s:b/b", "s:c", "s:b/c/d"]),
        st.sampled_from(
            [
                None,
                text(),
                printed(text()),
                text(changed=20, first=50),
                printed(text(), 3),
                plain(1),
            ]
        ),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_history_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("lakes")
    lake, fresh = LakeStore(str(folder / "old")), LakeStore(str(folder / "new"))
    texts: dict[str, str] = {}
    for uri, said in steps:  # None: deleted
        texts.pop(uri, None)
        texts |= {} if said is None else {uri: said}
        put(lake, texts)
        report = collapse_duplicates(lake)
    put(fresh, texts)
    anew = collapse_duplicates(fresh)
    assert all_rows(lake) == all_rows(fresh)
    told = replace(report, changed=anew.changed, n_verified=anew.n_verified, n_read=anew.n_read)
    assert told == anew
