"""How much memory an engine needs, from its model's configuration and its flags.

The key-value cache is counted as vLLM 0.32 counts it (``vllm/v1/core/kv_cache_utils.py`` and
``kv_cache_interface.py``): blocks of tokens, layers with a sliding window apart from the others.
So its tokens are those that the engine's log reports.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

GIB = 1 << 30
BYTES: Mapping[str, float] = {  # of one number, by its names in flags, configs and checkpoints
    "float32": 4, "float": 4, "F32": 4,
    "float16": 2, "half": 2, "bfloat16": 2, "F16": 2, "BF16": 2,
    "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "int8": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides a model's memory, as its ``config.json`` has it.

    Attributes:
        layers: of the transformer.
        kv_heads: heads that keep keys and values (grouped heads share them).
        head_dim: numbers of a key, and of a value.
        hidden: width of the model.
        intermediate: width of a feed-forward layer.
        vocab: tokens that the model knows.
        sliding_layers: layers that attend to the last ``window`` tokens alone.
        window: tokens.
        keeps_cache: False of an encoder, which has no key-value cache.
    """

    layers: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocab: int
    sliding_layers: int = 0
    window: int = 0
    keeps_cache: bool = True

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Self:
        """Read a ``config.json``.

        Raises:
            KeyError: the config lacks a field that decides memory.
        """
        config = {**config, **config.get("text_config", {})}  # of models that also see
        layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
        kinds = config.get("layer_types") or []
        window = config.get("sliding_window") or 0
        sliding = kinds.count("sliding_attention")
        if window and not kinds and config.get("use_sliding_window", True):
            pattern = config.get("sliding_window_pattern")
            sliding = layers - layers // pattern if pattern else layers
        return cls(
            layers=layers,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            vocab=config["vocab_size"],
            sliding_layers=sliding,
            window=window if sliding else 0,
            keeps_cache=not any("Bert" in name for name in config.get("architectures") or []),
        )

    @property
    def full_layers(self) -> int:
        """Layers that attend to all tokens."""
        return self.layers - self.sliding_layers

    @property
    def parameters(self) -> int:
        """Numbers in all: attention and feed-forward of each layer, tables of tokens.

        An encoder's feed-forward has no gate, and it has no table for what it writes.
        """
        matrices, tables = (3, 2) if self.keeps_cache else (2, 1)
        attention = 2 * self.hidden * (self.hidden + self.kv_heads * self.head_dim)
        layer = attention + matrices * self.hidden * self.intermediate
        return self.layers * layer + tables * self.vocab * self.hidden

    def layer_bytes(self, kv_dtype: str) -> float:
        """What one layer keeps of one token: a key and a value."""
        return 2 * self.kv_heads * self.head_dim * BYTES[kv_dtype]


@dataclass(frozen=True, slots=True)
class Cache:
    """The key-value cache that fits into some bytes.

    Attributes:
        tokens: as vLLM reports them.
        requests: of full context that it holds at once.
        request_bytes: what one request of full context takes.
    """

    tokens: int
    requests: float
    request_bytes: float


def cache_in(
    n_bytes: float,
    shape: Shape,
    *,
    kv_dtype: str,
    max_model_len: int,
    max_batched_tokens: int,
    block: int = 16,
) -> Cache:
    """The cache that vLLM makes of ``n_bytes``.

    Layers of both kinds share one pool: a block belongs to a group of as many layers as the rarer
    kind has, or as the commoner kind has if that is less than half more.

    Args:
        n_bytes: for the cache.
        shape: of the model.
        kv_dtype: number format of keys and values.
        max_model_len: tokens of a request at most.
        max_batched_tokens: tokens of a step at most; a window keeps them until the step is over.
        block: tokens of a block.
    """
    if not shape.keeps_cache:
        return Cache(0, 0.0, 0.0)
    kinds = [n for n in (shape.full_layers, shape.sliding_layers) if n]
    group = max(kinds) if max(kinds) < 1.5 * min(kinds) else min(kinds)
    in_full = math.ceil(max_model_len / block)
    in_window = min(in_full, math.ceil((shape.window - 1 + max_batched_tokens) / block)) + 1
    per_request = math.ceil(shape.full_layers / group) * in_full
    per_request += math.ceil(shape.sliding_layers / group) * in_window
    block_bytes = shape.layer_bytes(kv_dtype) * block * group
    requests = n_bytes // block_bytes / per_request
    return Cache(int(requests * max_model_len), requests, per_request * block_bytes)


# Peak of vLLM's sampler, in float32 tables of max_num_seqs x vocabulary: 9.6 up to about vLLM 0.15,
# 4.6 since 0.17, read off published start logs (rag_assets_tests/models/test_memory.py).
SAMPLER_TABLES = 4.6
_BESIDE_TORCH = 0.45 * GIB  # kernels and libraries of the process, within its share since 0.27
_LEAST_WORKING = 0.5 * GIB


def working_memory(
    shape: Shape, max_batched_tokens: int, max_num_seqs: int, *, tables: float = SAMPLER_TABLES
) -> float:
    """The most that a step takes on a card beside weights and cache, in bytes; 16-bit numbers.

    A step's peak is in the sampler or in a feed-forward layer, whichever is larger. The second
    was never the larger one in the logs that this was compared with.

    Args:
        shape: of the model.
        max_batched_tokens: tokens of a step at most.
        max_num_seqs: requests of a step at most.
        tables: see ``SAMPLER_TABLES``.
    """
    n_sampled = min(max_num_seqs, max_batched_tokens) if shape.keeps_cache else 0
    sampler = tables * n_sampled * shape.vocab * 4
    forward = max_batched_tokens * 2 * (3 * shape.intermediate + 4 * shape.hidden)
    return max(sampler, forward) + max_batched_tokens * shape.hidden * 2


def card_overhead(working: float, max_num_seqs: int, *, eager: bool) -> float:
    """``working_memory`` and what the process holds beside it: libraries, recorded graphs.

    Graphs took 0.3 to 0.8 GiB in published logs with the default of 256 requests, 0.1 with 32.
    """
    graphs = 0.0 if eager else (0.1 + 0.6 * min(1.0, max_num_seqs / 256)) * GIB
    return max(working + _BESIDE_TORCH, _LEAST_WORKING) + graphs


_PROCESSES = 1.0 * GIB  # an engine's two Python processes without a model
_PASSES = 4  # tables of a feed-forward layer that the allocator keeps after long prompts


def host_overhead(shape: Shape, max_batched_tokens: int) -> float:
    """What an engine on a processor holds beside weights and cache once it has read long prompts.

    Its processes, and what the widest layer needs for a full step in float32.
    """
    step = max_batched_tokens * 4 * (3 * shape.intermediate + 4 * shape.hidden)
    return _PROCESSES + _PASSES * step


def checkpoint_bytes(folder: Path, dtype: str) -> float:
    """Memory of the tensors of a folder's checkpoint, floats in the number format ``dtype``."""
    total = 0.0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            tensors = json.loads(file.read(length))
        tensors.pop("__metadata__", None)
        for tensor in tensors.values():
            start, end = tensor["data_offsets"]
            stored = BYTES.get(tensor["dtype"])
            total += (end - start) * (BYTES[dtype] / stored if stored and stored > 1 else 1)
    return total
