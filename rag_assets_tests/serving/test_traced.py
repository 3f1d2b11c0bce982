"""Traces of answers: what a collector gets of a request that names a span, and what it does not."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from mcp.client.client import Client
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag_assets.models.errors import EngineUnavailableError
from rag_assets.models.protocols import Completion
from rag_assets.serving.app import create_app
from rag_assets.serving.service import Service
from rag_assets.serving.traced import sending
from rag_assets.telemetry import CLOSE_S, Traces
from rag_assets_tests.answers.fakes import Call, ScriptedChat, reads
from rag_assets_tests.answers.test_ways import BOTH, BUILT, YEARS, planning
from rag_assets_tests.collector import Collector, collecting
from rag_assets_tests.serving.test_keys import URL
from rag_assets_tests.serving.test_mcp_server import talk

TRACE, ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NAMED = {"traceparent": f"00-{TRACE}-{ABOVE}-01"}
CHAT, EMBED = "chat fake/chat", "embeddings fake/embedder"
# Of the questions, the documents and the answers below; and of keys.
PRIVATE = ("Tern", "Alder", "built", "2003", "1994", "Solvik", "fleet", "ferries", "sk-1")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        yield one


@contextmanager
def serving(service: Service) -> Iterator[TestClient]:
    """The application with the environment's collector; spans have come when the block ends."""
    with sending() as traces:
        app = create_app(service, traces)
        with TestClient(app, base_url=URL, raise_server_exceptions=False) as http:
            yield http


def ask(http: TestClient, question: str, mode: str = "auto", **headers: str) -> int:
    messages = [{"role": "user", "content": question}]
    body = {"model": f"rag-{mode}", "messages": messages}
    return http.post("/v1/chat/completions", json=body, headers=headers).status_code


def paths(spans: list[Span]) -> Counter[str]:
    """The names from the caller's span down to each one; each is of the caller's trace."""
    by_id = {span.span_id.hex(): span for span in spans}
    found = Counter[str]()
    for span in spans:
        assert span.trace_id.hex() == TRACE
        names, at = [span.name], span.parent_span_id.hex()
        while at != ABOVE:
            assert at in by_id, f"{span.name} hangs on a span that nobody sent"
            names.append(by_id[at].name)
            at = by_id[at].parent_span_id.hex()
        found[" > ".join(reversed(names))] += 1
    return found


def facts(span: Span) -> dict[str, object]:
    kinds = ((one, one.value.WhichOneof("value")) for one in span.attributes)
    return {one.key: getattr(one.value, kind) for one, kind in kinds if kind}


def of_name(collector: Collector, name: str) -> list[dict[str, object]]:
    return [facts(span) for span in collector.spans() if span.name == name]


def says_nothing(collector: Collector) -> bool:
    """Whether nothing that came says what was asked, read or answered, or by which key."""
    sent = b"\n".join(collector.bodies)
    return not [word for word in PRIVATE if word.encode() in sent]


def test_a_look_up_is_a_tree_of_stages_and_calls(
    service: Service, llm: ScriptedChat, collector: Collector
) -> None:
    llm.reply = reads(YEARS)
    with serving(service) as http:
        assert ask(http, BUILT, **NAMED, Authorization="Bearer sk-1") == 200
    assert paths(collector.spans()) == {
        "answer": 1,
        "answer > wait": 1,
        "answer > search": 1,
        f"answer > search > {EMBED}": 1,
        "answer > select": 1,
        "answer > route": 1,
        "answer > read": 1,
        f"answer > read > {CHAT}": 4,
    }
    (answer,) = of_name(collector, "answer")
    said = (answer["rag.way"], answer["rag.model"], answer["rag.abstained"])
    assert said == ("read", "llm", False)
    calls = of_name(collector, CHAT)
    assert Counter(call["rag.model"] for call in calls) == {"llm": 3, "slm": 1}
    assert {call["gen_ai.operation.name"] for call in calls} == {"chat"}
    assert {call["gen_ai.usage.input_tokens"] for call in calls} == {100}
    assert answer["gen_ai.usage.input_tokens"] == 400
    assert collector.services() == {"rag_assets"}
    assert says_nothing(collector)


