"""A client of the answerer that takes the time of each answer; what fails is a result as well."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from rag_assets.models.clients.server import lines_of

TIMEOUT_S = 600.0
WRITTEN = ("written", "deep")  # the ways of a route on which a model writes from passages
_DATA, _DONE = "data:", "[DONE]"


class Asked(NamedTuple):
    """A question, and whether its answer comes sentence by sentence."""

    question: str
    streams: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question.

    Attributes:
        question: as asked.
        streams: whether the answer was asked for sentence by sentence.
        status: of HTTP; 0 where none came.
        began: on a clock of seconds.
        first_s: seconds to the first text that is not empty, of an answer that comes at once to
            its end; None where no text came.
        whole_s: seconds to the end.
        text: of the answer.
        record: the answer's own, from ``rag``; empty where it failed.
        error: why it failed, as a sentence; "" where it did not.
    """

    question: str
    streams: bool
    status: int
    began: float
    first_s: float | None
    whole_s: float
    text: str
    record: Mapping[str, Any]
    error: str

    @property
    def generation_id(self) -> str:
        """Of the index that the answer says it was produced on; "" where it says none."""
        return str(self.record.get("generation", {}).get("id", ""))

    @property
    def citations(self) -> Sequence[Mapping[str, Any]]:
        """Of the answer, by number."""
        return tuple(self.record.get("citations", ()))

    @property
    def is_synthesis(self) -> bool:
        """Whether the large model wrote the answer from several passages."""
        route = self.record.get("route", {})
        return route.get("way") in WRITTEN and not self.record.get("abstained")


def ask(http: httpx.Client, asked: Asked, *, model: str = "rag-auto") -> Reply:
    """Ask one question; nothing that fails is raised.

    Args:
        http: a client whose base is the answerer's address.
        asked: the question.
        model: that answers, such as "rag-auto".
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": asked.question}],
        "stream": asked.streams,
        "sources_in_text": False,
    }
    began, heard = time.perf_counter(), _Heard()
    try:
        with http.stream("POST", "/v1/chat/completions", json=body) as response:
            heard.status = response.status_code
            if response.is_success and asked.streams:
                heard.listen(lines_of(response), began)
            else:
                heard.read(response.read(), began)
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        heard.error = f"{type(error).__name__}: {error}"
    whole_s = time.perf_counter() - began
    return Reply(
        asked.question, asked.streams, heard.status, began, heard.first_s, whole_s, heard.text,
        heard.record, heard.error,
    )  # fmt: skip


class _Heard:
    """What has come of an answer so far."""

    def __init__(self) -> None:
        self.status, self.text, self.error = 0, "", ""
        self.first_s: float | None = None
        self.record: Mapping[str, Any] = {}

    def read(self, body: bytes, began: float) -> None:
        """Take an answer, or a refusal, that came at once."""
        whole = json.loads(body)
        if self.status != httpx.codes.OK:
            self.error = str(whole["error"]["message"])
            return
        self._add(whole["choices"][0]["message"]["content"], began)
        self.record = whole["rag"]

    def listen(self, lines: Iterator[str], began: float) -> None:
        """Take an answer that comes in chunks."""
        for line in lines:
            if not line.startswith(_DATA):
                continue
            data = line.removeprefix(_DATA).strip()
            if data == _DONE:
                return
            chunk = json.loads(data)
            if "error" in chunk:
                self.error = str(chunk["error"]["message"])
                return
            for choice in chunk["choices"]:
                self._add(choice["delta"].get("content") or "", began)
            self.record = chunk.get("rag", self.record)
        self.error = "the stream ended before its mark of the end"

    def _add(self, text: str, began: float) -> None:
        if text and self.first_s is None:
            self.first_s = time.perf_counter() - began
        self.text += text


def ask_all(
    url: str,
    questions: Sequence[Asked],
    n_askers: int,
    heard: Callable[[int, Reply], None] = lambda _number, _reply: None,
    *,
    model: str = "rag-auto",
) -> list[Reply]:
    """Ask all questions with so many askers, each of whom asks the next one once it has an answer.

    Args:
        url: of the answerer.
        questions: in the order in which they are taken.
        n_askers: questions under way at the same time.
        heard: called with the number of a question and its reply as it comes, by one at a time.
        model: that answers.

    Returns:
        Replies in the order of the questions.
    """
    one_at_a_time = threading.Lock()
    limits = httpx.Limits(max_connections=n_askers, max_keepalive_connections=n_askers)
    with (
        httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False, limits=limits) as http,
        ThreadPoolExecutor(n_askers) as askers,
    ):

        def answered(number: int) -> Reply:
            reply = ask(http, questions[number], model=model)
            with one_at_a_time:
                heard(number, reply)
            return reply

        return list(askers.map(answered, range(len(questions))))
