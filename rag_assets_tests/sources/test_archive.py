import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.lake.store import LakeStore
from rag_assets.sources import archive, found
from rag_assets.sources.archive import ArchiveListing, named
from rag_assets.sources.declaration import Source, SourceError, SourceGoneError
from rag_assets.sources.found import FoundFile, UnreadableError
from rag_assets.sources.listing import opened
from rag_assets_tests.world import ingest

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archived:
        for name, data in members:
            info = zipfile.ZipInfo(name, (2026, 11, 1, 8, 0, 0))
            info.filename = name  # ZipInfo itself would mend some of them
            info.compress_type = method
            archived.writestr(info, data)
    return made.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "docs.zip"
    path.write_bytes(zipped(("a.md", b"one"), ("sub/b.md", b"two"), ("sub/", b"")))
    return Source("zip", "archive", str(path))


def listed(source: Source) -> dict[str, FoundFile]:
    with opened(source) as listing:
        return {file.uri.removeprefix("zip:"): file for file in listing.files()}


def test_members(source: Source) -> None:
    assert sorted(listed(source)) == ["a.md", "sub/b.md"]
    assert listed(source)["a.md"].mtime_ns == 1793520000 * 10**9
    assert sorted(listed(replace(source, include=("sub/*",)))) == ["sub/b.md"]
    assert sorted(listed(replace(source, exclude=("**/b.*",)))) == ["a.md"]


