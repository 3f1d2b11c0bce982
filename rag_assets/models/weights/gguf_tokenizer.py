"""The tokenizer of a Qwen2 GGUF file as the files that vLLM and ``tokenizers`` read.

Transformers can build one from GGUF, too, but leaves out the NFC normaliser of the published
Qwen2 tokenizer and keeps the padding entries of the vocabulary as tokens; and it takes 15 s.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rag_assets.models.errors import ConversionError

# Qwen2's published pre-tokeniser: tokenizer.json of Qwen/Qwen2.5-*, the same for every size.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5  # token types of the GGUF specification


def write_tokenizer(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json (chat template inside) into ``folder``.

    Raises:
        ConversionError: the file's tokenizer is not Qwen2's byte-level BPE.
    """
    kind = (metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", "qwen2"):
        raise ConversionError(f"expected a gpt2 tokenizer of flavour qwen2, got {kind}")
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    (folder / "tokenizer.json").write_text(
        json.dumps(_tokenizer(metadata, tokens), ensure_ascii=False), encoding="utf-8"
    )
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_bos_token": False,
        "bos_token": None,
        "eos_token": tokens[metadata["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[metadata["tokenizer.ggml.padding_token_id"]],
        "unk_token": None,
        "model_max_length": metadata["qwen2.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": metadata["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _tokenizer(metadata: Mapping[str, Any], tokens: list[str]) -> dict[str, Any]:
    types: list[int] = metadata["tokenizer.ggml.token_type"]
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    split = {"type": "Split", "pattern": {"Regex": _SPLIT}, "behavior": "Isolated", "invert": False}
    added = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == _CONTROL,
        }
        for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    vocabulary = {
        token: number
        for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind not in (_CONTROL, _USER_DEFINED, _UNUSED)
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }
