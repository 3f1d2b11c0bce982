import os
from pathlib import Path

import pytest

from rag_assets import files
from rag_assets.files import ensure_file, replace_file


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_what_was_there_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file(tmp_path / "one", b"before")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "one", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one").read_bytes() == b"before"


def test_what_is_there_already_needs_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_file(tmp_path / "one", b"text")
    monkeypatch.setattr(files, "replace_file", full)
    ensure_file(tmp_path / "one", b"text")
    with pytest.raises(OSError, match="No space left"):
        ensure_file(tmp_path / "one", b"other")


def test_an_interrupt_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "a.json", b"text")
    assert [*tmp_path.iterdir()] == []
