import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from rag_assets.lake.store import LakeStore
from rag_assets.sources import found, object_store
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import FoundFile, UnreadableError
from rag_assets.sources.listing import opened
from rag_assets.sources.object_store import ObjectStoreListing, modified_ns
from rag_assets_tests.world import ingest


class Bucket:
    """Objects below a URI, written as any other program would write them."""

    def __init__(self, uri: str, **storage: str) -> None:
        self.source = Source("docs", "object_store", uri, storage=storage)
        self._files, self._root = fsspec.core.url_to_fs(uri, **storage)

    def put(self, key: str, data: bytes) -> None:
        if self.source.where.startswith("file:"):
            Path(self._root, key).parent.mkdir(parents=True, exist_ok=True)
        self._files.pipe_file(f"{self._root}/{key}", data)

    def remove(self, key: str) -> None:
        self._files.rm_file(f"{self._root}/{key}")


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A server that speaks S3, as boto3's own tests use it; its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "file", "s3"])
def bucket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        fsspec.filesystem("memory").mkdirs("/docs", exist_ok=True)
        return Bucket("memory://docs")
    if request.param == "file":
        (tmp_path / "docs").mkdir()
        return Bucket(f"file://{tmp_path}/docs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    url = request.getfixturevalue("s3")
    files = fsspec.filesystem("s3", endpoint_url=url)
    if files.exists("docs"):
        files.rm("docs", recursive=True)
    files.mkdir("docs")
    return Bucket("s3://docs/below", endpoint_url=url)


def listed(source: Source) -> dict[str, FoundFile]:
    with opened(source) as listing:
        return {file.uri.removeprefix("docs:"): file for file in listing.files()}


def refresh(store: LakeStore, source: Source) -> tuple[int, int, int]:
    delta = ingest(store, source, "docs.0", run_id="r").delta
    return len(delta.new), len(delta.changed), len(delta.gone)


def test_adds_changes_and_deletes(
    bucket: Bucket, store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.md", b"one")
    bucket.put("sub/b ö.md", b"two")
    assert refresh(store, bucket.source) == (2, 0, 0)
    (row,) = store.rows("source_files", "docs.0", where="uri = 'docs:sub/b ö.md'")
    assert store.get_blob(row["raw_hash"]) == b"two"
    assert row["modified_at"].year >= 2026
    read: list[str] = []
    reading = ObjectStoreListing.read
    monkeypatch.setattr(
        ObjectStoreListing, "read", lambda self, file: read.append(file.uri) or reading(self, file)
    )
    assert refresh(store, bucket.source) == (0, 0, 0)
    bucket.put("a.md", b"eno")  # of the same size
    bucket.put("c.md", b"three")
    bucket.remove("sub/b ö.md")
    assert refresh(store, bucket.source) == (1, 1, 1)
    assert sorted(read) == ["docs:a.md", "docs:c.md"]


def test_patterns_and_hidden_keys(bucket: Bucket) -> None:
    for key in ("a.md", "x/b.md", "x/c.txt", ".hidden/d.md", "x/.e.md"):
        bucket.put(key, b"x")
    assert sorted(listed(bucket.source)) == ["a.md", "x/b.md", "x/c.txt"]
    source = replace(bucket.source, include=("**/*.md",), exclude=("x/*",))
    assert sorted(listed(source)) == ["a.md"]


def test_a_prefix_that_is_not_there_deletes_nothing(bucket: Bucket, store: LakeStore) -> None:
    bucket.put("a.md", b"one")
    refresh(store, bucket.source)
    source = replace(bucket.source, where=bucket.source.where + "-misspelled")
    with pytest.raises(SourceError, match="none can be seen there; nothing was deleted"):
        refresh(store, source)
    assert len(store.rows("source_files", "docs.0")) == 1


def test_huge_objects_are_not_read(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("a.md", b"x" * 11)
    monkeypatch.setattr(found, "MAX_FILE_BYTES", 10)
    file = listed(bucket.source)["a.md"]
    assert file.problem == "has 11 bytes; at most 10 are read"
    with opened(bucket.source) as listing:
        listing.files()
        with pytest.raises(UnreadableError, match="more than the 10 bytes"):
            listing.read(file)


def test_an_object_deleted_since_it_was_listed(bucket: Bucket) -> None:
    bucket.put("a.md", b"x")
    with opened(bucket.source) as listing:
        (file,) = listing.files()
        bucket.remove("a.md")
        with pytest.raises(UnreadableError, match="cannot be read"):
            listing.read(file)


def test_etags_of_s3_are_kept_and_asked_for_in_the_listing_only(
    s3: str, store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    fsspec.filesystem("s3", endpoint_url=s3).mkdir("etags")
    bucket = Bucket("s3://etags/x", endpoint_url=s3)
    bucket.put("a.md", b"one")
    refresh(store, bucket.source)
    before = store.rows("source_files", "docs.0")[0]
    assert before["etag"] == '"f97c5d29941bfb1b2fdab0874906ab82"'  # S3's is the MD5
    bucket.put("a.md", b"one")  # written anew: another time, the same ETag
    assert refresh(store, bucket.source) == (0, 0, 0)


def test_store_that_cannot_be_reached_deletes_nothing(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe({"/docs/a.md": b"x", "/docs/b.md": b"y"})
    source = Source("docs", "object_store", "memory://docs")
    refresh(store, source)
    memory.pipe({"/docs/a.md": b"changed"})
    memory.rm("/docs/b.md")

    def refuse(*_: object, **__: object) -> None:
        raise TimeoutError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "find", refuse)
        with pytest.raises(SourceError, match="no route; nothing was deleted"):
            refresh(store, source)
    with monkeypatch.context() as patch:  # the listing came, and then the connection broke
        patch.setattr(type(memory), "_open", refuse)
        with pytest.raises(SourceError, match="no route; nothing was deleted"):
            refresh(store, source)
    assert len(store.rows("source_files", "docs.0", where="problem IS NULL")) == 2
    assert refresh(store, source) == (0, 1, 1)


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    tmp_path: Path, store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fsspec's own find() leaves it out without a word.
    bucket = Bucket(f"file://{tmp_path}/docs")
    for key in ("a.md", "b.md", "sub/deep/c.md"):
        bucket.put(key, b"x")
    assert refresh(store, bucket.source) == (3, 0, 0)
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("deep"):
            raise OSError(107, "Transport endpoint is not connected")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(SourceError, match="not connected; nothing was deleted"):
            refresh(store, bucket.source)
    assert refresh(store, bucket.source) == (0, 0, 0)


def test_pipes_are_not_waited_for_and_links_are_their_targets(tmp_path: Path) -> None:
    bucket = Bucket(f"file://{tmp_path}/docs")
    bucket.put("a.md", b"x")
    os.mkfifo(tmp_path / "docs" / "pipe.md")
    links = {
        "link.md": "a.md",
        "dangling.md": "absent",
        "folder": tmp_path,
        "out.md": "/etc/passwd",
    }
    for name, target in links.items():
        (tmp_path / "docs" / name).symlink_to(target)
    problems = {key: file.problem for key, file in listed(bucket.source).items()}
    no_file = dict.fromkeys(["pipe.md", "dangling.md", "out.md"], "is not a regular file")
    assert problems == {"a.md": None, "link.md": None, **no_file}
    single = replace(bucket.source, where=f"{bucket.source.where}/a.md")
    assert list(listed(single)) == ["a.md"]


def test_unknown_protocol_and_missing_package_are_explained() -> None:
    with pytest.raises(SourceError, match="nosuch"):
        listed(Source("docs", "object_store", "nosuch://bucket"))
    with pytest.raises(SourceError, match="Install the package that fsspec names"):
        listed(Source("docs", "object_store", "oci://bucket"))


def test_a_single_object_is_a_source_of_one() -> None:
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pipe("/docs/only.md", b"x")
    source = Source("docs", "object_store", "memory://docs/only.md")
    assert list(listed(source)) == ["only.md"]


@pytest.mark.parametrize(
    ("info", "seconds"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, 1767225600),
        ({"created": datetime(2026, 1, 1)}, 1767225600),
        ({"updated": "2026-01-01T00:00:00Z"}, 1767225600),
        ({"mtime": 1767225600.0}, 1767225600),
        ({"updated": "some day"}, 0),
        ({"LastModified": datetime(1, 1, 1, tzinfo=UTC)}, 0),  # as .NET and Go write no date
        ({"updated": "9999-12-31T00:00:00Z"}, 0),
        ({}, 0),
    ],
)
def test_dates_of_stores(info: dict[str, Any], seconds: int) -> None:
    assert modified_ns(info) == seconds * 10**9


def test_what_google_and_azure_call_it() -> None:
    listing = ObjectStoreListing(Source("docs", "object_store", "memory://docs"))
    for name in object_store.ETAGS:
        file = listing._found("docs", "docs/a", {"type": "file", "size": 1, name: "x1"})
        assert file is not None
        assert (file.etag, file.state) == ("x1", "x1:1:")
    assert listing._found("docs", "docs/sub/", {"type": "directory", "size": 0}) is None
