"""Models of the unit tests: they count words, embed by words, and say what a test tells them to."""

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
import xxhash

from rag_assets.answers.prompts import ASK_HOLDS, ASK_SPAN, ASK_STATES, ASK_VERDICT, PHRASE_SCAFFOLD
from rag_assets.models.protocols import ChatOptions, Completion
from rag_assets.retrieval.terms import coverage, terms

Message = Mapping[str, str]
ASKS = {"states": ASK_STATES, "span": ASK_SPAN, "holds": ASK_HOLDS, "verdict": ASK_VERDICT}
_TOKEN = re.compile(r"\w+|[^\w\s]")


def n_words(text: str) -> int:
    return len(_TOKEN.findall(text))


def said(
    text: str,
    *,
    finish_reason: str = "stop",
    mean_logprob: float | None = -0.1,
    prompt_tokens: int = 100,
    cached_prompt_tokens: int = 64,
    first: Mapping[str, float] | None = None,
) -> Completion:
    return Completion(
        text,
        finish_reason,
        prompt_tokens,
        cached_prompt_tokens,
        max(1, n_words(text)),
        0.01,
        mean_logprob,
        first=first or {},
    )


@dataclass
class Call:
    messages: Sequence[Message]
    max_tokens: int
    prefix: str
    thinking: bool = False
    top_logprobs: int = 0
    priority: int = 0

    @property
    def asks(self) -> str:
        """What is asked of a passage: "states", "span", "holds", "verdict"; "sentence", or ""."""
        if self.messages[0]["content"] == PHRASE_SCAFFOLD:
            return "sentence"
        last = self.messages[-1]["content"].splitlines()[-1]
        return next((name for name, ask in ASKS.items() if ask.splitlines()[-1] == last), "")

    @property
    def proposed(self) -> str:
        """The short answer that is to be judged, or told as a sentence."""
        return self.messages[-1]["content"].rsplit("nswer: ", 1)[-1].split("\n")[0]

    @property
    def question(self) -> str:
        return self.messages[-1]["content"].rsplit("Question: ", 1)[1].split("\n")[0]

    @property
    def evidence(self) -> str:
        return self.messages[-1]["content"].rsplit("Question: ", 1)[0]


Reply = Callable[[Call], Completion | str]


@dataclass
class ScriptedChat:
    """A ChatModel that answers by a function of the call, and remembers the calls."""

    name: str
    reply: Reply
    model_id: str = "fake/chat"
    revision: str = "1"
    max_model_len: int = 4096
    calls: list[Call] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        json_schema: Mapping[str, Any] | None = None,
        timeout_s: float = 120.0,
        prefix: str = "",
        thinking: bool = False,
        cache_salt: str = "",
        top_logprobs: int = 0,
        priority: int = 0,
    ) -> Completion:
        call = Call(messages, max_tokens, prefix, thinking, top_logprobs, priority)
        with self.lock:
            self.calls.append(call)
        reply = self.reply(call)
        assert self.count_chat(messages) + max_tokens <= self.max_model_len, "window overflows"
        return reply if isinstance(reply, Completion) else said(reply)

    def count_chat(self, messages: Sequence[Message]) -> int:
        return 3 + sum(4 + n_words(message["content"]) for message in messages)


_PART = re.compile(r"\s*(?:\w{1,4}|[^\w\s])")


@dataclass
class HonestChat:
    """A ChatModel with tokens of four letters: it cuts its reply at the limit, in mid-word, too.

    It refuses what does not fit its window, as an engine does.
    """

    name: str
    reply: Reply
    model_id: str = "fake/honest"
    revision: str = "1"
    max_model_len: int = 4096

    def complete(self, messages: Sequence[Message], **options: Unpack[ChatOptions]) -> Completion:
        prefix, limit = options.get("prefix", ""), options["max_tokens"]
        reply = self.reply(Call(messages, limit, prefix))
        text = reply if isinstance(reply, str) else reply.text
        tokens = _PART.findall(text.removeprefix(prefix))
        prompt = self.count_chat(messages) + len(_PART.findall(prefix))
        assert prompt + limit <= self.max_model_len, "window overflows"
        done = said(
            "".join(tokens[:limit]),
            finish_reason="length" if len(tokens) >= limit else "stop",
            prompt_tokens=prompt,
            first={} if isinstance(reply, str) else reply.first,
        )
        return replace(done, completion_tokens=min(len(tokens), limit))

    def count_chat(self, messages: Sequence[Message]) -> int:
        return 3 + sum(4 + len(_PART.findall(message["content"])) for message in messages)


def always(text: str) -> Reply:
    return lambda call: text


def yes(odds: float) -> Completion:
    """ "Yes" with these log-odds, as a server tells the likeliest first tokens.

    Its limit is one token, which engines call cut.
    """
    log_of_both = math.log1p(math.exp(-abs(odds)))
    said_yes, said_no = min(odds, 0.0) - log_of_both, min(-odds, 0.0) - log_of_both
    first = {"Yes": said_yes, "No": said_no, "The": -20.0}
    return said("Yes" if odds >= 0 else "No", finish_reason="length", first=first)


def copies(call: Call) -> Completion | str:
    """What a good model does: the line of the evidence with most words of the question.

    Of one passage it tells whether that holds the question's words, copies that line, or says it
    as a sentence. Of several it writes the line, cited.
    """
    return reads()(call)


def reads(spans: Mapping[str, str] | None = None, *, sure: float = 6.0) -> Reply:
    """As :func:`copies`.

    Args:
        spans: words of a question -> the short answer that is copied instead of the line.
        sure: log-odds of "Yes" where the passage has all words of the question.
    """

    def reply(call: Call) -> Completion | str:
        if call.asks == "sentence":
            return f"The answer is {call.proposed}."
        if not call.asks:
            return _cited_line(call)
        if call.asks == "span":
            short = (span for words, span in (spans or {}).items() if words in call.question)
            return next(short, _lines(call)[0])
        covered = coverage(terms(call.question), terms(call.evidence))
        return yes(sure if covered >= 1 else sure * (2 * covered - 1))

    return reply


def _lines(call: Call) -> list[str]:
    """The sentences and lines of the evidence, those with most words of the question first."""
    lines = [line for line in call.evidence.splitlines()[2:] if not line.startswith("<")]
    parts = [part for line in lines for part in re.split(r"(?<=\.) ", line)]
    wanted = terms(call.question)
    return sorted(parts, key=lambda part: -len(wanted & terms(part)))


def _cited_line(call: Call) -> str:
    wanted = terms(call.question)
    best, n, number = "NOT FOUND", 0, 0
    for line in call.evidence.splitlines():
        if (head := re.match(r"\[(\d+)\] ", line)) is not None:
            number = int(head.group(1))
            continue
        for sentence in re.split(r"(?<=\.) ", line):
            if (shared := len(wanted & terms(sentence))) > n:
                best, n = f"{sentence.rstrip('.')} [{number}].", shared
    return best


@dataclass
class WordEmbedder:
    """An Embedder: a hashed bag of word stems, so that shared words are similarity."""

    dimension: int = 64
    max_tokens: int = 256
    model_id: str = "fake/embedder"
    revision: str = "1"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            if self.count(text) > self.max_tokens:
                raise ValueError(f"text has {self.count(text)} tokens, window {self.max_tokens}")
            row[0] = 0.1
            for term in terms(text):
                row[
                    1
                    + xxhash.xxh3_64_intdigest(term.encode("utf-8", "replace"))
                    % (self.dimension - 1)
                ] += 1
            row /= np.linalg.norm(row)
        return vectors

    def count(self, text: str) -> int:
        return n_words(text)
