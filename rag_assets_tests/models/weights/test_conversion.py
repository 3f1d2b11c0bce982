import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import gguf
import numpy as np
import pytest
from safetensors.numpy import load as load_numpy
from tokenizers import Tokenizer

from rag_assets.models.errors import ConversionError
from rag_assets.models.profiles import Precision
from rag_assets.models.weights.conversion import convert, served_name
from rag_assets.models.weights.formats import from_bfloat16, to_bfloat16
from rag_assets.models.weights.pulling import FORMAT_VERSIONS

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
HIDDEN, INTER, HEADS, KV_HEADS, LAYERS = 128, 256, 4, 2, 2  # int4 takes groups of 128
BYTES = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 324)]]
TOKENS = [*BYTES, "he", "ll", "hell", "hello", "<|endoftext|>", "<|im_end|>", "[PAD]"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}:{{ m['content'] }}<|im_end|>{% endfor %}"
# sha256 of the w8a8 checkpoint of the file that write_gguf writes: what is in people's caches
GOLDEN = {
    "config.json": "63dcf17f354a330044f977466adcc76e665d4de521b698925e47d4124006e24c",
    "generation_config.json": "52f6d8d55cc7e61e71282b70faa116919a86f205dbdffa86f3f661b9c07be257",
    "model.safetensors": "7b88d92b689a4d413a420c6c13af0c0f6954e3a7e0bf77e0e9135523b473c743",
}


def shapes() -> dict[str, tuple[int, ...]]:
    kv = HIDDEN // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(TOKENS), HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (HIDDEN,),
            f"blk.{layer}.ffn_norm.weight": (HIDDEN,),
            f"blk.{layer}.attn_q.weight": (HIDDEN, HIDDEN),
            f"blk.{layer}.attn_q.bias": (HIDDEN,),
            f"blk.{layer}.attn_k.weight": (kv, HIDDEN),
            f"blk.{layer}.attn_k.bias": (kv,),
            f"blk.{layer}.attn_v.weight": (kv, HIDDEN),
            f"blk.{layer}.attn_v.bias": (kv,),
            f"blk.{layer}.attn_output.weight": (HIDDEN, HIDDEN),
            f"blk.{layer}.ffn_gate.weight": (INTER, HIDDEN),
            f"blk.{layer}.ffn_up.weight": (INTER, HIDDEN),
            f"blk.{layer}.ffn_down.weight": (HIDDEN, INTER),
        }
    return shapes


def write_gguf(path: Path, *, architecture: str = "qwen2", pre: str = "qwen2") -> dict[str, Any]:
    """A tiny Qwen2 file without an output tensor, always the same; returns what it holds."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([1] * (len(TOKENS) - 3) + [3, 3, 5])
    writer.add_token_merges(["h e", "l l", "he ll", "hell o"])
    writer.add_bos_token_id(TOKENS.index("<|endoftext|>"))
    writer.add_eos_token_id(TOKENS.index("<|im_end|>"))
    writer.add_pad_token_id(TOKENS.index("<|endoftext|>"))
    writer.add_chat_template(TEMPLATE)
    values = {}
    for number, (name, shape) in enumerate(shapes().items()):
        # exact in float32 whatever the numpy: the golden hashes depend on it
        steps = np.arange(np.prod(shape), dtype=np.int64) * 7919 + number * 131
        tensor = ((steps * steps % 4093 - 2046) / 1024).astype(np.float32).reshape(shape)
        if len(shape) == 2:
            rows = gguf.quantize(tensor, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, rows, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            tensor = gguf.dequantize(rows, gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, tensor)
        values[name] = tensor
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


def read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """The tensors by name, bfloat16 widened to float32."""
    data = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    narrow = {name for name, entry in header.items() if entry.get("dtype") == "BF16"}
    # numpy has no bfloat16: read the same bits as uint16
    renamed = data[8 : 8 + size].replace(b'"BF16"', b'"U16" ')
    saved = load_numpy(data[:8] + renamed + data[8 + size :])
    return {n: from_bfloat16(v) if n in narrow else v for n, v in saved.items()}


def unpack_int4(packed: np.ndarray) -> np.ndarray:
    pairs = packed.view(np.uint8)
    return np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(len(packed), -1).astype(int) - 8


def stored(saved: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """One weight as it is served, and the size of its rounding steps."""
    if f"{name}_packed" in saved:
        steps = np.repeat(saved[f"{name}_scale"], 128, axis=1)
        return unpack_int4(saved[f"{name}_packed"]) * steps, steps
    if f"{name}_scale" in saved:
        return saved[name] * saved[f"{name}_scale"], saved[f"{name}_scale"]
    return saved[name], np.zeros(())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_checkpoint_holds_every_tensor_of_the_source(tmp_path: Path, precision: Precision) -> None:
    values = write_gguf(tmp_path / "tiny.gguf")
    shares: list[float] = []
    convert(tmp_path / "tiny.gguf", tmp_path / "out", precision, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    saved = read_checkpoint(tmp_path / "out")
    for name, expected in [*values.items(), ("output.weight", values["token_embd.weight"])]:
        got, steps = stored(saved, served_name(name))
        assert got.shape == expected.shape
        if steps.ndim:
            assert (np.abs(got - expected) <= steps * 0.53).all()
        else:
            np.testing.assert_array_equal(got, from_bfloat16(to_bfloat16(expected)))


@pytest.mark.parametrize(
    ("precision", "linear", "head"),
    [
        ("bf16", {"": "f4"}, {"": "f4"}),
        ("w8a8", {"": "i1", "_scale": "f4"}, {"": "i1", "_scale": "f4"}),
        ("w4a16", {"_packed": "i4", "_scale": "f4", "_shape": "i8"}, {"": "i1", "_scale": "f4"}),
    ],
)
def test_formats_differ_in_linears_and_head_only(
    tmp_path: Path, precision: Precision, linear: dict[str, str], head: dict[str, str]
) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", precision, progress=lambda _share: None)
    saved = read_checkpoint(tmp_path / "out")
    for name, kinds in (("model.layers.1.mlp.down_proj", linear), ("lm_head", head)):
        stem = f"{name}.weight"
        got = {k.removeprefix(stem): v.dtype.str[1:] for k, v in saved.items() if stem in k}
        assert got == kinds
    for name in ("model.embed_tokens.weight", "model.layers.1.self_attn.k_proj.bias"):
        assert saved[name].dtype == np.float32
        assert f"{name}_scale" not in saved
    if precision == "w4a16":
        assert saved["model.layers.0.mlp.up_proj.weight_shape"].tolist() == [INTER, HIDDEN]


def test_w8a8_is_what_caches_hold(tmp_path: Path) -> None:
    """Whoever means to change these raises the format's version, too."""
    assert FORMAT_VERSIONS["w8a8"] == "w8a8.1"
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", "w8a8", progress=lambda _share: None)
    files = {name: (tmp_path / "out" / name).read_bytes() for name in GOLDEN}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == GOLDEN


