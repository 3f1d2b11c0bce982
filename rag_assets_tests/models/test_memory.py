"""The planner's formulas beside start logs of vLLM that others published."""

import pytest

from rag_assets.models.memory import GIB, Shape, cache_in, card_overhead, working_memory

# layers, kv_heads, head_dim, hidden, intermediate, vocab
SHAPES = {
    "Qwen3-14B": Shape(40, 8, 128, 5120, 17408, 151936),
    "Qwen3-1.7B": Shape(28, 8, 128, 2048, 6144, 151936),
    "Qwen3-0.6B": Shape(28, 8, 128, 1024, 3072, 151936),
    "Qwen3-32B": Shape(64, 8, 128, 5120, 25600, 151936),
    "Qwen2.5-Omni-7B": Shape(28, 4, 128, 3584, 18944, 152064),
    "Qwen2.5-0.5B": Shape(24, 2, 64, 896, 4864, 151936),
    "Llama-3.1-8B": Shape(32, 8, 128, 4096, 14336, 128256),
    "Mistral-Small-3.2-24B": Shape(40, 8, 128, 5120, 32768, 131072),
    "gemma-3-27b": Shape(62, 16, 128, 5376, 21504, 262208, sliding_layers=52, window=1024),
    "gemma-3-1b": Shape(26, 1, 256, 1152, 6912, 262144, sliding_layers=22, window=512),
}


@pytest.mark.parametrize(
    ("model", "cache_gib", "context", "batched", "block", "tokens"),
    [
        # "Available KV cache memory", then "GPU KV cache size", both in numbers of 16 bits
        ("Qwen3-14B", 6.51, 32768, 2048, 16, 42_656),  # LMCache issue 1739
        ("Qwen3-1.7B", 18.78, 1024, 2048, 16, 175_856),  # vLLM issue 33263
        ("Qwen2.5-Omni-7B", 17.33, 32768, 2048, 16, 324_496),  # vLLM issue 25970
        ("Llama-3.1-8B", 3.81, 20000, 2048, 16, 31_232),  # vLLM issue 10517
        # llm-d-benchmark, empirical-vllm-memory-results.md
        ("Mistral-Small-3.2-24B", 28.20, 16000, 8192, 128, 184_832),
        # Start logs of vLLM 0.11 (27b, on ROCm) and 0.13 (1b): a window in most layers. Requests
        # of full context (50.05 and 461.21) x context, as versions since 0.21 count tokens.
        ("gemma-3-27b", 109.86, 4096, 8192, 16, 205_005),
        ("gemma-3-1b", 25.39, 2048, 8192, 16, 944_558),
        # vLLM's page on processors: 8 and 2 GiB, context 2,048
        ("Qwen2.5-0.5B", 8.0, 2048, 2048, 128, 699_008),
        ("Qwen2.5-0.5B", 2.0, 2048, 2048, 128, 174_720),
    ],
)
def test_cache_tokens_are_those_of_published_logs(
    model: str, cache_gib: float, context: int, batched: int, block: int, tokens: int
) -> None:
    made = cache_in(
        cache_gib * GIB,
        SHAPES[model],
        kv_dtype="bfloat16",
        max_model_len=context,
        max_batched_tokens=batched,
        block=block,
    )
    assert made.tokens == pytest.approx(tokens, rel=0.0015)  # logs round to 0.01 GiB


@pytest.mark.parametrize(
    ("model", "peak_gib", "cache_gib", "weights_gib"),
    [
        # H100 of 79.18 GiB, share 0.9, 8,192 tokens and 1,024 requests a step, one card:
        # llm-d-benchmark, empirical-vllm-memory-results.md
        ("Llama-3.1-8B", 4.76, 51.38, 14.99),
        ("Qwen3-0.6B", 5.56, 64.45, 1.12),
        ("Qwen3-32B", 5.64, 4.45, 61.03),
    ],
)
def test_working_memory_is_that_of_published_logs(
    model: str, peak_gib: float, cache_gib: float, weights_gib: float
) -> None:
    peak = working_memory(SHAPES[model], 8192, 1024, tables=9.6)  # vLLM 0.11
    assert peak / GIB == pytest.approx(peak_gib, rel=0.01)
    left = 0.9 * 79.18 * GIB - weights_gib * GIB - peak
    assert left / GIB == pytest.approx(cache_gib, abs=0.2)  # 0.13 GiB beside torch


def test_a_step_in_the_layers_counts_where_the_sampler_is_small() -> None:
    few, many = (working_memory(SHAPES["Qwen3-14B"], 8192, n) for n in (2, 1024))
    assert few < many
    assert few == 8192 * 2 * (3 * 17408 + 4 * 5120) + 8192 * 5120 * 2


def test_graphs_and_the_process_are_counted() -> None:
    recorded, eager = (card_overhead(1.0 * GIB, 256, eager=one) for one in (False, True))
    assert recorded - eager == pytest.approx(0.7 * GIB)
    assert eager > 1.4 * GIB


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (
            {"num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
             "hidden_size": 896, "intermediate_size": 4864, "vocab_size": 151936,
             "sliding_window": 32768, "use_sliding_window": False},
            SHAPES["Qwen2.5-0.5B"],
        ),
        (
            {"text_config": {
                "num_hidden_layers": 62, "num_attention_heads": 32, "num_key_value_heads": 16,
                "head_dim": 128, "hidden_size": 5376, "intermediate_size": 21504,
                "vocab_size": 262208, "sliding_window": 1024, "sliding_window_pattern": 6}},
            SHAPES["gemma-3-27b"],
        ),
        (
            {"num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1,
             "head_dim": 256, "hidden_size": 1152, "intermediate_size": 6912,
             "vocab_size": 262144, "sliding_window": 512,
             "layer_types": [*["sliding_attention"] * 22, *["full_attention"] * 4]},
            SHAPES["gemma-3-1b"],
        ),
        (
            {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
             "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 32000,
             "sliding_window": 4096},  # Mistral 7B v0.1: every layer
            Shape(32, 8, 128, 4096, 14336, 32000, sliding_layers=32, window=4096),
        ),
        (
            {"num_hidden_layers": 6, "num_attention_heads": 12, "hidden_size": 384,
             "intermediate_size": 1536, "vocab_size": 30522, "architectures": ["BertModel"]},
            Shape(6, 12, 32, 384, 1536, 30522, keeps_cache=False),
        ),
    ],
)  # fmt: skip
def test_a_config_is_read(config: dict[str, object], shape: Shape) -> None:
    assert Shape.of_config(config) == shape


def test_parameters_are_those_of_the_models() -> None:
    assert SHAPES["Llama-3.1-8B"].parameters == pytest.approx(8.03e9, rel=0.01)
    assert SHAPES["Qwen3-14B"].parameters == pytest.approx(14.8e9, rel=0.01)
    bert = Shape(12, 12, 64, 768, 3072, 30522, keeps_cache=False)
    assert bert.parameters == pytest.approx(109e6, rel=0.01)  # bge-base
