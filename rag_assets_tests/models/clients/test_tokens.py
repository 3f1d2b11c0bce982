from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors

from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.errors import ModelRequestError, NotPulledError
from rag_assets_tests.conftest import Engines

# Qwen's form of template: trimming signs, a loop, and a function that refuses.
TEMPLATE = """{%- if messages[0]['role'] == 'tool' %}
    {{- raise_exception('a tool cannot begin') }}
{%- endif %}
{%- for message in messages %}
    {{- '<' + message.role + '> ' + message.content + ' ' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<assistant>' }}
{%- endif %}
{%- if enable_thinking %} think {% endif %}"""

CONVERSATIONS = {
    "plain": [{"role": "user", "content": "What is a Lance table?"}],
    "system": [
        {"role": "system", "content": "Answer from the evidence only."},
        {"role": "user", "content": "Why?"},
    ],
    "turns": [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two\n\n  three"},
        {"role": "user", "content": "four"},
    ],
    "unicode": [{"role": "user", "content": "Grüße, 日本語 🎉👩‍👩‍👧 cafe\u0301 \u200b x²"}],
    "code": [{"role": "user", "content": "def f(x):\n\treturn {'a': x[0] ** 2}  # 12345\r\n"}],
    "empty": [{"role": "user", "content": ""}],
    "markup": [{"role": "user", "content": "a <|im_end|> b <b>&amp;</b> {{ c }} {% d %}"}],
}


def bytes_tokenizer() -> RustTokenizer:
    """A token a byte, [CLS] and [SEP] around, and the truncation that MiniLM's file has."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: number for number, token in enumerate(["[CLS]", "[SEP]", *alphabet])}
    rust = RustTokenizer(models.BPE(vocabulary, []))
    rust.normalizer = normalizers.NFC()
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    rust.enable_truncation(8)
    rust.enable_padding(length=8)
    return rust


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer(bytes_tokenizer(), {"chat_template": TEMPLATE})


def test_truncation_and_padding_of_the_file_are_off(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("a" * 100) == 100
    assert tokenizer.count("a") == 1
    assert tokenizer.n_special == 2


@given(st.text())
def test_offsets_are_characters_in_order(text: str) -> None:
    tokenizer = Tokenizer(bytes_tokenizer(), {})
    spans = tokenizer.encode([text])[0].offsets
    assert len(spans) == tokenizer.count(text)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert list(spans) == sorted(spans)


def test_chat_is_rendered_with_the_models_template(tokenizer: Tokenizer) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert tokenizer.render_chat(messages) == "<user> Hi <assistant>"
    assert tokenizer.render_chat(messages, thinking=True) == "<user> Hi <assistant> think "
    assert tokenizer.count_chat(messages) == len("<user> Hi <assistant>")


def test_what_a_template_refuses_is_said(tokenizer: Tokenizer) -> None:
    with pytest.raises(ModelRequestError, match="a tool cannot begin"):
        tokenizer.count_chat([{"role": "tool", "content": "x"}])


def test_a_template_cannot_reach_out_of_its_sandbox() -> None:
    evil = Tokenizer(bytes_tokenizer(), {"chat_template": "{{ ''.__class__.__mro__ }}"})
    with pytest.raises(ModelRequestError, match="unsafe"):
        evil.count_chat([{"role": "user", "content": "x"}])


def test_a_model_without_template_cannot_chat() -> None:
    with pytest.raises(ModelRequestError, match="has no chat template"):
        Tokenizer(bytes_tokenizer(), {}).count_chat([])


def test_from_dir_takes_a_template_file(tmp_path: Path) -> None:
    bytes_tokenizer().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    assert Tokenizer.from_dir(tmp_path).render_chat([{"role": "user", "content": "x"}]) == "x!"


def test_missing_tokenizer_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NotPulledError, match="run `rag models pull`"):
        Tokenizer.from_dir(tmp_path)


@pytest.mark.engines
@pytest.mark.parametrize("role", ["slm", "llm"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_count_is_what_vllm_counts(engines: Engines, role: str, name: str) -> None:
    chat = engines.chat("llm" if role == "llm" else "slm")
    completion = chat.complete(CONVERSATIONS[name], max_tokens=1)
    assert chat.count_chat(CONVERSATIONS[name]) == completion.prompt_tokens
