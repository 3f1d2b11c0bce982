import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.lake.store import LakeStore
from rag_assets.sources import found
from rag_assets.sources.catalog import Source, SourceError
from rag_assets.sources.folder import FolderListing, list_folder
from rag_assets.sources.found import UnreadableError
from rag_assets.sources.listing import opened, source_state


@pytest.fixture
def source(tmp_path: Path) -> Source:
    root = tmp_path / "docs"
    for path in ("a.md", "b.txt", "sub/c.md", "sub/.hidden.md", ".git/d.md", "sub/deep/e.tmp"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return Source("docs", "folder", str(root))


def uris(source: Source) -> list[str]:
    return [found.uri.removeprefix("docs:") for found in list_folder(source)]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("**/*",), (), ["a.md", "b.txt", "sub/c.md", "sub/deep/e.tmp"]),
        (("**/*.md",), (), ["a.md", "sub/c.md"]),
        (("sub/**",), ("**/*.tmp",), ["sub/c.md"]),
        (("a.md", "b.*"), (), ["a.md", "b.txt"]),
        (("**/*",), ("sub/*",), ["a.md", "b.txt"]),
        ((), (), []),
    ],
)
def test_patterns(
    source: Source, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    assert uris(replace(source, include=include, exclude=exclude)) == expected


def test_missing_folder_is_an_error_not_an_empty_one(source: Source) -> None:
    with pytest.raises(SourceError, match="nothing was deleted"):
        list(list_folder(replace(source, where=source.where + "-gone")))


def test_a_mount_that_is_dead_is_an_error_that_says_so(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def dead(path: object, **more: bool) -> os.stat_result:
        if str(path) == source.where:
            raise OSError(107, "Transport endpoint is not connected")
        return stat(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", dead)
    with pytest.raises(SourceError, match="nothing was deleted"):
        list(list_folder(source))


def test_folder_that_cannot_be_listed(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir  # as root every folder can be listed, so the refusal is simulated

    def refuse(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match=r"cannot list .*sub: Permission denied; nothing was"):
        list(list_folder(source))


def test_what_cannot_be_read_has_its_problem(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(source.where)
    (root / "dangling.md").symlink_to(root / "absent")
    os.mkfifo(root / "pipe.md")
    (root / "huge.md").write_text("x" * 200)
    monkeypatch.setattr(found, "MAX_FILE_BYTES", 100)
    access = os.access  # root may read everything, so the refusal is simulated

    def may(path: Path, mode: int) -> bool:
        return path.name != "a.md" and access(path, mode)

    monkeypatch.setattr(os, "access", may)
    problems = {f.uri.removeprefix("docs:"): f.problem for f in list_folder(source) if f.problem}
    assert problems == {
        "a.md": "cannot be read: permission denied",
        "dangling.md": "cannot be read: No such file or directory",
        "huge.md": "has 200 bytes; at most 100 are read",
        "pipe.md": "is not a regular file",
    }


def test_links_do_not_lead_out_of_the_folder(source: Source, tmp_path: Path) -> None:
    root, outside = Path(source.where), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (root / "passwd.md").symlink_to("/etc/passwd")
    (root / "beside.md").symlink_to(outside / "secret.md")
    (root / "twice.md").symlink_to(root / "beside.md")
    (root / "null.md").symlink_to("/dev/null")
    (root / "loop.md").symlink_to(root / "loop.md")
    (root / "same.md").symlink_to("sub/c.md")
    (root / "folder").symlink_to(outside)
    (root / "circle").symlink_to(root)
    linked = replace(source, where=str(tmp_path / "by-a-link"))
    Path(linked.where).symlink_to(root)
    for one in (source, linked):
        files = {f.uri.removeprefix("docs:"): f for f in list_folder(one)}
        plain = {"a.md", "b.txt", "sub/c.md", "sub/deep/e.tmp"}
        leads_out = {"passwd.md", "beside.md", "twice.md", "null.md"}
        assert files.keys() == plain | leads_out | {"loop.md", "same.md"}
        out = "is a link that leads out of the source's folder"
        assert {name for name, file in files.items() if file.problem == out} == leads_out
        assert "symbolic links" in str(files["loop.md"].problem)
        assert FolderListing(one).read(files["same.md"]) == b"sub/c.md"


@pytest.mark.parametrize("link", ["file", "folder"])
def test_what_became_a_link_since_it_was_listed_is_not_followed(
    source: Source, tmp_path: Path, link: str
) -> None:
    root, outside = Path(source.where), tmp_path / "outside"
    outside.mkdir()
    (outside / "c.md").write_text("secret")
    (file,) = (file for file in list_folder(source) if file.uri == "docs:sub/c.md")
    if link == "file":
        (root / "sub" / "c.md").unlink()
        (root / "sub" / "c.md").symlink_to(outside / "c.md")
    else:
        (root / "sub").rename(tmp_path / "away")
        (root / "sub").symlink_to(outside)
    with pytest.raises(UnreadableError, match="leads out of the source's folder"):
        FolderListing(source).read(file)


def test_what_became_a_pipe_since_it_was_listed_is_not_waited_for(source: Source) -> None:
    path = Path(source.where) / "a.md"
    file = next(iter(list_folder(source)))
    path.unlink()
    os.mkfifo(path)
    began = time.monotonic()
    with pytest.raises(UnreadableError, match="is not a regular file"):
        FolderListing(source).read(file)
    with pytest.raises(OSError, match="is not a regular file"):  # also if it becomes one just now
        found.open_regular(str(path))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["archive", "web"])
def test_a_pipe_in_place_of_the_source_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        opened(Source("docs", kind, str(tmp_path / "pipe"))) as listing,
        pytest.raises(SourceError, match=r"source docs: .*is not a regular file"),
    ):
        listing.files()


def test_names_that_are_not_utf8_stay_apart(source: Source) -> None:
    for name in (b"\xfe.md", b"\xff.md"):
        (Path(source.where) / os.fsdecode(name)).write_text("text")
    found = [uri for uri in uris(source) if uri.startswith("\\")]
    assert found == ["\\udcfe.md", "\\udcff.md"]


def test_a_name_that_spells_such_a_byte_is_another(source: Source) -> None:
    names = [b"bad\xff.md", rb"bad\udcff.md", b"bad\\\xff.md", rb"bad\\udcff.md"]
    for name in names:
        (Path(source.where) / os.fsdecode(name)).write_bytes(name)
    found = [file for file in list_folder(source) if "bad" in file.uri]
    assert sorted(FolderListing(source).read(file) for file in found) == sorted(names)
    assert {os.fsencode(meant(file.uri.removeprefix("docs:"))) for file in found} == {*names}


def meant(below: str) -> str:
    """The name that the part of a uri behind the source's name stands for."""
    return re.sub(
        r"\\(?:\\|u(dc[0-9a-f]{2}))", lambda m: chr(int(m[1], 16)) if m[1] else "\\", below
    )


def test_uris_of_other_names_are_these_names(source: Source) -> None:
    (Path(source.where) / "Fähre 100% 👩‍🚀 'a' & b.md").write_text("text")
    assert "Fähre 100% 👩‍🚀 'a' & b.md" in uris(source)


def test_state_changes_with_the_listing_only(source: Source) -> None:
    root = Path(source.where)
    before = source_state(source)
    assert source_state(source) == before
    (root / ".hidden").write_text("x")
    assert source_state(source) == before
    (root / "new.md").write_text("x")
    added = source_state(source)
    assert added != before
    (root / "new.md").unlink()
    assert source_state(source) == before


def test_a_lake_in_the_folder_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text.")
    store = LakeStore(str(tmp_path / "lake"))
    store.put_record("one", {})
    assert uris(Source("docs", "folder", str(tmp_path))) == ["a.txt"]
