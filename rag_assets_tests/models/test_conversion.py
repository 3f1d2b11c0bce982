import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load as load_numpy
from tokenizers import Tokenizer

from rag_assets.models.conversion import convert, quantise_rows, served_name, to_bfloat16
from rag_assets.models.errors import ConversionError

HIDDEN, INTER, HEADS, KV_HEADS, LAYERS = 64, 96, 4, 2, 2
BYTES = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 324)]]
TOKENS = [*BYTES, "he", "ll", "hell", "hello", "<|endoftext|>", "<|im_end|>", "[PAD]"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}:{{ m['content'] }}<|im_end|>{% endfor %}"
RNG = np.random.default_rng(3)


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
    """A tiny random Qwen2 file without an output tensor; returns its tensors, dequantised."""
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
    for name, shape in shapes().items():
        tensor = RNG.standard_normal(shape).astype(np.float32)
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


def widen(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=20),
        elements=st.floats(-(2**20), 2**20, width=32).filter(lambda x: x == 0 or abs(x) > 1e-30),
    )
)
def test_rounding_is_off_by_at_most_half_a_step(rows: np.ndarray) -> None:
    quantised, scale = quantise_rows(rows)
    assert quantised.dtype == np.int8
    assert scale.shape == (rows.shape[0], 1)
    assert int(np.abs(quantised.astype(int)).max()) <= 127
    off = np.abs(quantised * scale.astype(np.float64) - rows)
    assert (off <= scale * (0.5 + 1e-4)).all()  # the rest is float32 division


def test_largest_value_of_a_row_is_kept_and_a_zero_row_stays_zero() -> None:
    quantised, scale = quantise_rows(np.array([[1.0, -2.0], [0, 0]], dtype=np.float32))
    assert quantised.tolist() == [[64, -127], [0, 0]]
    assert scale[:, 0].tolist() == [np.float32(2) / np.float32(127), 1]


def test_bfloat16_is_torchs_rounding() -> None:
    torch = pytest.importorskip("torch")
    values = (RNG.standard_normal(10_000) * 10.0 ** RNG.integers(-20, 20, 10_000)).astype("f4")
    values[:2] = [1 + 2**-8, 1 + 3 * 2**-8]  # ties: one down, one up to even
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy()
    np.testing.assert_array_equal(to_bfloat16(values).view(np.int16), expected)


def test_checkpoint_holds_every_tensor_of_the_source(tmp_path: Path) -> None:
    values = write_gguf(tmp_path / "tiny.gguf")
    shares: list[float] = []
    convert(tmp_path / "tiny.gguf", tmp_path / "out", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    data = (tmp_path / "out" / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    # numpy has no bfloat16: read the same bits as uint16
    header = data[8 : 8 + size].replace(b'"BF16"', b'"U16" ')
    saved = load_numpy(data[:8] + header + data[8 + size :])
    assert set(served_name(name) for name in values) <= set(saved)
    for name, expected in [*values.items(), ("output.weight", values["token_embd.weight"])]:
        got = saved[served_name(name)]
        if got.dtype == np.int8:
            scale = saved[f"{served_name(name)}_scale"]
            assert scale.dtype == np.float32
            assert np.abs(got * scale - expected).max() <= scale.max() * 0.5001
        else:
            np.testing.assert_allclose(widen(got), expected, rtol=2**-8)
    kinds = {name: saved[name].dtype for name in saved}
    assert kinds["lm_head.weight"] == np.int8
    assert kinds["model.embed_tokens.weight"] == np.uint16
    assert kinds["model.layers.1.self_attn.k_proj.bias"] == np.uint16


def test_config_describes_the_checkpoint(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", progress=lambda _share: None)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["hidden_size"] == HIDDEN
    assert config["vocab_size"] == len(TOKENS)
    assert config["rms_norm_eps"] == 1e-6
    assert config["tie_word_embeddings"] is False
    assert config["quantization_config"]["format"] == "int-quantized"
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert generation["eos_token_id"][0] == TOKENS.index("<|im_end|>")


def test_tokenizer_knows_merges_specials_and_template(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out", progress=lambda _share: None)
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
        convert(tmp_path / "tiny.gguf", tmp_path / "out", progress=lambda _share: None)


def test_unknown_tensor_is_named() -> None:
    assert served_name("blk.11.attn_k.bias") == "model.layers.11.self_attn.k_proj.bias"
    with pytest.raises(ConversionError, match=r"no tensor 'blk\.0\.ffn_gate_inp\.weight'"):
        served_name("blk.0.ffn_gate_inp.weight")


def test_as_a_command_it_reports_shares_and_one_sentence(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    command = [sys.executable, "-m", "rag_assets.models.conversion"]
    arguments = [str(tmp_path / "tiny.gguf"), str(tmp_path / "out")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) == 1.0
    (tmp_path / "tiny.gguf").write_bytes(b"nonsense")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'tiny.gguf'} is not a GGUF")
