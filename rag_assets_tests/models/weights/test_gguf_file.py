import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from rag_assets.models.errors import ConversionError
from rag_assets.models.weights.gguf_file import dequantise, read_gguf

RNG = np.random.default_rng(7)
MATRIX = RNG.standard_normal((6, 64)).astype(np.float32)
VECTOR = RNG.standard_normal(64).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file written by the gguf package itself."""
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_uint32("tiny.number", 7)
    writer.add_float32("tiny.fraction", 0.5)
    writer.add_bool("tiny.flag", True)
    writer.add_string("tiny.text", "grün 🎉")
    writer.add_array("tiny.words", ["a", "", "ü"])
    for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q5_0):
        rows = gguf.quantize(MATRIX, kind)
        writer.add_tensor(f"matrix.{kind.name}", rows, raw_dtype=kind)
    writer.add_tensor("vector", VECTOR)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_reads_what_the_gguf_package_wrote(path: Path) -> None:
    file = read_gguf(path)
    assert file.metadata["general.architecture"] == "qwen2"
    assert file.metadata["tiny.number"] == 7
    assert file.metadata["tiny.fraction"] == 0.5
    assert file.metadata["tiny.flag"] is True
    assert file.metadata["tiny.text"] == "grün 🎉"
    assert file.metadata["tiny.words"] == ["a", "", "ü"]
    assert {name: t.shape for name, t in file.tensors.items()} == {
        "matrix.Q8_0": (6, 64),
        "matrix.Q5_0": (6, 64),
        "vector": (64,),
    }
    np.testing.assert_array_equal(dequantise(file.tensors["vector"], 0, 1)[0], VECTOR)


def test_agrees_with_the_gguf_reader_row_by_row(path: Path) -> None:
    file = read_gguf(path)
    for expected in gguf.GGUFReader(path).tensors:
        whole = gguf.dequantize(expected.data, expected.tensor_type)
        tensor = file.tensors[expected.name]
        if whole.ndim == 2:
            np.testing.assert_array_equal(dequantise(tensor, 0, 6), whole)
            np.testing.assert_array_equal(dequantise(tensor, 2, 5), whole[2:5])


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ConversionError, match="is not a GGUF version 3 file"):
        read_gguf(tmp_path / "x")


def test_cut_off_tensor_is_named(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    with pytest.raises(ConversionError, match="ends inside tensor"):
        read_gguf(path)


def test_damaged_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 5) + b"\x01")
    with pytest.raises(ConversionError, match=r"header of .* is damaged"):
        read_gguf(path)
