"""Spans: which is above which, in threads and in other processes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rag_assets.models.clients.server import Server
from rag_assets.telemetry import Traces, carried, passed_on, set_facts, span
from rag_assets_tests.collector import Collector, collecting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NAMED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "vendor=1"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{one.url}/v1/traces")
        yield one


@pytest.fixture
def traces(collector: Collector) -> Iterator[Traces]:
    made = Traces()
    yield made
    made.close()


def test_without_a_trace_there_is_no_span() -> None:
    with span("search"):
        set_facts({"rag.hits": 1})
        assert passed_on() == {}
    assert carried(len) is len


def test_threads_go_on_with_the_span_only_where_it_is_carried(
    traces: Traces, collector: Collector
) -> None:
    @span("inner")
    def inner(_: int) -> bool:
        return bool(passed_on())

    with traces.continued(NAMED), ThreadPoolExecutor(2) as pool:
        with span("outer"):
            assert list(pool.map(carried(inner), range(2))) == [True, True]
        assert list(pool.map(inner, range(2))) == [False, False]
        assert passed_on()["traceparent"] == NAMED["traceparent"]
    assert passed_on() == {}
    traces.close()
    spans = collector.spans()
    (outer,) = (one for one in spans if one.name == "outer")
    below = [one.parent_span_id for one in spans if one.name == "inner"]
    assert below == [outer.span_id] * 2


def test_an_engine_is_told_the_span_of_its_call(traces: Traces, collector: Collector) -> None:
    heard: list[dict[str, str]] = []

    class Engine(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            heard.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    engine = HTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    try:
        server = Server("role llm", f"http://127.0.0.1:{engine.server_port}/v1")
        with traces.continued(NAMED), span("chat", is_call=True):
            server.post("/chat/completions", {}, 5.0)
        server.post("/chat/completions", {}, 5.0)
    finally:
        engine.shutdown()
        engine.server_close()
    traces.close()
    (call,) = collector.spans()
    assert heard[0]["traceparent"] == f"00-{TRACE}-{call.span_id.hex()}-01"
    assert heard[0]["tracestate"] == "vendor=1"
    assert "traceparent" not in heard[1]