def test_each_step_of_a_question_that_is_taken_apart(
    service: Service, llm: ScriptedChat, collector: Collector
) -> None:
    llm.reply = lambda call: planning(call, "", YEARS)
    with serving(service) as http:
        assert ask(http, BOTH, **NAMED) == 200
    found = paths(collector.spans())
    assert found["answer > apart > step"] == 2
    assert found["answer > apart > step > search"] == 2
    assert found["answer > apart > step > select"] == 2
    assert found[f"answer > apart > step > {CHAT}"] == len(llm.calls) == 6
    assert [step["rag.found"] for step in of_name(collector, "step")] == [True, True]
    assert says_nothing(collector)


def test_what_is_written_is_checked(service: Service, collector: Collector) -> None:
    with serving(service) as http:
        assert ask(http, "Compare the ferries and explain how they differ.", "deep", **NAMED) == 200
    found = paths(collector.spans())
    assert found["answer > write"] == found["answer > write > check"] == 1
    assert found[f"answer > read > {CHAT}"] >= 2, "a call for each document"
    assert says_nothing(collector)


def test_a_search(service: Service, collector: Collector) -> None:
    with serving(service) as http:
        body = {"question": BUILT, "limit": 2}
        assert http.post("/v1/search", json=body, headers=NAMED).status_code == 200
    expected = {"search": 1, "search > wait": 1, f"search > {EMBED}": 1}
    assert paths(collector.spans()) == expected
    assert of_name(collector, "search")[0]["rag.hits"] == 2
    assert says_nothing(collector)


def test_tools_of_mcp(service: Service, collector: Collector) -> None:
    async def said(client: Client) -> None:
        await client.call_tool("search", {"query": BUILT})
        await client.call_tool("ask", {"question": BUILT})

    with sending() as traces:
        talk(service, said, traces=traces, **NAMED)
    found = paths(collector.spans())
    assert found["search"] == found["answer"] == 1
    assert found[f"answer > read > {CHAT}"] == 3
    assert says_nothing(collector)


def test_an_error_is_named_by_its_type_alone(
    service: Service, llm: ScriptedChat, collector: Collector
) -> None:
    def fails(call: Call) -> Completion:
        raise EngineUnavailableError(f"no engine answers {call.question}")

    llm.reply = fails
    with serving(service) as http:
        assert ask(http, BUILT, **NAMED) == 503
    failed = [span for span in collector.spans() if span.status.code == Status.STATUS_CODE_ERROR]
    assert {span.name for span in failed} >= {"answer", "read", CHAT}
    assert {facts(span)["error.type"] for span in failed} == {"EngineUnavailableError"}
    assert says_nothing(collector)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ""},
        {"traceparent": f"00-{TRACE}-01"},
        {"traceparent": f"ff-{TRACE}-{ABOVE}-01"},
        {"traceparent": f"00-{'0' * 32}-{ABOVE}-01"},
        {"traceparent": "x" * 10_000},
        {"traceparent": f"00-{TRACE}-{ABOVE}-00"},  # a trace that nobody keeps
    ],
)
def test_else_nothing_is_sent(
    service: Service, collector: Collector, headers: dict[str, str]
) -> None:
    with serving(service) as http:
        assert ask(http, BUILT, **headers) == 200
    assert collector.bodies == []


def test_without_a_collector_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    with sending() as traces:
        assert traces is None


def test_the_service_may_have_another_name(
    service: Service, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "manuals")
    with serving(service) as http:
        assert ask(http, BUILT, **NAMED) == 200
    assert collector.services() == {"manuals"}


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
def test_a_collector_that_is_down_costs_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if silent:  # it takes connections, and says nothing
            taken.listen()
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")  # milliseconds: at once
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}"
        )
        with serving(service) as http:
            began = time.perf_counter()
            assert [ask(http, BUILT, **NAMED) for _ in range(3)] == [200, 200, 200]
            answered = time.perf_counter()
        closed = time.perf_counter()
    assert answered - began < 10.0, "one that waited would take the time-out of 10 s for each"
    assert closed - answered < 10.0, f"it gives up after {CLOSE_S} s"


def test_variables_that_mean_nothing_cost_no_answer(
    service: Service, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1000000")
    with pytest.raises(ValueError, match="max_export_batch_size"):
        Traces()
    with serving(service) as http:
        assert ask(http, BUILT, **NAMED) == 200
    assert collector.bodies == []