def test_unchanged_members_are_not_read(
    source: Source, store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refresh() -> tuple[int, int, int]:
        delta = ingest(store, source, "zip.0", run_id="r").delta
        return len(delta.new), len(delta.changed), len(delta.gone)

    assert refresh() == (2, 0, 0)
    read: list[str] = []
    reading = ArchiveListing.read
    monkeypatch.setattr(
        ArchiveListing, "read", lambda self, file: read.append(file.uri) or reading(self, file)
    )
    Path(source.where).write_bytes(zipped(("a.md", b"one"), ("sub/b.md", b"owt")))
    assert refresh() == (0, 1, 0)
    assert read == ["zip:sub/b.md"]
    Path(source.where).write_bytes(zipped(("c.md", b"x"), ("sub/b.md", b"owt")))
    assert refresh() == (1, 0, 1)


@pytest.mark.parametrize(
    "data", [b"", b"no zip", zipped(("a.md", b"x"))[:-10], b"PK\x05\x06" + bytes(17)]
)
def test_what_is_no_archive_deletes_nothing(source: Source, store: LakeStore, data: bytes) -> None:
    ingest(store, source, "zip.0", run_id="r")
    Path(source.where).write_bytes(data)
    with pytest.raises(SourceError, match=r"expected a zip archive.*nothing was deleted"):
        ingest(store, source, "zip.0", run_id="r")
    Path(source.where).unlink()
    with pytest.raises(SourceGoneError, match=r"none can be seen there; nothing was deleted"):
        ingest(store, source, "zip.0", run_id="r")
    assert len(store.rows("source_files", "zip.0")) == 2


@pytest.mark.parametrize("name", ["../a.md", "a/../../b.md", "/etc/passwd", "..\\a.md", "C:\\a.md",
                                  "\\\\host\\a.md"])  # fmt: skip
def test_names_that_lead_out_are_not_read(source: Source, name: str) -> None:
    Path(source.where).write_bytes(zipped((name, b"x"), ("good.md", b"y")))
    files = listed(source)
    assert files[name].problem == "its name leads out of the archive"
    assert files["good.md"].problem is None


def test_names_from_windows(source: Source) -> None:
    members = [("dir\\a.md", b"x"), ("dir/a.md", b"y"), ("dir\\", b"")]
    Path(source.where).write_bytes(zipped(*members))
    assert sorted(listed(replace(source, include=("dir/*",)))) == ["dir/a.md", "dir\\a.md"]


def test_hidden_members_are_left_out(source: Source) -> None:
    members = [("__MACOSX/._a.md", b"x"), (".git/b.md", b"y"), ("c.md", b"z")]
    Path(source.where).write_bytes(zipped(*members))
    assert list(listed(source)) == ["c.md"]


def test_the_last_of_a_name_has_it(source: Source) -> None:
    Path(source.where).write_bytes(zipped(("a.md", b"old"), ("a.md#0", b"x"), ("a.md", b"new")))
    with opened(source) as listing:
        files = {file.uri: file for file in listing.files()}
        assert listing.read(files["zip:a.md"]) == b"new"
        assert listing.read(files["zip:a.md#0"]) == b"x"
    assert files["zip:a.md#0'"].problem == "another member has its name"


@given(st.lists(st.sampled_from(["a", "a#0", "a#1", "a#0'", "b", "b\\c", "b/c"]), max_size=8))
def test_no_two_members_share_a_name(names: list[str]) -> None:
    infos = [zipfile.ZipInfo(name) for name in names]
    made = [name for name, _ in named(infos)]
    assert len(set(made)) == len(made) == len(names)
    assert set(names) <= set(made)


def test_encrypted_bombs_and_odd_methods_have_their_reason(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "MAX_FILE_BYTES", 5_000_000)
    data = zipped(
        ("bomb.txt", bytes(3_000_000)),
        ("zeros.txt", bytes(900_000)),
        ("huge.txt", bytes(6_000_000)),
    )
    locked = bytearray(zipped(("locked.md", b"secret"), method=zipfile.ZIP_STORED))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    Path(source.where).write_bytes(data)
    problems = {name: file.problem or "" for name, file in listed(source).items()}
    assert "as a zip bomb is" in problems["bomb.txt"]
    assert problems["zeros.txt"] == ""
    assert "zip bomb" in problems["huge.txt"]
    Path(source.where).write_bytes(bytes(locked))
    assert "is encrypted" in (listed(source)["locked.md"].problem or "")
    Path(source.where).write_bytes(zipped(("a.md", b"x" * 99), method=zipfile.ZIP_BZIP2))
    assert "method 12" in (listed(source)["a.md"].problem or "")
    Path(source.where).write_bytes(zipped(("huge.md", bytes(5_000_001)), method=zipfile.ZIP_STORED))
    assert "has 5,000,001 bytes" in (listed(source)["huge.md"].problem or "")


def test_a_bomb_of_many_small_members_is_refused(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 10_000_000)
    zeros = bytes(900_000)  # each too small to be judged by itself
    Path(source.where).write_bytes(zipped(*((f"{n}.txt", zeros) for n in range(20))))
    with pytest.raises(SourceError, match="unpack to 18,000,000, as those of a zip bomb do"):
        listed(source)


def test_too_many_members_are_refused(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(source.where).write_bytes(zipped(*((f"{n}.txt", b"") for n in range(50))))
    assert len(listed(source)) == 50
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MAX_MEMBERS", 49)
        with pytest.raises(SourceError, match="it has 50 members, at most 49 are read"):
            listed(source)
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 1000)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # it is not opened: that would take the memory
    with pytest.raises(SourceError, match=r"list of members has 2,\d\d\d bytes"):
        listed(source)


def test_a_size_that_lies_does_not_help(source: Source) -> None:
    data = bytearray(zipped(("a.md", bytes(4_000_000))))
    central = data.index(b"PK\x01\x02")
    for place in (central + 24, 22):  # declared sizes: 100 bytes
        data[place : place + 4] = struct.pack("<I", 100)
    Path(source.where).write_bytes(bytes(data))
    with opened(source) as listing:
        (file,) = listing.files()
        assert file.problem is None
        with pytest.raises(UnreadableError, match="CRC"):
            listing.read(file)


def test_a_damaged_member_is_a_problem_of_its_own(source: Source, store: LakeStore) -> None:
    data = bytearray(zipped(("a.md", b"some text"), ("b.md", b"y"), method=zipfile.ZIP_STORED))
    data[data.index(b"some text")] ^= 1
    Path(source.where).write_bytes(bytes(data))
    ingest(store, source, "zip.0", run_id="r")
    rows = {row["uri"]: row["problem"] for row in store.rows("source_files", "zip.0")}
    assert "Bad CRC-32" in rows["zip:a.md"]
    assert rows["zip:b.md"] is None


def test_an_archive_in_an_archive_is_one_file(source: Source) -> None:
    Path(source.where).write_bytes(zipped(("inner.zip", zipped(("a.md", b"x")))))
    assert list(listed(source)) == ["inner.zip"]


def test_a_date_that_is_none(source: Source) -> None:
    assert archive._modified_ns(zipfile.ZipInfo("a", (1980, 1, 1, 0, 0, 0))) == 315532800 * 10**9
    info = zipfile.ZipInfo("a")
    info.date_time = (1980, 0, 0, 0, 0, 0)
    assert archive._modified_ns(info) == 0


def test_an_archive_in_an_object_store() -> None:
    fsspec.filesystem("memory").pipe("/zips/docs.zip", zipped(("a.md", b"one")))
    source = Source("zip", "archive", "memory://zips/docs.zip")
    with opened(source) as listing:
        (file,) = listing.files()
        assert listing.read(file) == b"one"
    with pytest.raises(SourceError, match="nothing was deleted"):
        listed(replace(source, where="memory://zips/absent.zip"))


def test_a_member_whose_own_header_is_garbled(source: Source, store: LakeStore) -> None:
    # The central directory names it well; the name before its data is no UTF-8.
    data = zipped(("ä.md", b"x"), ("good.md", b"y"))
    Path(source.where).write_bytes(data.replace("ä.md".encode(), b"\xff\xff.md", 1))
    ingest(store, source, "zip.0", run_id="r")
    rows = {row["uri"]: row["problem"] for row in store.rows("source_files", "zip.0")}
    assert rows["zip:good.md"] is None
    assert "cannot be read from its archive" in rows["zip:ä.md"]


def test_a_store_that_breaks_off_within_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/broken.zip", zipped(("a.md", b"x")))

    class ClientError(Exception):
        """As a backend's own library raises it."""

    def refuse(*_: object) -> None:
        raise ClientError("connection reset")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(SourceError, match="connection reset; nothing was deleted"):
        listed(Source("zip", "archive", "memory://broken.zip"))