@pytest.mark.parametrize(
    ("precision", "form"),
    [("bf16", None), ("w8a8", "int-quantized"), ("w4a16", "mixed-precision")],
)
def test_config_describes_the_checkpoint(
    tmp_path: Path, precision: Precision, form: str | None
) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", precision, progress=lambda _share: None)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["hidden_size"] == HIDDEN
    assert config["vocab_size"] == len(TOKENS)
    assert config["rms_norm_eps"] == 1e-6
    assert config["tie_word_embeddings"] is False
    assert config.get("quantization_config", {}).get("format") == form
    assert ("quantization_config" in config) == (form is not None)
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert generation["eos_token_id"][0] == TOKENS.index("<|im_end|>")


def test_tokenizer_knows_merges_specials_and_template(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", "w8a8", progress=lambda _share: None)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.encode("hello hell<|im_end|>").tokens == ["hello", "Ġ", "hell", "<|im_end|>"]
    assert tokenizer.token_to_id("[PAD]") is None  # unused entries are no tokens
    text = "grün\n 日本 🎉"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    config = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert config["chat_template"] == TEMPLATE
    assert config["eos_token"] == "<|im_end|>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "llama"}, "only qwen2 can be converted, got 'llama'"),
        ({"pre": "llama-bpe"}, "expected a gpt2 tokenizer of flavour qwen2"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    write_gguf(tmp_path / "tiny.gguf", **options)
    with pytest.raises(ConversionError, match=message):
        convert(tmp_path / "tiny.gguf", tmp_path / "out", "w8a8", progress=lambda _share: None)


def test_unknown_tensor_is_named() -> None:
    assert served_name("blk.11.attn_k.bias") == "model.layers.11.self_attn.k_proj.bias"
    with pytest.raises(ConversionError, match=r"no tensor 'blk\.0\.ffn_gate_inp\.weight'"):
        served_name("blk.0.ffn_gate_inp.weight")


def test_as_a_command_it_reports_shares_and_one_sentence(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    command = [sys.executable, "-m", "rag_assets.models.weights.conversion"]
    arguments = [str(tmp_path / "tiny.gguf"), str(tmp_path / "out"), "w4a16"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) == 1.0
    assert "model.layers.0.mlp.up_proj.weight_packed" in read_checkpoint(tmp_path / "out")
    (tmp_path / "tiny.gguf").write_bytes(b"nonsense")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'tiny.gguf'} is not a GGUF")
    done = subprocess.run(
        [*command, *arguments[:2], "w2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.endswith("SOURCE FOLDER {bf16,w8a8,w4a16}\n")
