"""Exact token counts, in the served model's own tokens, without loading the model."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Self, cast

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as RustTokenizer

from rag_assets.models.errors import ModelRequestError, NotPulledError
from rag_assets.models.protocols import Encoding

_FEW = 8  # texts; sent to all cores they would wait for whatever another thread tokenises there
_ADDITIVE = ("BertNormalizer", "BertPreTokenizer", "WordPiece")  # see Tokenizer.is_additive


class Tokenizer:
    """The tokenizer of one model folder; light, thread-safe, never truncates or pads by itself.

    Args:
        rust: the loaded tokenizer; its truncation and padding are switched off here, because
            all-MiniLM's file cuts every text to 128 tokens and pads it.
        config: the contents of tokenizer_config.json; holds the chat template, if there is one.
    """

    def __init__(self, rust: RustTokenizer, config: Mapping[str, Any]) -> None:
        rust.no_truncation()
        rust.no_padding()
        self._rust = rust
        self._config = config
        self.n_special = rust.num_special_tokens_to_add(is_pair=False)

    @classmethod
    def from_dir(cls, folder: Path) -> Self:
        """Read ``tokenizer.json`` and ``tokenizer_config.json`` of a model folder.

        Raises:
            NotPulledError: the folder has no tokenizer.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise NotPulledError(f"{folder} has no tokenizer.json; run `rag models pull`")
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        template = folder / "chat_template.jinja"  # newer repositories keep the template apart
        if template.is_file():
            config["chat_template"] = template.read_text("utf-8")
        return cls(RustTokenizer.from_file(str(path)), config)

    def count(self, text: str) -> int:
        """Number of tokens, special tokens that a model adds around a text not included."""
        return len(self._encode(text).ids)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """``count`` of each text, on all cores."""
        if len(texts) < _FEW:
            return [self.count(text) for text in texts]
        batch = self._rust.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding) for encoding in batch]

    def inputs(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's token ids as the model reads them, special tokens included, on all cores."""
        batch = self._rust.encode_batch_fast(list(texts), add_special_tokens=True)
        return [encoding.ids for encoding in batch]

    def encode(self, texts: Sequence[str]) -> Sequence[Encoding]:
        """Each text tokenised, without special tokens, on all cores."""
        encodings: Any = self._rust.encode_batch(list(texts), add_special_tokens=False)
        return cast(Sequence[Encoding], encodings)

    @cached_property
    def is_additive(self) -> bool:
        r"""Whether texts joined by a space, ``\n`` or ``\t`` have the sum of their tokens.

        True where it is known: BERT's tokenizers part words at white space before all else, keep
        nothing of it, and change no character by what stands beyond it. Byte-level ones, as Qwen's,
        make the space a part of the word behind it.
        """
        parts = (self._rust.normalizer, self._rust.pre_tokenizer, self._rust.model)
        added = self._rust.get_added_tokens_decoder().values()
        return tuple(type(part).__name__ for part in parts) == _ADDITIVE and not any(
            token.lstrip or token.rstrip or any(map(str.isspace, token.content)) for token in added
        )

    def count_chat(self, messages: Sequence[Mapping[str, str]], *, thinking: bool = False) -> int:
        """Tokens of the prompt made of ``messages``, the opening of the answer included.

        Raises:
            ModelRequestError: the model has no chat template, or it refuses these messages.
        """
        # the template writes the special tokens itself
        return self.count(self.render_chat(messages, thinking=thinking))

    def render_chat(self, messages: Sequence[Mapping[str, str]], *, thinking: bool = False) -> str:
        """The prompt text of ``messages`` after the model's own chat template."""
        try:
            return self._template.render(
                messages=messages,
                add_generation_prompt=True,
                enable_thinking=thinking,
                bos_token=self._config.get("bos_token") or "",
                eos_token=self._config.get("eos_token") or "",
            )
        except jinja2.TemplateError as error:
            raise ModelRequestError(f"the chat template refuses the messages: {error}") from error

    @cached_property
    def _template(self) -> jinja2.Template:
        source = self._config.get("chat_template")
        if not isinstance(source, str):
            raise ModelRequestError("this model has no chat template; only slm and llm chat")
        # sandboxed: the template comes with the weights; block trimming as transformers does it
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        return environment.from_string(source)

    def _encode(self, text: str) -> Any:  # noqa: ANN401 - tokenizers ships no types
        return self._rust.encode(text, add_special_tokens=False)


def _to_json(value: object, **options: Any) -> str:  # noqa: ANN401 - passed through to json
    return json.dumps(value, ensure_ascii=False, **options)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
