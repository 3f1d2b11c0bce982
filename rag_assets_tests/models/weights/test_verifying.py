import os
from pathlib import Path

import pytest

from rag_assets.models.weights.verifying import MARKER, difference, is_sealed, seal, size_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "1_Pooling").mkdir(parents=True)
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 8192)  # 2 MiB
    (made / "1_Pooling" / "config.json").write_text("{}")
    assert not is_sealed(made)
    seal(made, {"model_id": "m"})
    return made


def change(path: Path, at: int) -> None:
    """Turn one byte over and keep the time, as a failing disk does."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_was_pulled_is_as_it_was(folder: Path) -> None:
    assert is_sealed(folder)
    assert difference(folder) == ""
    assert size_of(folder) == (2 << 20) + 2


@pytest.mark.parametrize("at", [0, 900_000, (2 << 20) - 1])
def test_damage_in_the_sample_is_found(folder: Path, at: int) -> None:
    change(folder / "model.safetensors", at)
    assert difference(folder).endswith("model.safetensors has other content than was pulled")


def test_a_file_that_is_gone_or_cut_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"short")
    assert "had 2,097,152 bytes and has 5" in difference(folder)
    (folder / "1_Pooling" / "config.json").unlink()
    assert difference(folder).endswith("config.json is gone")


def test_another_time_has_the_file_read_whole_once(folder: Path) -> None:
    tensors = folder / "model.safetensors"
    os.utime(tensors, (1, 1))  # as after a copy
    before = (folder / MARKER).read_text()
    assert difference(folder) == ""
    assert (folder / MARKER).read_text() != before  # the new time is the one that is known now
    change(tensors, 70_000)  # where no sample is taken
    os.utime(tensors, (2, 2))
    assert "other content" in difference(folder)


def test_a_marker_that_is_no_record_is_none(folder: Path) -> None:
    (folder / MARKER).write_text("[")
    assert not is_sealed(folder)
