import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag_assets import files
from rag_assets.files import ensure_file, replace_file, sweep_parts


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


def test_what_a_killed_writer_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from rag_assets import files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        "files.replace_file(Path('folder/one'), b'text')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    (part,) = (tmp_path / "folder").iterdir()
    (tmp_path / ".mine").touch()
    os.utime(tmp_path / ".mine", (0, 0))
    assert sweep_parts(tmp_path, recursive=True) == 0  # it may be written yet
    os.utime(part, (0, 0))
    assert sweep_parts(tmp_path) == 0
    assert sweep_parts(tmp_path, recursive=True) == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [".mine"]
