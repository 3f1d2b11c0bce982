"""What holds for each kind of source alike."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from rag_assets.lake.store import LakeStore
from rag_assets.sources.declaration import Source, WebOptions
from rag_assets.sources.listing import opened, problem_of, source_state, states
from rag_assets.sources.stage import TABLE
from rag_assets_tests.sources.site import Site
from rag_assets_tests.world import ingest

FILES = {"a.md": b"one", "sub/b.md": b"two", "sub/c.txt": b"three"}
Make = Callable[[dict[str, bytes]], Source]


@pytest.fixture(params=["folder", "object_store", "archive", "web"])
def make(request: pytest.FixtureRequest, tmp_path: Path, site: Site) -> Make:
    """Writes files as a source of each kind."""

    def folder(files: dict[str, bytes]) -> Source:
        for name, data in files.items():
            (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "docs" / name).write_bytes(data)
        return Source("docs", "folder", str(tmp_path / "docs"))

    def object_store(files: dict[str, bytes]) -> Source:
        memory = fsspec.filesystem("memory")
        memory.store.clear()
        memory.pipe({f"/docs/{name}": data for name, data in files.items()})
        return Source("docs", "object_store", "memory://docs")

    def archive(files: dict[str, bytes]) -> Source:
        with zipfile.ZipFile(tmp_path / "docs.zip", "w") as archived:
            for name, data in files.items():
                archived.writestr(name, data)
        return Source("docs", "archive", str(tmp_path / "docs.zip"))

    def web(files: dict[str, bytes]) -> Source:
        for name, data in files.items():
            site.page(f"/{name}", data)
        site.sitemap(*(f"/{name}" for name in files))
        options = WebOptions(allow_private=True, delay_s=0)
        return Source("docs", "web", f"{site.url}/sitemap.xml", web=options)

    made: dict[str, Make] = {
        "folder": folder, "object_store": object_store, "archive": archive, "web": web,
    }  # fmt: skip
    return made[request.param]


def test_files_have_their_names_and_bytes(make: Make, site: Site) -> None:
    kept: dict[str, bytes] = {}
    with opened(make(FILES), kept.__setitem__) as listing:
        listed = listing.files()
        assert [file.uri for file in listed] == sorted(file.uri for file in listed)
        found = {
            file.uri.removeprefix("docs:").removeprefix(f"{site.url}/"): (
                kept[file.raw_hash] if file.raw_hash else listing.read(file)
            )
            for file in listing.examine(listed, {})
        }
    assert found == FILES


def test_listing_twice_gives_the_same_states(make: Make) -> None:
    source = make(FILES)
    assert states(source) == states(source)
    assert source_state(source) == source_state(source)
    assert len(states(source)) == len(FILES)


def test_second_refresh_changes_nothing(make: Make, store: LakeStore) -> None:
    source = make(FILES)
    first = ingest(store, source, "docs.0", run_id="1")
    second = ingest(store, source, "docs.0", run_id="2")
    assert first.n_rows == {TABLE.name: len(FILES)}
    assert second.is_noop
    assert first.data_version == second.data_version


def test_what_is_there(make: Make, tmp_path: Path) -> None:
    assert not problem_of(make(FILES))
    assert "none can be seen there" in problem_of(Source("a", "folder", str(tmp_path / "absent")))
    assert "rag sources remove a" in problem_of(Source("a", "archive", str(tmp_path / "no.zip")))
    assert "is not a regular file" in problem_of(Source("a", "archive", str(tmp_path)))
