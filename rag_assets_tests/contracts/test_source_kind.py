"""What every kind of source does; ours keep the contract that others are held to."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.contracts import check_source_kind
from rag_assets.sources.declaration import Source
from rag_assets.sources.folder import FolderListing
from rag_assets.sources.found import FoundFile, Listing
from rag_assets.sources.listing import opened


@pytest.fixture(params=["folder", "archive", "object_store"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "a.txt").write_text("One")
    (tmp_path / "docs" / "deep" / "b.txt").write_text("Two")
    where = str(tmp_path / "docs")
    if request.param == "archive":
        where = str(tmp_path / "docs.zip")
        with zipfile.ZipFile(where, "w") as archive:
            archive.write(tmp_path / "docs" / "a.txt", "a.txt")
    return Source(
        name="docs",
        kind=request.param,
        where=f"file://{where}" if request.param == "object_store" else where,
    )


def test_keeps_the_contract(source: Source) -> None:
    check_source_kind(opened, source)


def test_a_broken_one_is_told_why(tmp_path: Path) -> None:
    class Restless(FolderListing):
        def files(self) -> list[FoundFile]:
            return [replace(file, state=str(id(self))) for file in super().files()]

    kept: list[Listing] = []

    @contextmanager
    def restless(source: Source) -> Iterator[Listing]:
        kept.append(Restless(source))
        yield kept[-1]

    (tmp_path / "a.txt").write_text("One")
    with pytest.raises(AssertionError, match="uris or states are others"):
        check_source_kind(restless, Source(name="docs", kind="folder", where=str(tmp_path)))
